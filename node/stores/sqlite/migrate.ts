/** Brings a SQLite file to the schema this version knows. */
import type { DatabaseSync } from "node:sqlite";
import { ConfigError } from "../../base/errors.ts";
import { accountsRostersOffline } from "./schema/0001-accounts-rosters-offline.ts";
import { documents } from "./schema/0002-documents.ts";
import { pubsub } from "./schema/0003-pubsub.ts";
import { tokensSecrets } from "./schema/0004-tokens-secrets.ts";
import { archive } from "./schema/0005-archive.ts";

export interface SqliteMigration {
  /** One more than the migration before. */
  readonly version: number;
  readonly statements: readonly string[];
}

const MIGRATIONS: readonly SqliteMigration[] = [
  accountsRostersOffline,
  documents,
  pubsub,
  tokensSecrets,
  archive,
];

/**
 * Applies what is missing, all of it in one transaction. SQLite's user_version remembers how far the
 * file is; BEGIN IMMEDIATE makes a second process wait (busy timeout) and then find nothing to do.
 * @throws ConfigError when the file was written by a newer version of Zonda
 */
export function migrateSqlite(database: DatabaseSync): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    const present = Number(database.prepare("PRAGMA user_version").get()?.user_version);
    const known = MIGRATIONS.at(-1)?.version ?? 0;
    if (present > known) {
      throw new ConfigError(
        `Cannot open the store: its schema has version ${present}, this Zonda knows up to ` +
          `${known}; start the version that wrote it, or a newer one`,
      );
    }
    for (const { version, statements } of MIGRATIONS) {
      if (version <= present) continue;
      for (const statement of statements) database.exec(statement);
      database.exec(`PRAGMA user_version = ${version}`);
    }
    database.exec("COMMIT");
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}
