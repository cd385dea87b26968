/**
 * What must still happen in etcd after a call failed in doubt: a write that was not answered may
 * have been done, or may be done yet. Each chore is repeated until it succeeds, and once more later.
 */
import type { Clock, Timer } from "../base/clock.ts";

interface Chore {
  dueMs: number;
  /** Times it must still succeed. */
  left: number;
  failures: number;
  readonly work: () => Promise<void>;
}

const TICK_MS = 1_000;
/** Beyond the time etcd itself gives a request that it has taken. */
const AGAIN_MS = 10_000;
const FAILURES_MAX = 100;
const CHORES_MAX = 10_000;
const PER_TICK_MAX = 100;

export class Chores {
  readonly #clock: Clock;
  readonly #byKey = new Map<string, Chore>();
  #timer: Timer | undefined;
  #isClosed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  get size(): number {
    return this.#byKey.size;
  }

  /** Replaces the chore of the same key. */
  add(key: string, work: () => Promise<void>): void {
    if (this.#isClosed) return;
    if (this.#byKey.size >= CHORES_MAX) {
      for (const oldest of this.#byKey.keys()) {
        this.#byKey.delete(oldest);
        break;
      }
    }
    const dueMs = this.#clock.monotonicMs() + TICK_MS;
    this.#byKey.set(key, { dueMs, left: 2, failures: 0, work });
    this.#tickLater();
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#byKey.clear();
  }

  #tickLater(): void {
    if (this.#timer !== undefined || this.#byKey.size === 0 || this.#isClosed) return;
    this.#timer = this.#clock.after(TICK_MS, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const due = [...this.#byKey].filter(([, { dueMs }]) => dueMs <= nowMs).slice(0, PER_TICK_MAX);
    await Promise.all(due.map(([key, chore]) => this.#do(key, chore)));
    this.#timer = undefined;
    this.#tickLater();
  }

  async #do(key: string, chore: Chore): Promise<void> {
    try {
      await chore.work();
      chore.left -= 1;
      chore.dueMs = this.#clock.monotonicMs() + AGAIN_MS;
    } catch {
      chore.failures += 1;
      chore.dueMs = this.#clock.monotonicMs() + TICK_MS * Math.min(chore.failures, 10);
    }
    const isOver = chore.left === 0 || chore.failures >= FAILURES_MAX;
    if (isOver && this.#byKey.get(key) === chore) this.#byKey.delete(key);
  }
}
