/** Schema version 4: tokens to log in with (XEP-0484), and what all nodes share. */
import type { SqliteMigration } from "../migrate.ts";

export const tokensSecrets: SqliteMigration = {
  version: 4,
  compatibleFrom: 4,
  statements: [
    `CREATE TABLE tokens (
      user TEXT NOT NULL,
      client TEXT NOT NULL,
      slot TEXT NOT NULL,
      mechanism TEXT NOT NULL,
      issued_ms INTEGER NOT NULL,
      expires_ms INTEGER NOT NULL,
      count INTEGER NOT NULL,
      sealed BLOB NOT NULL,
      written_us INTEGER NOT NULL,
      PRIMARY KEY (user, client, slot)
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE token_clearings (
      user TEXT NOT NULL PRIMARY KEY,
      cleared_us INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE secrets (
      name TEXT NOT NULL PRIMARY KEY,
      secret BLOB NOT NULL
    ) STRICT, WITHOUT ROWID`,
  ],
};
