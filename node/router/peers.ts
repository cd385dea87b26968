/** Which other nodes live, died, or are not known yet. */
import { LRUCache } from "lru-cache";
import type { Clock } from "../base/clock.ts";
import { Signals } from "../base/signals.ts";
import type { NodeRecord } from "../routes/contract.ts";

/** A route may name a node that joined a moment ago and that our watch has not shown us yet. */
const UNKNOWN_WAIT_MS = 2_000;
const DEAD_MAX = 1_000;

export class Peers {
  readonly #nodes: () => ReadonlyMap<string, NodeRecord>;
  readonly #dead = new LRUCache<string, true>({ max: DEAD_MAX });
  readonly #news: Signals;

  constructor(nodes: () => ReadonlyMap<string, NodeRecord>, clock: Clock) {
    this.#nodes = nodes;
    this.#news = new Signals(clock);
  }

  isDead(incarnation: string): boolean {
    return this.#dead.has(incarnation);
  }

  up(incarnation: string): void {
    this.#dead.delete(incarnation);
    this.#news.wake(incarnation);
  }

  down(incarnation: string): void {
    this.#dead.set(incarnation, true);
    this.#news.wake(incarnation);
  }

  /** True when it can be asked now; false when it is dead or does not appear within two seconds. */
  ready(incarnation: string): boolean | Promise<boolean> {
    if (this.#dead.has(incarnation)) return false;
    if (this.#nodes().has(incarnation)) return true;
    return this.#appears(incarnation);
  }

  async #appears(incarnation: string): Promise<boolean> {
    await this.#news.wait(incarnation, UNKNOWN_WAIT_MS);
    return !this.#dead.has(incarnation) && this.#nodes().has(incarnation);
  }
}
