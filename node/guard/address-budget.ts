/** How often one network address may do something in a stretch of time. */
import type { Clock } from "../base/clock.ts";
import { addressKey } from "./address.ts";
import { KeyedBudget } from "./keyed-budget.ts";

export class AddressBudget {
  readonly #budget: KeyedBudget;

  /**
   * @param max how often in `windowMs`, also all at once; 0 for no limit
   */
  constructor(max: number, windowMs: number, clock: Clock) {
    this.#budget = new KeyedBudget(max, windowMs, clock);
  }

  /** Whether the address has anything left, without using it. */
  hasOne(address: string): boolean {
    return this.#budget.hasOne(addressKey(address));
  }

  /** Uses one; false when nothing is left. */
  take(address: string): boolean {
    return this.#budget.take(addressKey(address));
  }
}
