/**
 * Copies of sessions that must not be used any more, because their owner went on without the node
 * that has them: a note for each pair of nodes, on the lease of the node that has the copies. So it
 * outlives the owner, and goes with that node, whose copies go then, too.
 */
import type { ICompare, IKeyValue } from "etcd3";
import { Unavailable } from "../base/errors.ts";
import type { CopyOrigin } from "./contract.ts";
import type { Keys } from "./keys.ts";
import type { LeaseKeeper } from "./lease.ts";
import type { TransactionsOptions } from "./transactions.ts";
import { put, Transactions } from "./transactions.ts";

const ATTEMPTS_MAX = 5;

export interface VoidCopiesOptions
  extends Pick<TransactionsOptions, "kv" | "keys" | "clock" | "requestTimeoutMs"> {
  /** This node. */
  readonly self: string;
  readonly lease: Pick<LeaseKeeper, "id">;
}

export class VoidCopies {
  readonly #options: VoidCopiesOptions;
  readonly #transactions: Transactions;
  /** The last renunciation at each node, while it lasts. */
  readonly #last = new Map<string, Promise<void>>();

  constructor(options: VoidCopiesOptions) {
    this.#options = options;
    // Of its own: that another node's lease is gone says nothing about ours.
    this.#transactions = new Transactions({
      ...options,
      what: "note void copies",
      onFailure: () => {},
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
    const { keys, lease } = this.#options;
    const key = keys.voidCopies(node, this.#options.self);
    const [own, other] = [keys.node(this.#options.self), keys.node(node)];
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const leaseId = lease.id; // Throws without one.
      const reads = [own, other, key].map((one) => this.#read(one));
      const [self, record, note] = await Promise.all(reads);
      if (record === undefined || termIn(note) >= term) return;
      if (self?.lease !== leaseId) {
        throw new Unavailable(
          "routes-lost-lease",
          "Cannot note void copies: the lease is not ours",
        );
      }
      const request = {
        request_txn: {
          // The leases that both have now, and no later note of ours.
          compare: [unchanged(own, self), unchanged(other, record), unchanged(key, note)],
          success: [put(key, Buffer.from(String(term)), record.lease)],
        },
      };
      const { response } = await this.#transactions.run({ request });
      if (response?.response_txn?.succeeded === true) return;
    }
    throw new Unavailable("routes-unavailable", "Cannot note void copies: it keeps changing");
  }

  /** See Routes. @throws Unavailable */
  async renounced(owner: string): Promise<number> {
    const { keys, self } = this.#options;
    return termIn(await this.#read(keys.voidCopies(self, owner)));
  }

  close(): void {
    this.#transactions.close();
  }

  async #read(key: string): Promise<IKeyValue | undefined> {
    const request = { request_range: { key: Buffer.from(key) } };
    const { response } = await this.#transactions.run({ request });
    return response?.response_range?.kvs[0];
  }
}

/** Holds as long as no more copies of that owner are void than when it was looked at. */
export function stillValid(keys: Keys, self: string, { owner, voidTerm }: CopyOrigin): ICompare {
  const key = Buffer.from(keys.voidCopies(self, owner));
  if (voidTerm === 0) return { key, target: "Create", result: "Equal", create_revision: 0 };
  return { key, target: "Value", result: "Equal", value: Buffer.from(String(voidTerm)) };
}

const termIn = (note: IKeyValue | undefined): number => {
  const term = Number(note?.value.toString("utf8") ?? 0);
  return Number.isSafeInteger(term) ? term : 0;
};

const unchanged = (key: string, found: IKeyValue | undefined) =>
  ({
    key: Buffer.from(key),
    target: "Mod",
    result: "Equal",
    mod_revision: Number(found?.mod_revision ?? 0),
  }) as const;
