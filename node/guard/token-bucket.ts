/** A token bucket: so many at once, then so many over time. Two numbers; time is handed in. */

export interface Rate {
  /** How many may be taken at once. */
  readonly capacity: number;
  /** Milliseconds in which as many come back. */
  readonly windowMs: number;
}

export class TokenBucket {
  readonly #rate: Rate;
  #tokens: number;
  #atMs: number;

  /** A full bucket. @param nowMs from a monotonic clock, as for every other call. */
  constructor(rate: Rate, nowMs: number) {
    this.#rate = rate;
    this.#tokens = rate.capacity;
    this.#atMs = nowMs;
  }

  /** Whether one token is there, without taking it. */
  hasOne(nowMs: number): boolean {
    this.#refill(nowMs);
    return this.#tokens >= 1;
  }

  /** Takes one token; false when there is none. */
  take(nowMs: number): boolean {
    if (!this.hasOne(nowMs)) return false;
    this.#tokens -= 1;
    return true;
  }

  #refill(nowMs: number): void {
    const { capacity, windowMs } = this.#rate;
    const passedMs = Math.max(0, nowMs - this.#atMs);
    this.#tokens = Math.min(capacity, this.#tokens + (passedMs * capacity) / windowMs);
    this.#atMs = nowMs;
  }
}
