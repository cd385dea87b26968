/** The engine for clusters: Cassandra, shared by all nodes. */
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/clock.ts";
import type { Logger } from "../../base/log.ts";
import { silentLog } from "../../base/log.ts";
import type { Random } from "../../base/random.ts";
import { systemRandom } from "../../base/random.ts";
import type { BudgetLimits } from "../budget.ts";
import { Budget } from "../budget.ts";
import type { BudgetName, Observe, Stores } from "../contract.ts";
import { observedStores } from "../observed.ts";
import { cassandraAccounts } from "./accounts.ts";
import { cassandraArchive } from "./archive.ts";
import { cassandraDocuments } from "./documents.ts";
import type { KeyspaceOptions } from "./keyspace.ts";
import { ensureKeyspace, onceVisible } from "./keyspace.ts";
import { migrateCassandra, SELECT_LAST_VERSION } from "./migrate.ts";
import { cassandraOffline } from "./offline.ts";
import { Pool, REQUEST_TIMEOUT_MS, repeatable } from "./pool.ts";
import { cassandraPubsub } from "./pubsub.ts";
import { cassandraRosters } from "./rosters.ts";
import { cassandraSecrets } from "./secrets.ts";
import { cassandraTokens } from "./tokens.ts";

type Limits = Omit<BudgetLimits, "deadlineMs">;

/**
 * Together less than the driver has in flight (2 connections of 2,048 calls to one server). While
 * Cassandra does not answer all is refused at once but what hands over and stores messages, which tries
 * again and must not lose; blocklists and archiving preferences are documents, and have a default.
 */
const LIMITS: Readonly<Record<BudgetName, Limits>> = {
  login: { inFlightMax: 768, waitingMax: 4_096, isPatient: false },
  delivery: { inFlightMax: 1_024, waitingMax: 8_192, isPatient: true },
  documents: { inFlightMax: 512, waitingMax: 4_096, isPatient: false },
  pubsub: { inFlightMax: 256, waitingMax: 2_048, isPatient: false },
  archive: { inFlightMax: 512, waitingMax: 1_024, isPatient: false },
  history: { inFlightMax: 128, waitingMax: 256, isPatient: false },
};

export interface CassandraOptions extends KeyspaceOptions {
  /** Its wall clock orders writes of different nodes: keep them in step, as Cassandra asks for. */
  readonly clock?: Clock;
  readonly random?: Random;
  readonly log?: Logger;
  readonly observe?: Observe;
  /** Overrides of what each kind of work may ask for, for tests. */
  readonly budgets?: Partial<Record<BudgetName, Partial<Limits>>>;
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
  const budgets = makeBudgets(options, clock);
  const within = (name: BudgetName) => pool.within(budgets[name]);
  const [login, delivery] = [within("login"), within("delivery")];
  const ping = repeatable(SELECT_LAST_VERSION);
  const stores: Stores = {
    accounts: cassandraAccounts(login, delivery, clock),
    rosters: cassandraRosters(login, clock),
    offline: cassandraOffline(delivery, clock),
    archive: cassandraArchive({ writes: within("archive"), reads: within("history") }, clock),
    documents: cassandraDocuments(within("documents")),
    pubsub: cassandraPubsub(within("pubsub"), clock),
    tokens: cassandraTokens(login, clock),
    secrets: cassandraSecrets(login),
    budgets,
    // Within no budget: overload must not change whether a node is ready.
    ping: async () => void (await pool.row("reach Cassandra", ping, [])),
    [Symbol.asyncDispose]: () => pool.close(),
  };
  return observe === undefined ? stores : observedStores(stores, observe, clock);
}

function makeBudgets(
  { budgets: overrides = {}, requestTimeoutMs, log = silentLog }: CassandraOptions,
  clock: Clock,
): Readonly<Record<BudgetName, Budget>> {
  const storeLog = log.child({ room: "stores" });
  const make = (name: BudgetName) => {
    const deadlineMs = requestTimeoutMs ?? REQUEST_TIMEOUT_MS;
    return new Budget(name, { ...LIMITS[name], ...overrides[name], deadlineMs }, clock, storeLog);
  };
  return {
    login: make("login"),
    delivery: make("delivery"),
    documents: make("documents"),
    pubsub: make("pubsub"),
    archive: make("archive"),
    history: make("history"),
  };
}
