/**
 * Schema version 1: what a session needs at login, each user's data in the user's own partitions.
 *
 * accounts_by_domain is for listing only. A domain's accounts are spread over 64 partitions by a
 * hash of the name (accounts.ts): ten million accounts make partitions of about 160,000 rows and 10
 * MB, a hundred million 100 MB, which is where a migration should add buckets.
 *
 * rosters uses levelled compaction: items are written now and then over years and read at every
 * login, which should touch one file, not one per write.
 */
import type { CassandraMigration } from "../migrate.ts";

export const accountsRostersOffline: CassandraMigration = {
  version: 1,
  compatibleFrom: 1,
  statements: [
    "CREATE TABLE IF NOT EXISTS accounts (user text PRIMARY KEY, credentials text)",
    `CREATE TABLE IF NOT EXISTS accounts_by_domain (
      domain text,
      bucket int,
      user text,
      PRIMARY KEY ((domain, bucket), user)
    )`,
    `CREATE TABLE IF NOT EXISTS rosters (
      user text,
      contact text,
      name text,
      contact_groups frozen<list<text>>,
      sub_to boolean,
      sub_from boolean,
      ask boolean,
      pending_in blob,
      approved boolean,
      listed boolean,
      changed_us bigint,
      removed_us bigint static,
      PRIMARY KEY (user, contact)
    ) WITH compaction = {'class': 'LeveledCompactionStrategy'}`,
    `CREATE TABLE IF NOT EXISTS offline (
      user text,
      id text,
      received_ms bigint,
      bytes blob,
      PRIMARY KEY (user, id)
    ) WITH CLUSTERING ORDER BY (id ASC)`,
  ],
};
