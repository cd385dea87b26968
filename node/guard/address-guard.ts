/** What one network address may do at a door: connections at once, failed logins in a minute. */
import type { Clock } from "../base/clock.ts";
import { addressKey } from "./address.ts";
import { AddressBudget } from "./address-budget.ts";

export interface AddressLimits {
  /** Connections at once from one address; 0 for no limit. */
  readonly connectionsPerAddressMax: number;
  /** Failed logins from one address in a minute; 0 for no limit. */
  readonly failedLoginsPerAddressPerMinute: number;
}

const MINUTE_MS = 60_000;

export class AddressGuard {
  readonly #connectionsMax: number;
  /** Only addresses that are connected: bounded by the connections of the door. */
  readonly #connections = new Map<string, number>();
  readonly #failures: AddressBudget;

  constructor(limits: AddressLimits, clock: Clock) {
    this.#connectionsMax = limits.connectionsPerAddressMax;
    this.#failures = new AddressBudget(limits.failedLoginsPerAddressPerMinute, MINUTE_MS, clock);
  }

  /** Counts a connection in; false (and not counted) when the address has too many. */
  admit(address: string): boolean {
    if (this.#connectionsMax === 0) return true;
    const key = addressKey(address);
    const count = this.#connections.get(key) ?? 0;
    if (count >= this.#connectionsMax) return false;
    this.#connections.set(key, count + 1);
    return true;
  }

  /** Counts out a connection that was admitted. */
  release(address: string): void {
    if (this.#connectionsMax === 0) return;
    const key = addressKey(address);
    const count = this.#connections.get(key) ?? 0;
    if (count <= 1) this.#connections.delete(key);
    else this.#connections.set(key, count - 1);
  }

  /** Whether the address may try to log in now. */
  mayLogIn(address: string): boolean {
    return this.#failures.hasOne(address);
  }

  /** Remembers a failed login. */
  loginFailed(address: string): void {
    this.#failures.take(address);
  }
}
