/**
 * Copies of sessions that must not be used any more, because their owner went on without the node
 * that has them: a note for each pair of nodes. It outlives the leases of both (note-lease.ts), and who has
 * copies must look before it goes by itself.
 */
import type { ICompare, IKeyValue } from "etcd3";
import { Unavailable } from "../base/errors.ts";
import type { EtcdClient } from "./client.ts";
import type { CopyOrigin } from "./contract.ts";
import type { Keys } from "./keys.ts";
import type { LeaseKeeper } from "./lease.ts";
import type { NoteLease } from "./note-lease.ts";
import type { Operation, TransactionsOptions } from "./transactions.ts";
import { conditional, hasValue, isWrittenAt, put, Transactions } from "./transactions.ts";

const ATTEMPTS_MAX = 5;

export interface VoidCopiesOptions
  extends Pick<TransactionsOptions, "keys" | "clock" | "requestTimeoutMs"> {
  readonly client: EtcdClient;
  /** This node. */
  readonly self: string;
  readonly lease: Pick<LeaseKeeper, "id">;
  readonly noteLease: NoteLease;
}

export class VoidCopies {
  readonly #options: VoidCopiesOptions;
  readonly #transactions: Transactions;
  /** The last renunciation at each node, while it lasts. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(options: VoidCopiesOptions) {
    this.#options = options;
    // Of its own: that the lease of a note is gone says nothing about ours.
    this.#transactions = new Transactions({
      ...options,
      kv: options.client.kv,
      what: "note void copies",
      onFailure: () => options.noteLease.forget(),
    });
  }

  /**
   * See Routes. One after the other at each node: two in one transaction would write the same key, which
   * etcd refuses, again and again when they are tried again together.
   * @throws Unavailable
   */
  async renounce(node: string, term: number): Promise<void> {
    const before = this.#last.get(node) ?? Promise.resolve();
    const turn = before.catch(() => undefined).then(() => this.#note(node, term));
    this.#last.set(node, turn);
    try {
      await turn;
    } finally {
      if (this.#last.get(node) === turn) this.#last.delete(node);
    }
  }

  async #note(node: string, term: number): Promise<void> {
    const { keys, lease, noteLease } = this.#options;
    const key = keys.voidCopies(node, this.#options.self);
    const own = keys.node(this.#options.self);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const leaseId = lease.id; // Throws without one.
      const noteLeaseId = await noteLease.id();
      const [self, note] = await Promise.all([this.#read(own), this.#read(key)]);
      if (termIn(note) >= term) return;
      if (self?.lease !== leaseId) {
        throw new Unavailable(
          "routes-lost-lease",
          "Cannot note void copies: the lease is not ours",
        );
      }
      // The lease that this node has now, and no later note of ours.
      const request = conditional([unchanged(own, self), unchanged(key, note)], {
        writes: [put(key, Buffer.from(String(term)), noteLeaseId)],
      });
      const { response } = await this.#transactions.run({ request });
      if (response?.response_txn?.succeeded === true) return;
    }
    throw new Unavailable("routes-unavailable", "Cannot note void copies: it keeps changing");
  }

  /** See Routes. @throws Unavailable */
  async renounced(): Promise<ReadonlyMap<string, number>> {
    const { keys, self } = this.#options;
    const { key, end } = keys.voidCopiesOf(self);
    const notes = await this.#find({ request: { request_range: { key, range_end: end } } });
    return new Map(notes.map((note) => [keys.ownerIn(note.key, self), termIn(note)]));
  }

  close(): void {
    this.#transactions.close();
  }

  async #read(key: string): Promise<IKeyValue | undefined> {
    const [found] = await this.#find({ request: { request_range: { key: Buffer.from(key) } } });
    return found;
  }

  async #find(operation: Operation): Promise<readonly IKeyValue[]> {
    const { response } = await this.#transactions.run(operation);
    return response?.response_range?.kvs ?? [];
  }
}

/** Holds as long as no more copies of that owner are void than when it was looked at. */
export function stillValid(keys: Keys, self: string, { owner, voidTerm }: CopyOrigin): ICompare {
  const key = keys.voidCopies(self, owner);
  return voidTerm === 0 ? isWrittenAt(key, 0) : hasValue(key, Buffer.from(String(voidTerm)));
}

const termIn = (note: IKeyValue | undefined): number => {
  const term = Number(note?.value.toString("utf8") ?? 0);
  return Number.isSafeInteger(term) ? term : 0;
};

const unchanged = (key: string, found: IKeyValue | undefined): ICompare =>
  isWrittenAt(key, Number(found?.mod_revision ?? 0));
