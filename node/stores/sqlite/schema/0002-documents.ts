/** Schema version 2: small things of a user, by kind. */
import type { SqliteMigration } from "../migrate.ts";

/** With a rowid: SQLite advises against WITHOUT ROWID for large rows. */
export const documents: SqliteMigration = {
  version: 2,
  compatibleFrom: 2,
  statements: [
    `CREATE TABLE documents (
      user TEXT NOT NULL,
      kind TEXT NOT NULL,
      key TEXT NOT NULL,
      value BLOB NOT NULL,
      PRIMARY KEY (user, kind, key)
    ) STRICT`,
  ],
};
