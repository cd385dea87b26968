/**
 * Brings a keyspace to the schema this version knows, one node at a time: a lightweight transaction
 * takes a lock that expires by itself, the others wait until the work is done or the lock is free.
 * Every statement can be repeated, so a node that dies in the middle leaves nothing to clean up.
 */
import { createHash } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import type { Client, QueryOptions } from "cassandra-driver";
import { types } from "cassandra-driver";
import type { Clock } from "../../base/clock.ts";
import { ConfigError, Unavailable } from "../../base/errors.ts";
import type { Random } from "../../base/random.ts";
import { randomId } from "../../base/random.ts";
import { asUnavailable, isServerTimeout, isUnauthorized } from "./failure.ts";
import { onceVisible } from "./keyspace.ts";
import { accountsRostersOffline } from "./schema/0001-accounts-rosters-offline.ts";
import { documents } from "./schema/0002-documents.ts";
import { pubsub } from "./schema/0003-pubsub.ts";
import { tokensSecrets } from "./schema/0004-tokens-secrets.ts";
import { archive } from "./schema/0005-archive.ts";

export interface CassandraMigration {
  /** One more than the migration before. */
  readonly version: number;
  /**
   * The oldest version whose Zonda may use the schema with this migration applied: what it writes is
   * understood by this one, it misses nothing that this one writes, and an account that it deletes
   * leaves nothing behind.
   */
  readonly compatibleFrom: number;
  /** CQL that may run again: IF NOT EXISTS wherever something is made. */
  readonly statements: readonly string[];
}

export interface MigrateOptions {
  readonly keyspace: string;
  readonly clock: Clock;
  readonly random: Random;
  /** How long to wait for another node that is migrating; 180 s if left out. */
  readonly deadlineMs?: number;
}

const MIGRATIONS: readonly CassandraMigration[] = [
  accountsRostersOffline,
  documents,
  pubsub,
  tokensSecrets,
  archive,
];
const KNOWN = MIGRATIONS.at(-1)?.version ?? 0;

const DEADLINE_MS = 180_000;
const STATEMENT_TIMEOUT_MS = 30_000;
const AGREEMENT_TIMEOUT_MS = 30_000;
const POLL_MS = 250;
/** Longer than a statement and its agreement together, since the lock is renewed before each. */
const LOCK_SECONDS = 90;

const TABLE = "schema_migrations";
const SELECT_TABLE =
  "SELECT table_name FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?";
const SELECT_VERSIONS = `SELECT version FROM ${TABLE} WHERE scope = 'zonda'`;
const INSERT_VERSION = `INSERT INTO ${TABLE} (scope, version, applied_at) VALUES ('zonda', ?, ?)`;
/** Beside the applied versions: a scope of its own for each, with the version it is compatible from. */
const SELECT_COMPATIBLE = `SELECT version FROM ${TABLE} WHERE scope = ?`;
const INSERT_COMPATIBLE = `INSERT INTO ${TABLE} (scope, version, applied_at) VALUES (?, ?, ?)`;
const compatibleScope = (version: number): string => `zonda ${version} is compatible from`;
const TAKE_LOCK =
  `UPDATE ${TABLE} USING TTL ${LOCK_SECONDS} SET lock_owner = ? ` +
  "WHERE scope = 'zonda' IF lock_owner = null";
const RENEW_LOCK =
  `UPDATE ${TABLE} USING TTL ${LOCK_SECONDS} SET lock_owner = ? ` +
  "WHERE scope = 'zonda' IF lock_owner = ?";
const FREE_LOCK = `UPDATE ${TABLE} SET lock_owner = null WHERE scope = 'zonda' IF lock_owner = ?`;

/** Reads something small from replicas: what ping() uses. */
export const SELECT_LAST_VERSION = `${SELECT_VERSIONS} LIMIT 1`;

/**
 * Resolves when the keyspace is at our version, or at a newer one that is compatible with ours.
 * @throws ConfigError when it is too new for this version, or our role may not change it;
 *   Unavailable when Cassandra does not answer or another node does not finish by the deadline
 */
export async function migrateCassandra(client: Client, options: MigrateOptions): Promise<void> {
  const { keyspace, clock } = options;
  const owner = randomId(options.random);
  const deadlineMs = clock.monotonicMs() + (options.deadlineMs ?? DEADLINE_MS);
  try {
    await ensureTable(client, keyspace);
    if ((await onceVisible(() => missing(client, keyspace))).length === 0) return;
    await agreement(client, keyspace, clock); // The lock needs its table on every replica.
    for (;;) {
      if ((await missing(client, keyspace)).length === 0) return;
      if (await takeLock(client, owner)) {
        await migrateLocked(client, owner, options);
        continue; // Looks again: the lock may have been lost on the way.
      }
      if (clock.monotonicMs() > deadlineMs) {
        throw new Unavailable(
          "store-timeout",
          `Cannot migrate the keyspace ${keyspace}: another node has not finished doing so`,
        );
      }
      await sleep(POLL_MS);
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    if (isUnauthorized(error)) {
      const why = "our role may not change its tables; grant ALL ON KEYSPACE";
      throw new ConfigError(`Cannot migrate the keyspace ${keyspace}: ${why}`, { cause: error });
    }
    throw asUnavailable(error, `migrate the keyspace ${keyspace}`);
  }
}

async function migrateLocked(
  client: Client,
  owner: string,
  { keyspace, clock }: MigrateOptions,
): Promise<void> {
  try {
    for (const { version, compatibleFrom, statements } of await missing(client, keyspace)) {
      for (const statement of statements) {
        if (!(await renewLock(client, owner))) return;
        await execute(client, statement, [], { prepare: false });
        await agreement(client, keyspace, clock);
      }
      const now = new Date(clock.nowMs());
      await execute(client, INSERT_COMPATIBLE, [compatibleScope(version), compatibleFrom, now]);
      await execute(client, INSERT_VERSION, [version, now]);
    }
  } finally {
    // Failing is no harm: the lock expires.
    await execute(client, FREE_LOCK, [owner], CONDITIONAL).catch(() => undefined);
  }
}

/** What is still to be applied, in order. @throws ConfigError when it is too new for us */
async function missing(client: Client, keyspace: string): Promise<readonly CassandraMigration[]> {
  const { rows } = await execute(client, SELECT_VERSIONS);
  // A partition that holds only the lock answers one row without a version.
  const applied = new Set<number>(rows.map((row) => row.version).filter(Number.isInteger));
  const newer = [...applied].filter((version) => version > KNOWN);
  if (newer.length > 0) await refuseIncompatible(client, keyspace, newer);
  return MIGRATIONS.filter(({ version }) => !applied.has(version));
}

/** @throws ConfigError when one of these newer versions is not for us, or does not say whether */
async function refuseIncompatible(client: Client, keyspace: string, newer: readonly number[]) {
  let needed = 0;
  for (const version of newer) {
    const { rows } = await execute(client, SELECT_COMPATIBLE, [compatibleScope(version)]);
    needed = Math.max(needed, Number(rows[0]?.version ?? version));
  }
  if (needed <= KNOWN) return;
  throw new ConfigError(
    `Cannot use the keyspace ${keyspace}: its schema has version ${Math.max(...newer)}, this Zonda ` +
      `knows up to ${KNOWN} and must know ${needed}; start the version that migrated it, or a newer one`,
  );
}

/**
 * The table of versions and the lock, which nothing can guard yet. Nodes that create one table at
 * once through different servers would make two with one name; a fixed id makes them the same.
 */
async function ensureTable(client: Client, keyspace: string): Promise<void> {
  const { rows } = await execute(client, SELECT_TABLE, [keyspace, TABLE]);
  if (rows.length > 0) return;
  const statement =
    `CREATE TABLE IF NOT EXISTS ${TABLE} (scope text, version int, applied_at timestamp, ` +
    `lock_owner text static, PRIMARY KEY (scope, version)) WITH ID = ${tableId(keyspace)}`;
  await execute(client, statement, [], { prepare: false });
}

/** A UUID made from the keyspace's name (RFC 9562, version 8). */
function tableId(keyspace: string): string {
  const bytes = createHash("sha256").update(`zonda ${keyspace} ${TABLE}`).digest();
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return new types.Uuid(bytes.subarray(0, 16)).toString();
}

async function takeLock(client: Client, owner: string): Promise<boolean> {
  const result = await execute(client, TAKE_LOCK, [owner], CONDITIONAL).catch((error: unknown) => {
    if (isServerTimeout(error)) return undefined; // Nodes that want it at once: somebody has it.
    throw error;
  });
  // A call that timed out and was applied all the same: the lock is ours already.
  return result?.wasApplied() === true || result?.first()?.lock_owner === owner;
}

async function renewLock(client: Client, owner: string): Promise<boolean> {
  return (await execute(client, RENEW_LOCK, [owner, owner], CONDITIONAL)).wasApplied();
}

/** Waits until every server that is up has the same schema. */
async function agreement(client: Client, keyspace: string, clock: Clock): Promise<void> {
  const deadlineMs = clock.monotonicMs() + AGREEMENT_TIMEOUT_MS;
  for (;;) {
    const hosts = client.hosts.values().filter((host) => host.isUp());
    const versions = await Promise.all(
      hosts.map(async (host) => {
        const query = "SELECT schema_version FROM system.local";
        const result = await execute(client, query, [], { prepare: false, host });
        return String(result.first()?.schema_version);
      }),
    );
    if (new Set(versions).size <= 1) return;
    if (clock.monotonicMs() > deadlineMs) {
      throw new Unavailable(
        "store-timeout",
        `Cannot migrate the keyspace ${keyspace}: its servers do not agree on the schema`,
      );
    }
    await sleep(POLL_MS);
  }
}

const CONDITIONAL: QueryOptions = {
  isIdempotent: false,
  serialConsistency: types.consistencies.localSerial,
};

const execute = (client: Client, cql: string, values: unknown[] = [], options?: QueryOptions) =>
  client.execute(cql, values, {
    prepare: true,
    isIdempotent: true,
    readTimeout: STATEMENT_TIMEOUT_MS,
    ...options,
  });
