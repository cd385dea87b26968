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
  /** The oldest version whose Zonda may use the schema with this migration applied. */
  readonly compatibleFrom: number;
  readonly statements: readonly string[];
}

const MIGRATIONS: readonly SqliteMigration[] = [
  accountsRostersOffline,
  documents,
  pubsub,
  tokensSecrets,
  archive,
];

const KNOWN = MIGRATIONS.at(-1)?.version ?? 0;

/** What newer versions than ours say of themselves. */
const COMPATIBILITY_TABLE =
  "CREATE TABLE IF NOT EXISTS schema_compatibility " +
  "(version INTEGER PRIMARY KEY, compatible_from INTEGER NOT NULL) STRICT";
const INSERT_COMPATIBLE =
  "INSERT OR REPLACE INTO schema_compatibility (version, compatible_from) VALUES (?, ?)";
const SELECT_NEWER =
  "SELECT count(*) AS count, max(compatible_from) AS needed FROM schema_compatibility " +
  "WHERE version > ?";

/**
 * Applies what is missing, all of it in one transaction. SQLite's user_version remembers how far the
 * file is; BEGIN IMMEDIATE makes a second process wait (busy timeout) and then find nothing to do.
 * @throws ConfigError when the file was written by a newer version that is not compatible with ours
 */
export function migrateSqlite(database: DatabaseSync): void {
  database.exec("BEGIN IMMEDIATE");
  try {
    database.exec(COMPATIBILITY_TABLE);
    const present = Number(database.prepare("PRAGMA user_version").get()?.user_version);
    if (present > KNOWN) refuseIncompatible(database, present);
    for (const { version, compatibleFrom, statements } of MIGRATIONS) {
      if (version <= present) continue;
      for (const statement of statements) database.exec(statement);
      database.prepare(INSERT_COMPATIBLE).run(version, compatibleFrom);
      database.exec(`PRAGMA user_version = ${version}`);
    }
    database.exec("COMMIT");
  } catch (error) {
    if (database.isTransaction) database.exec("ROLLBACK");
    throw error;
  }
}

/** @throws ConfigError when a newer version is not for us, or does not say whether */
function refuseIncompatible(database: DatabaseSync, present: number): void {
  const said = database.prepare(SELECT_NEWER).get(KNOWN);
  const needed = said?.count === present - KNOWN ? Number(said.needed) : present;
  if (needed <= KNOWN) return;
  throw new ConfigError(
    `Cannot open the store: its schema has version ${present}, this Zonda knows up to ${KNOWN} ` +
      `and must know ${needed}; start the version that wrote it, or a newer one`,
  );
}
