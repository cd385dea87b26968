/** How long to wait before trying again: doubling, capped, with jitter so that many waiters
 * spread. */
import type { Random } from "./clock.ts";

export interface BackoffOptions {
  readonly firstMs: number;
  readonly maxMs: number;
}

/** The wait before attempt number `failures` + 1. Half of it is chance: never below half the step,
 * so that a waiter always waits; never above `maxMs`. `failures` counts from 1. */
export function backoffMs(failures: number, options: BackoffOptions, random: Random): number {
  const doublings = Math.min(Math.max(0, failures - 1), 40);
  const stepMs = Math.min(options.maxMs, options.firstMs * 2 ** doublings);
  return stepMs / 2 + (stepMs / 2) * random();
}

/** Remembers per key how often it failed in a row. Holds only keys that fail now. */
export class KeyedBackoff {
  readonly #failures = new Map<string, number>();
  readonly #options: BackoffOptions;
  readonly #random: Random;

  constructor(options: BackoffOptions, random: Random) {
    this.#options = options;
    this.#random = random;
  }

  /** Counts one more failure and says how long to wait. */
  nextMs(key: string): number {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    return backoffMs(failures, this.#options, this.#random);
  }

  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The key succeeded, or is gone. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  get size(): number {
    return this.#failures.size;
  }
}
