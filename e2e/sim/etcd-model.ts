/**
 * etcd as far as the routes use it: revisions, transactions with conditions inside transactions,
 * leases, and a history for watches. One state, so that every answer is linearizable.
 */
import type {
  ICompare,
  IEvent,
  IKeyValue,
  IRangeRequest,
  IRangeResponse,
  IRequestOp,
  IResponseOp,
  ITxnRequest,
  ITxnResponse,
} from "etcd3";
import { EtcdLeaseInvalidError } from "etcd3";
import type { World } from "./world.ts";

interface Lease {
  readonly id: string;
  readonly ttlMs: number;
  expiresMs: number;
}

interface Kept {
  readonly revision: number;
  readonly event: IEvent;
}

/** Operations of one transaction that etcd takes. */
const OPERATIONS_MAX = 128;
const ZERO = Buffer.from([0]);

const isIn = ({ key }: IKeyValue, first: Buffer, end: Buffer): boolean =>
  Buffer.compare(key, first) >= 0 && Buffer.compare(key, end) < 0;

const inOrder = (found: IKeyValue[]): readonly IKeyValue[] =>
  found.sort((one, other) => Buffer.compare(one.key, other.key));

const textOf = (bytes: Buffer | undefined): string => (bytes ?? Buffer.alloc(0)).toString("latin1");

export class EtcdModel {
  revision = 1;
  /** What it has done so far; keys that go with their lease are written, too. */
  readonly done = { reads: 0, writes: 0, transactions: 0, keepalives: 0, watched: 0 };
  readonly #world: World;
  readonly #kvs = new Map<string, IKeyValue>();
  readonly #leases = new Map<string, Lease>();
  readonly #history: Kept[] = [];
  readonly #watchers = new Set<() => void>();
  #leaseIds = 1_000;
  #isPaused = false;

  constructor(world: World) {
    this.#world = world;
  }

  get header() {
    return { cluster_id: "1", member_id: "1", revision: String(this.revision), raft_term: "1" };
  }

  keys(): readonly IKeyValue[] {
    return inOrder([...this.#kvs.values()]);
  }

  range(request: IRangeRequest): IRangeResponse {
    this.done.reads += 1;
    const { limit = 0, keys_only, count_only, sort_target, sort_order } = request;
    const asNamed = this.#find(request.key, request.range_end);
    const byNewest = (one: IKeyValue, other: IKeyValue) =>
      Number(other.mod_revision) - Number(one.mod_revision);
    const isByNewest = sort_target === "Mod" && sort_order === "Descend";
    const found = isByNewest ? asNamed.toSorted(byNewest) : asNamed;
    const most = Number(limit) === 0 ? found.length : Number(limit);
    const kvs = count_only ? [] : found.slice(0, most);
    return {
      header: this.header,
      kvs: keys_only ? kvs.map((kv) => ({ ...kv, value: Buffer.alloc(0) })) : kvs,
      more: found.length > most,
      count: String(found.length),
    };
  }

  put(request: NonNullable<IRequestOp["request_put"]>): IResponseOp["response_put"] {
    this.#refuse({ success: [{ request_put: request }] });
    return this.#commit(() => this.#apply({ request_put: request }).response_put);
  }

  txn(request: ITxnRequest): ITxnResponse {
    this.#refuse(request);
    this.done.transactions += 1;
    return this.#commit(() => this.#transact(request));
  }

  grant(ttlSeconds: number): { readonly ID: string; readonly TTL: string } {
    this.#leaseIds += 1;
    const lease = { id: String(this.#leaseIds), ttlMs: ttlSeconds * 1_000, expiresMs: 0 };
    this.#leases.set(lease.id, lease);
    this.#renew(lease);
    return { ID: lease.id, TTL: String(ttlSeconds) };
  }

  /** Seconds left; 0 or less when there is no such lease. */
  keepAlive(id: string): string {
    this.done.keepalives += 1;
    const lease = this.#leases.get(id);
    if (lease === undefined) return "0";
    this.#renew(lease);
    return String(lease.ttlMs / 1_000);
  }

  timeToLive(id: string): string {
    const lease = this.#leases.get(id);
    if (lease === undefined) return "-1";
    return String(Math.ceil((lease.expiresMs - this.#world.nowMs) / 1_000));
  }

  /** @returns false when there was none */
  revoke(id: string): boolean {
    if (!this.#leases.delete(id)) return false;
    const keys = this.keys().filter(({ lease }) => lease === id);
    if (keys.length > 0) this.#commit(() => keys.forEach(({ key }) => void this.#remove(key)));
    return true;
  }

  /** It stands still: no lease lapses meanwhile. */
  pause(): void {
    this.#isPaused = true;
  }

  /** Leases that fell due meanwhile have lapsed. */
  goOn(): void {
    this.#isPaused = false;
    for (const lease of [...this.#leases.values()]) this.#lapse(lease);
  }

  /** What was written to these keys from `revision` on. */
  since(revision: number, key: Buffer, end: Buffer): readonly Kept[] {
    const first = this.#history.findLastIndex((kept) => kept.revision < revision) + 1;
    const kept = this.#history.slice(first).filter(({ event: { kv } }) => isIn(kv, key, end));
    this.done.watched += kept.length;
    return kept;
  }

  /** Called after every commit. @returns stops it */
  watch(onCommit: () => void): () => void {
    this.#watchers.add(onCommit);
    return () => void this.#watchers.delete(onCommit);
  }

  #renew(lease: Lease): void {
    lease.expiresMs = this.#world.nowMs + lease.ttlMs;
    this.#world.after(lease.ttlMs, () => this.#lapse(lease));
  }

  #lapse({ id, expiresMs }: Lease): void {
    if (this.#isPaused || this.#world.nowMs < expiresMs) return;
    if (this.revoke(id)) this.#world.say(`etcd: lease ${id} lapsed`);
  }

  #find(key: Buffer | undefined, end: Buffer | undefined): readonly IKeyValue[] {
    const first = key ?? ZERO;
    if (end === undefined || end.length === 0) {
      const one = this.#kvs.get(textOf(first));
      return one === undefined ? [] : [one];
    }
    return inOrder([...this.#kvs.values()].filter((kv) => isIn(kv, first, end)));
  }

  /** All that is written in `work` is of one revision. */
  #commit<T>(work: () => T): T {
    const before = this.#history.length;
    this.revision += 1;
    const result = work();
    if (this.#history.length === before) {
      this.revision -= 1; // Nothing was written.
      return result;
    }
    for (const onCommit of [...this.#watchers]) onCommit();
    return result;
  }

  /** What etcd checks before it does anything. */
  #refuse(request: ITxnRequest): void {
    const operations = request.success ?? [];
    if (operations.length > OPERATIONS_MAX) throw new Error("too many operations in txn request");
    const written = new Set<string>();
    const check = (operation: IRequestOp, isChosen: boolean): void => {
      const { request_put, request_delete_range, request_txn } = operation;
      const key = request_put?.key ?? request_delete_range?.key;
      if (key !== undefined) {
        if (written.has(textOf(key))) throw new Error("duplicate key given in txn request");
        written.add(textOf(key));
      }
      const lease = String(request_put?.lease ?? "0");
      if (isChosen && lease !== "0" && !this.#leases.has(lease)) {
        throw new EtcdLeaseInvalidError(lease);
      }
      const isNextChosen =
        isChosen && (request_txn?.compare ?? []).every((one) => this.#holds(one));
      for (const inner of request_txn?.success ?? []) check(inner, isNextChosen);
    };
    for (const operation of operations) check(operation, true);
  }

  #transact({ compare = [], success = [], failure = [] }: ITxnRequest): ITxnResponse {
    const succeeded = compare.every((one) => this.#holds(one));
    const operations = succeeded ? success : failure;
    const responses = operations.map((operation) => this.#apply(operation));
    return { header: this.#headerAfter(), succeeded, responses };
  }

  /** A transaction that writes nothing is answered with the revision before it. */
  #headerAfter() {
    const last = this.#history.at(-1)?.revision ?? 1;
    return { ...this.header, revision: String(Math.max(last, 1)) };
  }

  #apply(operation: IRequestOp): IResponseOp {
    const { request_range, request_put, request_delete_range, request_txn } = operation;
    const response: Partial<IResponseOp> = {};
    if (request_range !== undefined) response.response_range = this.range(request_range);
    if (request_put !== undefined) {
      const { key = ZERO, value = Buffer.alloc(0), lease = "0", prev_kv } = request_put;
      const before = this.#put(key, value, String(lease));
      const isAsked = prev_kv === true && before !== undefined;
      response.response_put = {
        header: this.header,
        ...(isAsked && { prev_kv: before }),
      } as IResponseOp["response_put"];
    }
    if (request_delete_range !== undefined) {
      const found = this.#find(request_delete_range.key, request_delete_range.range_end);
      for (const { key } of found) this.#remove(key);
      response.response_delete_range = {
        header: this.header,
        deleted: String(found.length),
        prev_kvs: [],
      };
    }
    if (request_txn !== undefined) response.response_txn = this.#transact(request_txn);
    return response as IResponseOp;
  }

  #put(key: Buffer, value: Buffer, lease: string): IKeyValue | undefined {
    const before = this.#kvs.get(textOf(key));
    const mod_revision = String(this.revision);
    const kv: IKeyValue = {
      key: Buffer.from(key),
      value: Buffer.from(value),
      lease,
      mod_revision,
      create_revision: before?.create_revision ?? mod_revision,
      version: String(Number(before?.version ?? 0) + 1),
    };
    this.#kvs.set(textOf(key), kv);
    this.#note("Put", kv);
    return before;
  }

  #remove(key: Buffer): void {
    const before = this.#kvs.get(textOf(key));
    if (before === undefined) return;
    this.#kvs.delete(textOf(key));
    const kv = { ...before, value: Buffer.alloc(0), mod_revision: String(this.revision) };
    this.#note("Delete", kv);
  }

  #note(type: IEvent["type"], kv: IKeyValue): void {
    this.done.writes += 1;
    this.#history.push({ revision: this.revision, event: { type, kv } as IEvent });
  }

  #holds({ key, target = "Version", result = "Equal", ...operand }: ICompare): boolean {
    const kv = this.#kvs.get(textOf(key));
    const sign = (one: number, other: number) => Math.sign(one - other);
    const difference = (): number => {
      switch (target) {
        case "Mod":
          return sign(Number(kv?.mod_revision ?? 0), Number(operand.mod_revision ?? 0));
        case "Create":
          return sign(Number(kv?.create_revision ?? 0), Number(operand.create_revision ?? 0));
        case "Version":
          return sign(Number(kv?.version ?? 0), Number(operand.version ?? 0));
        case "Value":
          if (kv === undefined) return Number.NaN; // A key that is not there has no value.
          return Buffer.compare(kv.value, operand.value ?? Buffer.alloc(0));
        default:
          throw new Error(`Cannot compare ${String(target)}: the model does not know it`);
      }
    };
    const by = difference();
    switch (result) {
      case "Equal":
        return by === 0;
      case "Greater":
        return by > 0;
      case "Less":
        return by < 0;
      case "NotEqual":
        return by !== 0;
      default:
        throw new Error(`Cannot compare ${String(result)}: the model does not know it`);
    }
  }
}
