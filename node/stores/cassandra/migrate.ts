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
 * Resolves when the keyspace is at our version.
 * @throws ConfigError when it is newer than this version knows, or our role may not change it;
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
    for (const { version, statements } of await missing(client, keyspace)) {
      for (const statement of statements) {
        if (!(await renewLock(client, owner))) return;
        await execute(client, statement, [], { prepare: false });
        await agreement(client, keyspace, clock);
      }
      await execute(client, INSERT_VERSION, [version, new Date(clock.nowMs())]);
    }
  } finally {
    // Failing is no harm: the lock expires.
    await execute(client, FREE_LOCK, [owner], CONDITIONAL).catch(() => undefined);
  }
}

/** What is still to be applied, in order. @throws ConfigError when there is more than we know */
async function missing(client: Client, keyspace: string): Promise<readonly CassandraMigration[]> {
  const { rows } = await execute(client, SELECT_VERSIONS);
  // A partition that holds only the lock answers one row without a version.
  const applied = new Set(rows.map((row) => row.version).filter(Number.isInteger));
  const newest = Math.max(0, ...applied);
  if (newest > KNOWN) {
    throw new ConfigError(
      `Cannot use the keyspace ${keyspace}: its schema has version ${newest}, this Zonda knows ` +
        `up to ${KNOWN}; start the version that migrated it, or a newer one`,
    );
  }
  return MIGRATIONS.filter(({ version }) => !applied.has(version));
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
