/** Schema version 5: archived messages (XEP-0313), in the order of their ids. */
import type { SqliteMigration } from "../migrate.ts";

/** The rows are large and keep their rowid; the last index is for those that are too old. */
export const archive: SqliteMigration = {
  version: 5,
  compatibleFrom: 5,
  statements: [
    `CREATE TABLE archive (
      user TEXT NOT NULL,
      id TEXT NOT NULL,
      peer TEXT NOT NULL,
      resource TEXT NOT NULL,
      bytes BLOB NOT NULL,
      PRIMARY KEY (user, id)
    ) STRICT`,
    "CREATE INDEX archive_of_peer ON archive (user, peer, id)",
    "CREATE INDEX archive_by_age ON archive (id)",
  ],
};
