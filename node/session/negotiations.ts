/** The streams that have no session yet: each has the same time, so one timer serves them all. */
import type { Clock, Timer } from "../base/clock.ts";
import type { Negotiation } from "./negotiate.ts";

export class Negotiations {
  readonly #clock: Clock;
  readonly #timeMs: number;
  /** In the order they began, which is the order in which they fall due. */
  readonly #dueMs = new Map<Negotiation, number>();
  #timer: Timer | undefined;

  constructor(clock: Clock, timeMs: number) {
    this.#clock = clock;
    this.#timeMs = timeMs;
  }

  get size(): number {
    return this.#dueMs.size;
  }

  add(negotiation: Negotiation): void {
    this.#dueMs.set(negotiation, this.#clock.monotonicMs() + this.#timeMs);
    this.#timer ??= this.#clock.after(this.#timeMs, () => this.#expire());
  }

  remove(negotiation: Negotiation): void {
    this.#dueMs.delete(negotiation);
  }

  /**
   * Ends them with a condition of RFC 6120, 4.9.3.
   * @param domain only those that asked for it; all of them if left out
   */
  closeAll(condition: string, domain?: string): void {
    for (const negotiation of [...this.#dueMs.keys()]) {
      if (domain === undefined || negotiation.domain === domain) negotiation.close(condition);
    }
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    for (const [negotiation, dueMs] of this.#dueMs) {
      if (dueMs > nowMs) {
        this.#timer = this.#clock.after(dueMs - nowMs, () => this.#expire());
        return;
      }
      this.#dueMs.delete(negotiation);
      negotiation.close("connection-timeout");
    }
  }
}
