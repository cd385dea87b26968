/** The keyspace: made when it is missing and our role may. */
import { setTimeout as sleep } from "node:timers/promises";
import { ConfigError } from "../../base/errors.ts";
import { asUnavailable, isUnauthorized, isUnknownName } from "./failure.ts";
import type { PoolOptions } from "./pool.ts";
import { Pool, repeatable } from "./pool.ts";

export interface KeyspaceOptions extends PoolOptions {
  readonly keyspace: string;
  /** Copies of each row in the local datacenter, used when the keyspace is created. */
  readonly replicationFactor: number;
}

const VISIBLE_TIMEOUT_MS = 20_000;
const POLL_MS = 100;

/** Names that need no quotes: at most 48 characters, so says Cassandra. */
const NAME = /^[a-z][a-z0-9_]{0,47}$/;
const CREATE_TIMEOUT_MS = 30_000;

const SELECT_NAME = repeatable(
  "SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = ?",
);

/**
 * Makes sure that the keyspace exists. Several nodes may do so at once.
 * @throws ConfigError for a name that cannot be used, or when it is missing and may not be created;
 *   Unavailable when Cassandra does not answer
 */
export async function ensureKeyspace(options: KeyspaceOptions): Promise<void> {
  const { keyspace, localDatacenter, replicationFactor } = options;
  if (!NAME.test(keyspace)) {
    throw new ConfigError(
      `Cannot use the keyspace "${keyspace}": a name is 1 to 48 of a-z, 0-9 and _, a letter first`,
    );
  }
  const pool = await Pool.connect(options, undefined);
  try {
    const found = await pool.row("look for the keyspace", SELECT_NAME, [keyspace]);
    if (found !== null) return;
    const datacenter = localDatacenter.replaceAll("'", "''");
    await pool.client.execute(
      `CREATE KEYSPACE IF NOT EXISTS ${keyspace} WITH replication = ` +
        `{'class': 'NetworkTopologyStrategy', '${datacenter}': ${replicationFactor}}`,
      [],
      { prepare: false, readTimeout: CREATE_TIMEOUT_MS },
    );
  } catch (error) {
    if (isUnauthorized(error)) {
      throw new ConfigError(
        `Cannot create the keyspace ${keyspace}: the role ${options.username ?? "anonymous"} may ` +
          "not; create it, or grant CREATE ON ALL KEYSPACES",
        { cause: error },
      );
    }
    throw asUnavailable(error, `create the keyspace ${keyspace}`);
  } finally {
    await pool.close();
  }
}

/** What `work` answers, tried again while a server does not know a name that was just created. */
export async function onceVisible<T>(work: () => Promise<T>): Promise<T> {
  const deadlineMs = performance.now() + VISIBLE_TIMEOUT_MS;
  for (;;) {
    try {
      return await work();
    } catch (error) {
      if (!isUnknownName(error) || performance.now() > deadlineMs) throw error;
      await sleep(POLL_MS);
    }
  }
}
