/**
 * PBKDF2 beside the event loop, a few at a time. It runs on the thread pool that DNS and files
 * share, so a burst of logins must neither fill that pool nor an endless queue.
 */
import { pbkdf2 } from "node:crypto";
import { promisify } from "node:util";
import { Unavailable } from "../base/errors.ts";
import type { HashName } from "./hashes.ts";
import { HASH_BYTES } from "./hashes.ts";

const derive = promisify(pbkdf2);

export interface PasswordWorkLimits {
  /** Derivations at once; half of the thread pool by default. */
  readonly concurrent: number;
  /** Derivations that may wait. */
  readonly waitingMax: number;
}

export class PasswordWork {
  readonly #limits: PasswordWorkLimits;
  readonly #waiting: (() => void)[] = [];
  #running = 0;

  constructor(limits: PasswordWorkLimits = { concurrent: 2, waitingMax: 500 }) {
    this.#limits = limits;
  }

  /** SaltedPassword of RFC 5802, section 3. @throws Unavailable "auth-overload": too many wait. */
  async salted(
    password: string,
    salt: Buffer,
    iterations: number,
    hash: HashName,
  ): Promise<Buffer> {
    await this.#enter();
    try {
      return await derive(password, salt, iterations, HASH_BYTES[hash], hash);
    } finally {
      this.#leave();
    }
  }

  #enter(): Promise<void> | undefined {
    if (this.#running < this.#limits.concurrent) {
      this.#running += 1;
      return undefined;
    }
    if (this.#waiting.length >= this.#limits.waitingMax) {
      throw new Unavailable("auth-overload", "Cannot check a password: too many logins wait");
    }
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
    });
  }

  /** Hands the place to the next in line, if there is one. */
  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#running -= 1;
    else next();
  }
}
