/**
 * Schema version 2: small things of a user, by kind. Levelled compaction: they are overwritten over
 * years and read whole, which should touch one file.
 */
import type { CassandraMigration } from "../migrate.ts";

export const documents: CassandraMigration = {
  version: 2,
  compatibleFrom: 2,
  statements: [
    `CREATE TABLE IF NOT EXISTS documents (
      user text,
      kind text,
      key text,
      value blob,
      PRIMARY KEY (user, kind, key)
    ) WITH compaction = {'class': 'LeveledCompactionStrategy'}`,
  ],
};
