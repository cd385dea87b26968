/** Schema version 1: what a session needs at login. */
import type { SqliteMigration } from "../migrate.ts";

/** Offline messages keep their rowid: SQLite advises against WITHOUT ROWID for large rows. */
export const accountsRostersOffline: SqliteMigration = {
  version: 1,
  compatibleFrom: 1,
  statements: [
    `CREATE TABLE accounts (
      user TEXT NOT NULL PRIMARY KEY,
      domain TEXT NOT NULL,
      credentials TEXT NOT NULL
    ) STRICT, WITHOUT ROWID`,
    "CREATE INDEX accounts_of_domain ON accounts (domain, user)",
    `CREATE TABLE rosters (
      user TEXT NOT NULL,
      contact TEXT NOT NULL,
      name TEXT NOT NULL,
      contact_groups TEXT NOT NULL,
      sub_to INTEGER NOT NULL,
      sub_from INTEGER NOT NULL,
      ask INTEGER NOT NULL,
      pending_in BLOB,
      approved INTEGER NOT NULL,
      listed INTEGER NOT NULL,
      changed_us INTEGER NOT NULL,
      PRIMARY KEY (user, contact)
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE roster_removals (
      user TEXT NOT NULL PRIMARY KEY,
      removed_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE offline (
      user TEXT NOT NULL,
      id TEXT NOT NULL,
      received_ms INTEGER NOT NULL,
      bytes BLOB NOT NULL,
      PRIMARY KEY (user, id)
    ) STRICT`,
  ],
};
