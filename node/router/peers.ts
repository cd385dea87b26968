/** Which other nodes live, died, or are not known yet. */
import { LRUCache } from "lru-cache";
import type { Clock } from "../base/clock.ts";
import type { NodeRecord } from "../routes/contract.ts";

/** A route may name a node that joined a moment ago and that our watch has not shown us yet. */
const UNKNOWN_WAIT_MS = 2_000;
const DEAD_MAX = 1_000;

export class Peers {
  readonly #nodes: () => ReadonlyMap<string, NodeRecord>;
  readonly #clock: Clock;
  readonly #dead = new LRUCache<string, true>({ max: DEAD_MAX });
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(nodes: () => ReadonlyMap<string, NodeRecord>, clock: Clock) {
    this.#nodes = nodes;
    this.#clock = clock;
  }

  isDead(incarnation: string): boolean {
    return this.#dead.has(incarnation);
  }

  up(incarnation: string): void {
    this.#dead.delete(incarnation);
    this.#wake(incarnation);
  }

  down(incarnation: string): void {
    this.#dead.set(incarnation, true);
    this.#wake(incarnation);
  }

  /** True when it can be asked now; false when it is dead or does not appear within two seconds. */
  ready(incarnation: string): boolean | Promise<boolean> {
    if (this.#dead.has(incarnation)) return false;
    if (this.#nodes().has(incarnation)) return true;
    return this.#appears(incarnation);
  }

  async #appears(incarnation: string): Promise<boolean> {
    const waiting = this.#waiting.get(incarnation) ?? new Set();
    this.#waiting.set(incarnation, waiting);
    await new Promise<void>((resolve) => {
      const timer = this.#clock.after(UNKNOWN_WAIT_MS, done);
      function done() {
        timer.cancel();
        waiting.delete(done);
        resolve();
      }
      waiting.add(done);
    });
    if (waiting.size === 0) this.#waiting.delete(incarnation);
    return !this.#dead.has(incarnation) && this.#nodes().has(incarnation);
  }

  #wake(incarnation: string): void {
    for (const done of [...(this.#waiting.get(incarnation) ?? [])]) done();
  }
}
