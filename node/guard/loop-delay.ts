/**
 * How late the node is with what it does, and what is put off for it: first history, then new connections,
 * which cost most before anybody has logged in. What has begun is finished: a login that is held up keeps
 * its client's connection, and is begun anew when the client has waited long enough.
 */
import type { Clock } from "../base/clock.ts";

export type Deferrable = "history" | "connection";

/** Each is put off from so many times the configured delay on. */
const PUT_OFF_FROM: Readonly<Record<Deferrable, number>> = { history: 1, connection: 5 };

const TICK_MS = 250;
/** Of the newest tick in the mean: one stall is forgotten after a second, a load is seen after one. */
const NEWEST_SHARE = 0.3;
/** A process that was stopped for minutes is not late for minutes. */
const LATE_MAX_MS = 10_000;

export class LoopDelay {
  readonly #clock: Clock;
  readonly #putOffMs: number;
  readonly #waitedMs: (work: Deferrable) => number;
  readonly #meanMs: Record<Deferrable, number> = { history: 0, connection: 0 };
  #isStopped = false;

  /**
   * @param putOffMs the delay from which on history is put off; 0: nothing ever is
   * @param waitedMs how long what is to go before such work waits to be handled
   */
  constructor(clock: Clock, putOffMs: number, waitedMs: (work: Deferrable) => number = () => 0) {
    this.#clock = clock;
    this.#putOffMs = putOffMs;
    this.#waitedMs = waitedMs;
    this.#tickLater();
  }

  /** By how much history would be late, on a mean of the last second or so. */
  get meanMs(): number {
    return this.#meanMs.history;
  }

  isPutOff(work: Deferrable): boolean {
    return this.#putOffMs > 0 && this.#meanMs[work] >= this.#putOffMs * PUT_OFF_FROM[work];
  }

  stop(): void {
    this.#isStopped = true;
  }

  #tickLater(): void {
    const dueMs = this.#clock.monotonicMs() + TICK_MS;
    this.#clock.after(TICK_MS, () => {
      if (this.#isStopped) return;
      const lateMs = Math.max(0, this.#clock.monotonicMs() - dueMs);
      for (const work of ["history", "connection"] as const) {
        const newestMs = Math.min(LATE_MAX_MS, Math.max(lateMs, this.#waitedMs(work)));
        this.#meanMs[work] += (newestMs - this.#meanMs[work]) * NEWEST_SHARE;
      }
      this.#tickLater();
    });
  }
}
