/**
 * Rights to act alone: each is a key that can be made only once, on the node's lease. Its value says
 * who made it, and the revision at which it was made is the token that fences its work.
 */

import type { Clock } from "../base/clock.ts";
import type { Locks } from "../base/locks.ts";
import type { Logger } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { randomId } from "../base/random.ts";
import type { Chores } from "./chores.ts";
import type { EtcdClient } from "./client.ts";
import type { Claim, Holder } from "./contract.ts";
import { KeyWatch } from "./key-watch.ts";
import type { Keys } from "./keys.ts";
import type { LeaseKeeper } from "./lease.ts";
import type { Transactions } from "./transactions.ts";
import { conditional, hasValue, put, remove, wasDone, whenWrittenAt } from "./transactions.ts";

export interface ClaimParts {
  readonly client: Pick<EtcdClient, "kv" | "watchClient">;
  readonly self: string;
  readonly keys: Keys;
  readonly lease: LeaseKeeper;
  readonly locks: Locks;
  readonly writes: Transactions;
  readonly chores: Chores;
  readonly random: Random;
  readonly clock: Clock;
  readonly log: Logger;
  readonly requestTimeoutMs: number;
}

export class Claims {
  readonly #parts: ClaimParts;
  readonly #held = new Set<HeldClaim>();
  /** Claims that are to be removed as soon as etcd answers, by key. */
  readonly #left = new Map<string, Buffer>();
  readonly #watches = new Set<KeyWatch>();

  constructor(parts: ClaimParts) {
    this.#parts = parts;
  }

  /** Undefined when another holds it, in this node or elsewhere. @throws Unavailable "routes-…" */
  take(name: string): Promise<Claim | undefined> {
    const { keys, self, lease, locks, writes, chores, random } = this.#parts;
    const key = keys.claim(name);
    // Unique, so that a chore removes this claim and no later one.
    const value = Buffer.from(`${self}/${randomId(random)}`);
    const release = async () => {
      await locks.run(key, () => this.#remove(key, value));
    };
    const releaseLater = () => {
      this.#left.set(key, value);
      chores.add(`${key} ${value}`, release);
    };
    return locks.run(key, async () => {
      // Our own, given back while etcd was away, is nobody's.
      const left = this.#left.get(key);
      if (left !== undefined) await this.#remove(key, left);
      const leaseId = lease.id;
      const request = whenWrittenAt(key, 0, { writes: [put(key, value, leaseId)] });
      const outcome = await writes.run({ request }).catch((error: unknown) => {
        releaseLater(); // It may have been made nevertheless.
        throw error;
      });
      if (!wasDone(outcome)) return undefined;
      const claim = new HeldClaim(name, outcome.revision, {
        isProven: () => lease.isHeld && lease.id === leaseId,
        release: async () => {
          this.#held.delete(claim);
          await release().catch(releaseLater);
        },
        releaseLater,
      });
      this.#held.add(claim);
      if (!claim.isHeld) this.#lose(claim); // The lease was lost while etcd made it.
      return claim;
    });
  }

  async #remove(key: string, value: Buffer): Promise<void> {
    await this.#parts.writes.run({ request: whileItHolds(key, value) });
    if (this.#left.get(key) === value) this.#left.delete(key);
  }

  /** The lease cannot be proven any more. */
  loseAll(): void {
    for (const claim of [...this.#held]) this.#lose(claim);
  }

  #lose(claim: HeldClaim): void {
    this.#held.delete(claim);
    claim.lose();
  }

  watch(name: string, onHolder: (holder: Holder | undefined) => void): () => void {
    const key = Buffer.from(this.#parts.keys.claim(name));
    let isKnown = false;
    const tell = (holder: Holder | undefined) => {
      isKnown = true;
      onHolder(holder);
    };
    const watch = new KeyWatch({
      ...this.#parts,
      range: { key, end: Buffer.concat([key, Buffer.from([0])]) },
      what: `claim ${name}`,
      onPut: (_, value, token) => tell({ node: holderIn(value), token }),
      onDelete: () => tell(undefined),
      onListed: () => {
        if (!isKnown) tell(undefined);
      },
    });
    this.#watches.add(watch);
    watch.begin();
    return () => {
      watch.stop();
      this.#watches.delete(watch);
    };
  }

  close(): void {
    for (const watch of this.#watches) watch.stop();
    this.#watches.clear();
    this.loseAll();
  }
}

interface Means {
  readonly isProven: () => boolean;
  readonly release: () => Promise<void>;
  readonly releaseLater: () => void;
}

class HeldClaim implements Claim {
  readonly name: string;
  readonly token: number;
  readonly #over = new AbortController();
  readonly #means: Means;

  constructor(name: string, token: number, means: Means) {
    this.name = name;
    this.token = token;
    this.#means = means;
  }

  get isHeld(): boolean {
    return !this.#over.signal.aborted && this.#means.isProven();
  }

  get over(): AbortSignal {
    return this.#over.signal;
  }

  /** Nobody works under it any more; but the lease may be proven again, and its key with it. */
  lose(): void {
    this.#over.abort();
    this.#means.releaseLater();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#over.abort();
    await this.#means.release();
  }
}

/** The node that wrote it; "" for a claim of a version that did not say so. */
/** What a later version says behind the second part is left to it. */
const holderIn = (value: Buffer): string => {
  const [holder = "", token] = value.toString("utf8").split("/");
  return token === undefined ? "" : holder;
};

const whileItHolds = (key: string, value: Buffer) =>
  conditional([hasValue(key, value)], { writes: [remove(key)] });
