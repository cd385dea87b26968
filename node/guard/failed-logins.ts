/**
 * Wrong passwords, by network address and by account, over all nodes: each node counts its own and
 * what the others tell it about once in a second. So a cluster lets through what it allows, and on
 * top of that what was tried on several nodes within that second.
 */
import type { Clock } from "../base/clock.ts";
import { addressKey } from "./address.ts";
import { KeyedBudget } from "./keyed-budget.ts";

export interface FailedLoginLimits {
  /** Failed logins from one address in a minute; 0 for no limit. */
  readonly failedLoginsPerAddressPerMinute: number;
  /** The same for one account, from all addresses together that it has not logged in from lately. */
  readonly failedLoginsPerAccountPerMinute: number;
}

/** How often each has failed. */
export interface FailedLoginReport {
  readonly addresses: ReadonlyMap<string, number>;
  readonly accounts: ReadonlyMap<string, number>;
}

export interface FailedLoginCounts {
  /** Attempts refused because there were too many failures before. */
  refused: number;
  /** Failures that other nodes were not told of: too many in one second. */
  untold: number;
}

const MINUTE_MS = 60_000;
const TELL_EVERY_MS = 1_000;
/** Addresses in one report, and accounts. */
export const REPORTED_MAX = 1_000;
/** Pairs of account and address that have logged in; beyond it the oldest is forgotten. */
const FAMILIAR_MAX = 50_000;

export class FailedLogins {
  readonly counts: FailedLoginCounts = { refused: 0, untold: 0 };
  readonly #clock: Clock;
  readonly #tell: ((report: FailedLoginReport) => void) | undefined;
  readonly #limits: FailedLoginLimits;
  readonly #addresses: KeyedBudget;
  readonly #accounts: KeyedBudget;
  /** An owner who logs in as ever is not kept out by somebody who guesses. */
  readonly #familiar = new Set<string>();
  #untold = { addresses: new Map<string, number>(), accounts: new Map<string, number>() };
  #isTelling = false;

  /** @param tell what this node saw since the last time; a node alone tells nobody */
  constructor(limits: FailedLoginLimits, clock: Clock, tell?: (report: FailedLoginReport) => void) {
    this.#clock = clock;
    this.#tell = tell;
    this.#limits = limits;
    const { failedLoginsPerAddressPerMinute, failedLoginsPerAccountPerMinute } = limits;
    this.#addresses = new KeyedBudget(failedLoginsPerAddressPerMinute, MINUTE_MS, clock);
    this.#accounts = new KeyedBudget(failedLoginsPerAccountPerMinute, MINUTE_MS, clock);
  }

  /** Whether the address may try to log in now. */
  mayLogIn(address: string): boolean {
    return this.#addresses.hasOne(addressKey(address));
  }

  /** Whether a password for that account may be checked, whether there is such an account or not. */
  mayTry(account: string, address: string): boolean {
    return this.#accounts.hasOne(account) || this.#familiar.has(pair(account, address));
  }

  /** @param account undefined when no account was named */
  failed(address: string, account: string | undefined): void {
    const key = addressKey(address);
    this.#addresses.take(key);
    if (account !== undefined) this.#accounts.take(account);
    if (this.#tell === undefined) return;
    const { failedLoginsPerAddressPerMinute, failedLoginsPerAccountPerMinute } = this.#limits;
    if (failedLoginsPerAddressPerMinute > 0) this.#note(this.#untold.addresses, key);
    if (failedLoginsPerAccountPerMinute > 0 && account !== undefined) {
      this.#note(this.#untold.accounts, account);
    }
  }

  succeeded(address: string, account: string): void {
    if (this.#limits.failedLoginsPerAccountPerMinute === 0) return;
    const key = pair(account, address);
    this.#familiar.delete(key);
    this.#familiar.add(key);
    if (this.#familiar.size <= FAMILIAR_MAX) return;
    const oldest = this.#familiar.keys().next().value;
    if (oldest !== undefined) this.#familiar.delete(oldest);
  }

  /** Another node tells what it saw. */
  heard({ addresses, accounts }: FailedLoginReport): void {
    const { failedLoginsPerAddressPerMinute, failedLoginsPerAccountPerMinute } = this.#limits;
    takeAll(this.#addresses, addresses, failedLoginsPerAddressPerMinute);
    takeAll(this.#accounts, accounts, failedLoginsPerAccountPerMinute);
  }

  #note(untold: Map<string, number>, key: string): void {
    const count = untold.get(key);
    if (count === undefined && untold.size >= REPORTED_MAX) {
      this.counts.untold += 1;
      return;
    }
    untold.set(key, (count ?? 0) + 1);
    if (this.#isTelling) return;
    this.#isTelling = true;
    this.#clock.after(TELL_EVERY_MS, () => {
      const report = this.#untold;
      this.#untold = { addresses: new Map(), accounts: new Map() };
      this.#isTelling = false;
      this.#tell?.(report);
    });
  }
}

const pair = (account: string, address: string): string => `${account} ${addressKey(address)}`;

/** More than empties a budget changes nothing. */
function takeAll(budget: KeyedBudget, counts: ReadonlyMap<string, number>, max: number): void {
  for (const [key, count] of counts) {
    for (let left = Math.min(count, max); left > 0; left -= 1) budget.take(key);
  }
}
