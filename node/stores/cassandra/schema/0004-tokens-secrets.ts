/**
 * Schema version 4: tokens to log in with (XEP-0484), and what all nodes share. A token's row goes by
 * itself when the token expires.
 */
import type { CassandraMigration } from "../migrate.ts";

export const tokensSecrets: CassandraMigration = {
  version: 4,
  compatibleFrom: 4,
  statements: [
    `CREATE TABLE IF NOT EXISTS tokens (
      user text,
      client text,
      slot text,
      mechanism text,
      issued_ms bigint,
      expires_ms bigint,
      count bigint,
      sealed blob,
      PRIMARY KEY (user, client, slot)
    ) WITH compaction = {'class': 'LeveledCompactionStrategy'}`,
    "CREATE TABLE IF NOT EXISTS secrets (name text PRIMARY KEY, secret blob)",
  ],
};
