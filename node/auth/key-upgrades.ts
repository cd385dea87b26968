/**
 * Accounts older than SCRAM-SHA-512 get keys for it when their password is seen, which is at a login
 * with PLAIN. It happens beside the login, a few at a time; what there is no time for waits for the
 * user's next login.
 */
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Accounts, Credentials } from "../stores/contract.ts";
import type { KeyOptions } from "./credentials.ts";
import { makeKeys } from "./credentials.ts";

const AT_ONCE_MAX = 4;

export interface KeyUpgradeStats {
  made: number;
  failed: number;
}

export class KeyUpgrades {
  readonly stats: KeyUpgradeStats = { made: 0, failed: 0 };
  readonly #accounts: Pick<Accounts, "addKeys">;
  readonly #options: KeyOptions;
  readonly #log: Logger;
  readonly #running = new Map<string, Promise<void>>();

  constructor(accounts: Pick<Accounts, "addKeys">, options: KeyOptions, log: Logger) {
    this.#accounts = accounts;
    this.#options = options;
    this.#log = log;
  }

  /**
   * Adds what the credentials lack.
   * @param prepared the right password, prepared by RFC 4013
   */
  consider(user: string, credentials: Credentials, prepared: string): void {
    if (credentials["SCRAM-SHA-512"] !== undefined) return;
    if (this.#running.size >= AT_ONCE_MAX || this.#running.has(user)) return;
    const work = this.#add(user, credentials, prepared)
      .catch((error: unknown) => {
        this.stats.failed += 1;
        const fields = error instanceof Unavailable ? { code: error.code } : { err: error };
        this.#log.warn(fields, "keys-not-added");
      })
      .finally(() => this.#running.delete(user));
    this.#running.set(user, work);
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await Promise.all(this.#running.values());
  }

  async #add(user: string, credentials: Credentials, prepared: string): Promise<void> {
    const keys = await makeKeys("SCRAM-SHA-512", prepared, this.#options);
    const complete = { ...credentials, "SCRAM-SHA-512": keys };
    if (await this.#accounts.addKeys(user, credentials, complete)) this.stats.made += 1;
  }
}
