/** How often each of very many may do something in a stretch of time. */
import type { Clock } from "../base/clock.ts";
import { TokenBucket } from "./token-bucket.ts";

/** Who is remembered; beyond it the one longest unseen is forgotten. */
const REMEMBERED_MAX = 50_000;

export class KeyedBudget {
  readonly #max: number;
  readonly #windowMs: number;
  readonly #clock: Clock;
  /** In the order of last use. */
  readonly #buckets = new Map<string, TokenBucket>();

  /**
   * @param max how often in `windowMs`, also all at once; 0 for no limit
   */
  constructor(max: number, windowMs: number, clock: Clock) {
    this.#max = max;
    this.#windowMs = windowMs;
    this.#clock = clock;
  }

  /** Whether anything is left for that one, without using it. */
  hasOne(key: string): boolean {
    const bucket = this.#buckets.get(key);
    return bucket === undefined || bucket.hasOne(this.#clock.monotonicMs());
  }

  /** Uses one; false when nothing is left. */
  take(key: string): boolean {
    if (this.#max === 0) return true;
    const nowMs = this.#clock.monotonicMs();
    const rate = { capacity: this.#max, windowMs: this.#windowMs };
    const bucket = this.#buckets.get(key) ?? new TokenBucket(rate, nowMs);
    this.#buckets.delete(key);
    this.#buckets.set(key, bucket);
    if (this.#buckets.size > REMEMBERED_MAX) {
      const oldest = this.#buckets.keys().next().value;
      if (oldest !== undefined) this.#buckets.delete(oldest);
    }
    return bucket.take(nowMs);
  }
}
