/** The engine for clusters: Cassandra, shared by all nodes. */
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/clock.ts";
import type { Random } from "../../base/random.ts";
import { systemRandom } from "../../base/random.ts";
import type { Observe, Stores } from "../contract.ts";
import { observedStores } from "../observed.ts";
import { cassandraAccounts } from "./accounts.ts";
import { cassandraArchive } from "./archive.ts";
import { cassandraDocuments } from "./documents.ts";
import type { KeyspaceOptions } from "./keyspace.ts";
import { ensureKeyspace, onceVisible } from "./keyspace.ts";
import { migrateCassandra, SELECT_LAST_VERSION } from "./migrate.ts";
import { cassandraOffline } from "./offline.ts";
import { Pool, repeatable } from "./pool.ts";
import { cassandraPubsub } from "./pubsub.ts";
import { cassandraRosters } from "./rosters.ts";
import { cassandraSecrets } from "./secrets.ts";
import { cassandraTokens } from "./tokens.ts";

/** History has budgets of its own, so that a slow archive takes nothing from deliveries. */
const ARCHIVE_REQUESTS_MAX = 512;
const HISTORY_REQUESTS_MAX = 128;

export interface CassandraOptions extends KeyspaceOptions {
  /** Its wall clock orders writes of different nodes: keep them in step, as Cassandra asks for. */
  readonly clock?: Clock;
  readonly random?: Random;
  readonly observe?: Observe;
  /** How long to wait for another node that is migrating the schema; 180 s if left out. */
  readonly migrateDeadlineMs?: number;
}

/**
 * Connects, creates the keyspace when it is missing, and brings its schema up to date; any number
 * of nodes may do so at once.
 * @throws ConfigError when the login, datacenter, keyspace or its schema cannot be used;
 *   Unavailable when Cassandra does not answer: the caller may try again
 */
export async function openCassandraStores(options: CassandraOptions): Promise<Stores> {
  const { keyspace, observe, clock = systemClock, random = systemRandom } = options;
  const { migrateDeadlineMs: deadlineMs } = options;
  await ensureKeyspace(options);
  const pool = await onceVisible(() => Pool.connect(options, keyspace));
  try {
    const waiting = deadlineMs === undefined ? {} : { deadlineMs };
    await migrateCassandra(pool.client, { keyspace, clock, random, ...waiting });
  } catch (error) {
    await pool.close();
    throw error;
  }
  const ping = repeatable(SELECT_LAST_VERSION);
  const stores: Stores = {
    accounts: cassandraAccounts(pool, clock),
    rosters: cassandraRosters(pool, clock),
    offline: cassandraOffline(pool, clock),
    archive: cassandraArchive(
      {
        writes: pool.withBudget(ARCHIVE_REQUESTS_MAX),
        reads: pool.withBudget(HISTORY_REQUESTS_MAX),
      },
      clock,
    ),
    documents: cassandraDocuments(pool),
    pubsub: cassandraPubsub(pool, clock),
    tokens: cassandraTokens(pool, clock),
    secrets: cassandraSecrets(pool),
    ping: () => pool.probe("reach Cassandra", ping),
    [Symbol.asyncDispose]: () => pool.close(),
  };
  return observe === undefined ? stores : observedStores(stores, observe, clock);
}
