/**
 * Schema version 5: archived messages (XEP-0313). A partition holds what a user's archive got in
 * one week: 10,000 messages a day of 1 KB make 70 MB. archive_of_peer finds those of one contact,
 * without the bytes; archive_weeks says in which weeks there is anything, of all contacts ("") and
 * of each. All of it expires by itself where the archive has an end, a week of one age at a time.
 */
import type { CassandraMigration } from "../migrate.ts";

const BY_TIME =
  "compaction = {'class': 'TimeWindowCompactionStrategy', " +
  "'compaction_window_unit': 'DAYS', 'compaction_window_size': 7}";

export const archive: CassandraMigration = {
  version: 5,
  compatibleFrom: 5,
  statements: [
    `CREATE TABLE IF NOT EXISTS archive (
      user text,
      week int,
      id text,
      peer text,
      resource text,
      bytes blob,
      PRIMARY KEY ((user, week), id)
    ) WITH ${BY_TIME}`,
    `CREATE TABLE IF NOT EXISTS archive_of_peer (
      user text,
      peer text,
      week int,
      id text,
      resource text,
      PRIMARY KEY ((user, peer, week), id)
    ) WITH ${BY_TIME}`,
    `CREATE TABLE IF NOT EXISTS archive_weeks (
      user text,
      peer text,
      week int,
      PRIMARY KEY (user, peer, week)
    ) WITH compaction = {'class': 'LeveledCompactionStrategy'}`,
  ],
};
