/**
 * What a node cannot be told over the mesh it is told through etcd, if that can be reached: that the routes
 * of some users have changed, or that something is stored for them. One key for each pair of nodes; each write of it is a notice, and goes with the lease.
 */
import type { Locks } from "../base/locks.ts";
import type { KeyWatchOptions } from "./key-watch.ts";
import { KeyWatch } from "./key-watch.ts";
import type { Keys } from "./keys.ts";
import { textsOf } from "./keys.ts";
import type { LeaseKeeper } from "./lease.ts";
import type { Transactions } from "./transactions.ts";
import { put } from "./transactions.ts";

/** In one notice. Who is in none is told over the mesh when that goes again. */
const USERS_MAX = 1_000;

export interface NoticesParts
  extends Pick<KeyWatchOptions, "client" | "clock" | "log" | "requestTimeoutMs"> {
  readonly keys: Keys;
  readonly self: string;
  readonly lease: Pick<LeaseKeeper, "id">;
  readonly locks: Locks;
  readonly writes: Transactions;
  /** Another node has news of that user. */
  readonly onNotice: (user: string) => void;
}

export class Notices {
  readonly #parts: NoticesParts;
  readonly #watch: KeyWatch;
  /** Users of the next notice to each node. */
  readonly #next = new Map<string, Set<string>>();

  constructor(parts: NoticesParts) {
    this.#parts = parts;
    this.#watch = new KeyWatch({
      ...parts,
      range: parts.keys.noticesTo(parts.self),
      what: "notices",
      onPut: (_key, value) => textsOf(value).forEach(parts.onNotice),
      onDelete() {},
    });
  }

  begin(): void {
    this.#watch.begin();
  }

  stop(): void {
    this.#watch.stop();
  }

  /** One after the other to each node, with all that has gathered meanwhile. @throws Unavailable */
  async give(node: string, user: string): Promise<void> {
    const { keys, self, lease, locks, writes } = this.#parts;
    const users = this.#next.get(node) ?? new Set();
    if (users.size >= USERS_MAX) return;
    this.#next.set(node, users.add(user));
    const key = keys.notice(node, self);
    await locks.run(key, async () => {
      if (this.#next.get(node) !== users) return; // It went along with another.
      this.#next.delete(node);
      await writes.run({ request: put(key, Buffer.from(JSON.stringify([...users])), lease.id) });
    });
  }
}
