/**
 * Our use of the driver: every statement prepared with named columns at LOCAL_QUORUM, within the
 * budget of its kind of work, so that a slow Cassandra costs errors in time instead of a growing pile
 * of waiting sessions.
 */
import type { ClientOptions, QueryOptions } from "cassandra-driver";
import { auth, Client, policies, types } from "cassandra-driver";
import { withDeadline } from "../../base/deadline.ts";
import { Unavailable } from "../../base/errors.ts";
import type { Logger } from "../../base/log.ts";
import type { Budget } from "../budget.ts";
import { mendControl } from "./control.ts";
import { asOpenFailure, asUnavailable } from "./failure.ts";
import type { CassandraTls } from "./tls.ts";
import { tlsOptions } from "./tls.ts";

export interface PoolOptions {
  /** host or host:port of some nodes; the driver finds the others. */
  readonly contactPoints: readonly string[];
  readonly localDatacenter: string;
  readonly username?: string | undefined;
  readonly password?: string | undefined;
  readonly tls?: CassandraTls | undefined;
  /** A call without an answer after this long rejects; 2000 if left out. */
  readonly requestTimeoutMs?: number | undefined;
  readonly log?: Logger;
}

/** A row by column name, as decoded by the driver; bigint columns are BigInt. */
export type Row = Readonly<Record<string, unknown>>;

export interface Statement {
  readonly cql: string;
  /** Whether sending it twice does the same as once: only then the driver may try again. */
  readonly isIdempotent: boolean;
}

export interface Step {
  readonly statement: Statement;
  readonly values: readonly unknown[];
}

export interface CallOptions {
  /** Microseconds since the epoch to write with; the driver's clock if left out. */
  readonly stampUs?: number;
}

/** A statement that may be repeated: all but those with IF. */
export const repeatable = (cql: string): Statement => ({ cql, isIdempotent: true });

/** A lightweight transaction. */
export const conditional = (cql: string): Statement => ({ cql, isIdempotent: false });

export const REQUEST_TIMEOUT_MS = 2_000;
const PAGE_ROWS = 200;
/** A second replica is asked when the first has not answered a repeatable call for this long. */
const SPECULATE_AFTER_MS = 100;

export class Pool {
  readonly #client: Client;
  readonly #timeoutMs: number;
  /** Undefined: bounded by nothing but its deadline, for what happens at the start. */
  readonly #budget: Budget | undefined;
  /** Shared by all pools over the same connections. */
  readonly #state: { isClosed: boolean };

  private constructor(
    client: Client,
    timeoutMs: number,
    state: { isClosed: boolean },
    budget?: Budget,
  ) {
    this.#client = client;
    this.#timeoutMs = timeoutMs;
    this.#state = state;
    this.#budget = budget;
  }

  /**
   * A connected pool; its statements name tables of `keyspace`.
   * @throws ConfigError when the login or datacenter is refused; Unavailable when nobody answers
   */
  static async connect(options: PoolOptions, keyspace: string | undefined): Promise<Pool> {
    const client = new Client(clientOptions(options, keyspace));
    mendControl(client, options.log);
    try {
      await withDeadline(client.connect(), 15_000, "store-timeout", "connect to Cassandra");
      return new Pool(client, options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS, { isClosed: false });
    } catch (error) {
      await client.shutdown();
      throw asOpenFailure(error);
    }
  }

  /** The same connections within a budget. */
  within(budget: Budget): Pool {
    return new Pool(this.#client, this.#timeoutMs, this.#state, budget);
  }

  /** The client itself, for migrations: DDL has no place on the paths above. */
  get client(): Client {
    return this.#client;
  }

  /** The first row, for reads of one row. @param what "Cannot <what>: ..." */
  async row(what: string, statement: Statement, values: readonly unknown[]) {
    const result = await this.#execute(what, statement, values, {});
    return result.first() as Row | null;
  }

  /** Every row, page by page, each page with its own deadline. */
  async *pages(
    what: string,
    statement: Statement,
    values: readonly unknown[],
    pageRows = PAGE_ROWS,
  ): AsyncGenerator<readonly Row[]> {
    let pageState: string | undefined;
    do {
      const paging: QueryOptions = { fetchSize: pageRows, ...(pageState && { pageState }) };
      const result = await this.#execute(what, statement, values, paging);
      yield result.rows;
      pageState = result.pageState ?? undefined;
    } while (pageState !== undefined);
  }

  /** Every row at once, for partitions of bounded size. */
  async rows(what: string, statement: Statement, values: readonly unknown[], pageRows?: number) {
    const rows: Row[] = [];
    for await (const page of this.pages(what, statement, values, pageRows)) rows.push(...page);
    return rows;
  }

  async write(what: string, { statement, values }: Step, { stampUs }: CallOptions = {}) {
    await this.#execute(what, statement, values, stamped(stampUs));
  }

  /** Whether a lightweight transaction was applied. */
  async writeIf(what: string, { statement, values }: Step): Promise<boolean> {
    const serialConsistency = types.consistencies.localSerial;
    const result = await this.#execute(what, statement, values, { serialConsistency });
    return result.wasApplied();
  }

  /** Writes of one partition as one: all or nothing, and seen together. */
  async writeTogether(what: string, steps: readonly Step[], { stampUs }: CallOptions = {}) {
    const queries = steps.map(({ statement, values }) => ({
      query: statement.cql,
      params: [...values],
    }));
    const isIdempotent = steps.every(({ statement }) => statement.isIdempotent);
    const options: QueryOptions = { ...stamped(stampUs), isIdempotent, logged: false };
    await this.#call(what, () => this.#client.batch(queries, { ...options, prepare: true }));
  }

  async close(): Promise<void> {
    this.#state.isClosed = true;
    await this.#client.shutdown();
  }

  #execute(what: string, statement: Statement, values: readonly unknown[], extra: QueryOptions) {
    const { cql, isIdempotent } = statement;
    const options = { ...extra, prepare: true, isIdempotent };
    return this.#call(what, () => this.#client.execute(cql, [...values], options));
  }

  async #call<T>(what: string, send: () => Promise<T>): Promise<T> {
    const translated = () => this.#translated(what, send);
    if (this.#budget !== undefined) return await this.#budget.run(what, translated);
    return await withDeadline(translated(), this.#timeoutMs, "store-timeout", what);
  }

  async #translated<T>(what: string, send: () => Promise<T>): Promise<T> {
    if (this.#state.isClosed) {
      throw new Unavailable("store-unavailable", `Cannot ${what}: the store is closed`);
    }
    try {
      return await send();
    } catch (error) {
      throw asUnavailable(error, what);
    }
  }
}

const stamped = (stampUs: number | undefined): QueryOptions =>
  stampUs === undefined ? {} : { timestamp: stampUs };

function clientOptions(options: PoolOptions, keyspace: string | undefined): ClientOptions {
  const { contactPoints, localDatacenter, username, password, tls } = options;
  const { ConstantSpeculativeExecutionPolicy } = policies.speculativeExecution;
  return {
    contactPoints: [...contactPoints],
    localDataCenter: localDatacenter,
    ...(keyspace !== undefined && { keyspace }),
    ...(username !== undefined && {
      authProvider: new auth.PlainTextAuthProvider(username, password ?? ""),
    }),
    ...(tls !== undefined && { sslOptions: tlsOptions(tls, contactPoints) }),
    queryOptions: { consistency: types.consistencies.localQuorum, prepare: true },
    policies: {
      // The driver's default waits up to ten minutes before it looks for a lost server again.
      reconnection: new policies.reconnection.ExponentialReconnectionPolicy(200, 2_000, false),
      speculativeExecution: new ConstantSpeculativeExecutionPolicy(SPECULATE_AFTER_MS, 1),
    },
    pooling: { coreConnectionsPerHost: { [types.distance.local]: 2 }, heartBeatInterval: 5_000 },
    socketOptions: {
      connectTimeout: 5_000,
      readTimeout: options.requestTimeoutMs ?? REQUEST_TIMEOUT_MS,
    },
    encoding: { useBigIntAsLong: true },
  };
}
