/**
 * Many small operations, few commits: what is asked in one turn of the event loop shares a
 * transaction, and while some are in flight the next ones gather. Every caller gets its own part of
 * the answer; a condition that fails for one does not touch the others (each is a transaction of
 * its own inside the common one).
 */
import type {
  ICompare,
  IKeyValue,
  IRequestOp,
  IResponseOp,
  ITxnRequest,
  ITxnResponse,
} from "etcd3";
import type { Clock } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import type { EtcdClient } from "./client.ts";
import { unavailable } from "./client.ts";
import type { Route, RouteSet } from "./contract.ts";
import type { Census } from "./key-watch.ts";
import type { Keys } from "./keys.ts";
import { decodeRoute } from "./keys.ts";
import { ROUTES_MAX } from "./limits.ts";

/** One caller's wish. Two that are in flight together must not write the same key. */
export interface Operation {
  /** What to do; only a read of `user` when left out. */
  readonly request?: IRequestOp;
  /** Whose routes to read as they are after the commit. */
  readonly user?: string;
}

export interface Outcome {
  readonly revision: number;
  /** Of `request`. */
  readonly response: IResponseOp | undefined;
  /** If nodes are counted: their records, as they were then. */
  readonly nodes: Census | undefined;
  /** Of `user`; empty without one. All callers of one commit see the same set. */
  readonly set: RouteSet;
  /** The revision at which each resource's route was last written. */
  readonly writtenAt: ReadonlyMap<string, number>;
  /** The revision at which each resource's key came to be: an earlier one if a route replaced another. */
  readonly madeAt: ReadonlyMap<string, number>;
}

interface Queued {
  readonly operation: Operation;
  readonly dueMs: number;
  resolve(outcome: Outcome): void;
  reject(error: Unavailable): void;
}

/**
 * etcd allows 128 operations in a transaction, and what stands inside it must fit in what is left:
 * up to four conditions of an operation, or nodes that are counted.
 */
const OPERATIONS_MAX = 124;
const IN_FLIGHT_MAX = 4;
const QUEUED_MAX = 20_000;
/** Routes of one user read in a shared transaction; who has more is read on in pages. */
const PAGE_ROUTES = 100;

export interface TransactionsOptions {
  readonly kv: EtcdClient["kv"];
  readonly keys: Keys;
  readonly clock: Clock;
  readonly requestTimeoutMs: number;
  /** "write routes", for errors. */
  readonly what: string;
  /** Whether nodes are counted with each commit. */
  readonly countsNodes?: boolean;
  /** Told of every failed commit. */
  readonly onFailure: (error: unknown) => void;
}

export class Transactions {
  readonly #options: TransactionsOptions;
  #queue: Queued[] = [];
  #inFlight = 0;
  #isPumpDue = false;
  #isClosed = false;
  #isFailing = false;

  constructor(options: TransactionsOptions) {
    this.#options = options;
  }

  /** The last commit failed. */
  get isFailing(): boolean {
    return this.#isFailing;
  }

  /** Nothing will be done any more. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** @throws Unavailable "routes-timeout", "routes-unavailable", "routes-lost-lease", "routes-overload" */
  async run(operation: Operation): Promise<Outcome> {
    const { clock, what, requestTimeoutMs } = this.#options;
    if (this.#isClosed) throw new Unavailable("routes-unavailable", `Cannot ${what}: closed`);
    if (this.#queue.length >= QUEUED_MAX) {
      throw new Unavailable("routes-overload", `Cannot ${what}: too many are waiting`);
    }
    const { promise, resolve, reject } = Promise.withResolvers<Outcome>();
    const dueMs = clock.monotonicMs() + requestTimeoutMs;
    this.#queue.push({ operation, dueMs, resolve, reject });
    this.#pumpSoon();
    return promise;
  }

  close(): void {
    this.#isClosed = true;
    const { what } = this.#options;
    for (const { reject } of this.#queue.splice(0)) {
      reject(new Unavailable("routes-unavailable", `Cannot ${what}: this node is leaving`));
    }
  }

  #pumpSoon(): void {
    if (this.#isPumpDue) return;
    this.#isPumpDue = true;
    setImmediate(() => {
      this.#isPumpDue = false;
      this.#pump();
    });
  }

  #pump(): void {
    while (this.#queue.length > 0 && this.#inFlight < IN_FLIGHT_MAX) {
      const batch = this.#nextBatch();
      if (batch.length > 0) void this.#commit(batch);
    }
  }

  /** As many from the front of the queue as fit in a transaction. */
  #nextBatch(): readonly Queued[] {
    const { clock, what, requestTimeoutMs } = this.#options;
    const nowMs = clock.monotonicMs();
    const users = new Set<string>();
    const batch: Queued[] = [];
    let count = 0;
    let taken = 0;
    for (const queued of this.#queue) {
      const { request, user } = queued.operation;
      const cost =
        (request === undefined ? 0 : 1) + (user === undefined || users.has(user) ? 0 : 1);
      if (count + cost > OPERATIONS_MAX) break;
      taken += 1;
      if (queued.dueMs <= nowMs) {
        const message = `Cannot ${what}: it waited ${requestTimeoutMs} ms for its turn`;
        queued.reject(new Unavailable("routes-timeout", message));
        continue;
      }
      count += cost;
      if (user !== undefined) users.add(user);
      batch.push(queued);
    }
    this.#queue = this.#queue.slice(taken);
    return batch;
  }

  async #commit(batch: readonly Queued[]): Promise<void> {
    const { kv, keys, what, onFailure, countsNodes = false } = this.#options;
    const requests = batch.flatMap(({ operation }) => operation.request ?? []);
    const users = [...new Set(batch.flatMap(({ operation }) => operation.user ?? []))];
    // The reads stand last: they see all that this transaction writes.
    const reads = users.map((user) => ({ request_range: userRange(keys, user) }));
    const census = countsNodes ? [censusOf(keys)] : [];
    this.#inFlight += 1;
    try {
      const answer = await kv.txn({ success: [...requests, ...reads, ...census] });
      await this.#answer(batch, users, answer);
      this.#isFailing = false;
    } catch (error) {
      this.#isFailing = true;
      onFailure(error);
      for (const { reject } of batch) reject(unavailable(what, error));
    } finally {
      this.#inFlight -= 1;
      this.#pump();
    }
  }

  async #answer(batch: readonly Queued[], users: readonly string[], answer: ITxnResponse) {
    const revision = Number(answer.header.revision);
    const responses = answer.responses;
    const nodes = this.#options.countsNodes === true ? censusIn(responses.at(-1)) : undefined;
    const firstRead = responses.length - users.length - (nodes === undefined ? 0 : 1);
    const found = new Map<string, ReturnType<typeof setOf>>();
    for (const [index, user] of users.entries()) {
      const range = responses[firstRead + index]?.response_range;
      const first = range?.kvs ?? [];
      const rest = range?.more === true ? await this.#restOf(user, first, revision) : [];
      found.set(user, setOf(this.#options.keys, user, revision, [...first, ...rest]));
    }
    let next = 0;
    for (const { operation, resolve } of batch) {
      const response = operation.request === undefined ? undefined : responses[next++];
      const { set, ...writes } = found.get(operation.user ?? "") ?? NOBODY;
      resolve({ revision, response, nodes, set: { ...set, revision }, ...writes });
    }
  }

  /** The pages after the first, of the same revision. */
  async #restOf(user: string, first: readonly IKeyValue[], revision: number) {
    const { kv, keys } = this.#options;
    const rest: IKeyValue[] = [];
    let last = first.at(-1);
    while (last !== undefined && first.length + rest.length <= ROUTES_MAX) {
      const key = Buffer.concat([last.key, Buffer.from([0])]);
      const page = await kv.range({
        ...userRange(keys, user),
        key,
        revision,
        limit: PAGE_ROUTES * 5,
      });
      rest.push(...page.kvs);
      last = page.more ? page.kvs.at(-1) : undefined;
    }
    return rest;
  }
}

const NOBODY = {
  set: { revision: 0, routes: [] },
  writtenAt: new Map<string, number>(),
  madeAt: new Map<string, number>(),
};

const userRange = (keys: Keys, user: string) => {
  const { key, end } = keys.user(user);
  return { key, range_end: end, limit: PAGE_ROUTES };
};

/** The record that was written last, and how many there are. */
const censusOf = ({ nodes: { key, end } }: Keys): IRequestOp => {
  const newestFirst = { sort_order: "Descend", sort_target: "Mod" } as const;
  return { request_range: { key, range_end: end, limit: 1, keys_only: true, ...newestFirst } };
};

const censusIn = (response: IResponseOp | undefined): Census => ({
  count: Number(response?.response_range?.count ?? 0),
  writtenAt: Number(response?.response_range?.kvs[0]?.mod_revision ?? 0),
});

function setOf(keys: Keys, user: string, revision: number, found: readonly IKeyValue[]) {
  const routes: Route[] = [];
  const writtenAt = new Map<string, number>();
  const madeAt = new Map<string, number>();
  for (const { key, value, mod_revision, create_revision } of found) {
    const resource = keys.resource(user, key);
    const route = decodeRoute(user, resource, value);
    if (route === undefined) continue; // Not ours: we neither use nor remove it.
    routes.push(route);
    writtenAt.set(resource, Number(mod_revision));
    madeAt.set(resource, Number(create_revision));
  }
  return { set: { revision, routes }, writtenAt, madeAt };
}

/** What is done on a condition. */
export interface Conditional {
  readonly writes: readonly IRequestOp[];
  /** More that must hold. */
  readonly besides?: readonly ICompare[];
  readonly otherwise?: readonly IRequestOp[];
}

/** `key` was last written at `revision`; 0: it does not exist. */
export const isWrittenAt = (key: string, revision: number): ICompare => ({
  key: Buffer.from(key),
  target: "Mod",
  result: "Equal",
  mod_revision: revision,
});

export const hasValue = (key: string, value: Buffer): ICompare => ({
  key: Buffer.from(key),
  target: "Value",
  result: "Equal",
  value,
});

/** Only while `key` was last written at `revision`; 0: while it does not exist. */
export function whenWrittenAt(key: string, revision: number, what: Conditional): IRequestOp {
  return conditional([isWrittenAt(key, revision)], what);
}

/** How a key was found. */
export interface Since {
  readonly revision: number;
  readonly isThere: boolean;
}

/** Only if nothing was written to `key`, or removed from it, since `revision`. */
export function unlessWrittenSince(
  key: string,
  { revision, isThere }: Since,
  what: Conditional,
): IRequestOp {
  const exists = {
    key: Buffer.from(key),
    target: "Create",
    result: isThere ? "Greater" : "Equal",
    create_revision: 0,
  } as const;
  const isOld = {
    key: Buffer.from(key),
    target: "Mod",
    result: "Less",
    mod_revision: revision + 1,
  } as const;
  return conditional([exists, isOld], what);
}

export function conditional(
  compare: readonly ICompare[],
  { writes, besides = [], otherwise = [] }: Conditional,
): IRequestOp {
  const transaction: ITxnRequest = {
    compare: [...compare, ...besides],
    success: [...writes],
    failure: [...otherwise],
  };
  return { request_txn: transaction };
}

export const put = (key: string, value: Buffer, lease: string): IRequestOp => ({
  request_put: { key: Buffer.from(key), value, lease, prev_kv: true },
});

export const remove = (key: string): IRequestOp => ({
  request_delete_range: { key: Buffer.from(key) },
});

/** Whether the condition of a conditional operation held. */
export const wasDone = ({ response }: Outcome): boolean =>
  response?.response_txn?.succeeded === true;
