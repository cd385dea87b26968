/**
 * Who must look into the offline store. Nodes that could not be told of something stored for a user who
 * is online are told again until they have heard, or nobody is online any more: without that it would
 * lie there until the next login.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";

const FIRST_PAUSE_MS = 1_000;
const PAUSE_MAX_MS = 30_000;
const ATTEMPTS_MAX = 30;
const USERS_MAX = 10_000;
const AT_ONCE = 50;

/** One for each time, so that what is stored while somebody is told is not taken for told. */
interface Missed {
  readonly attempts: number;
  readonly dueMs: number;
  /** Whoever could be found has heard. */
  readonly isHeard: boolean;
}

export interface WakesParts {
  readonly clock: Clock;
  readonly log: Logger;
  /**
   * Tells who must hear; rejects when they may not have.
   * @returns false: those who could be found, and there may be more
   */
  readonly wake: (user: string) => Promise<boolean>;
}

export class Wakes {
  readonly #parts: WakesParts;
  readonly #missed = new Map<string, Missed>();
  #timer: Timer | undefined;
  #isTicking = false;

  constructor(parts: WakesParts) {
    this.#parts = parts;
  }

  /** Users whose nodes are still to be told. */
  get size(): number {
    return this.#missed.size;
  }

  /** Something is stored for the user that nobody has heard of: what is delivered would overtake it. */
  isWaiting(user: string): boolean {
    return this.#missed.get(user)?.isHeard === false;
  }

  /** Something was stored. Never rejects. */
  tell(user: string): Promise<void> {
    return this.#tell(user, 0);
  }

  /** Who could not be told may have been there alone: all are tried now. */
  nodeDown(): void {
    for (const [user, missed] of this.#missed) this.#missed.set(user, { ...missed, dueMs: 0 });
    void this.#tick();
  }

  async #tell(user: string, attempts: number): Promise<void> {
    const before = this.#missed.get(user);
    try {
      const isAll = await this.#parts.wake(user);
      if (this.#missed.get(user) !== before) return; // More was stored, and is told of by itself.
      if (isAll) this.#missed.delete(user);
      else this.#put(user, attempts, true);
    } catch (error) {
      this.#parts.log.warn({ err: error }, "cannot wake user yet");
      this.#put(user, attempts, false);
    }
  }

  /** Tried again, a little later each time. */
  #put(user: string, attempts: number, isHeard: boolean): void {
    const isKnown = this.#missed.has(user);
    if (attempts > ATTEMPTS_MAX || (!isKnown && this.#missed.size >= USERS_MAX)) {
      this.#missed.delete(user);
      return;
    }
    const pauseMs = Math.min(PAUSE_MAX_MS, FIRST_PAUSE_MS * 2 ** attempts);
    const dueMs = this.#parts.clock.monotonicMs() + pauseMs;
    this.#missed.set(user, { attempts, dueMs, isHeard });
    this.#tickLater();
  }

  #tickLater(): void {
    if (this.#missed.size === 0) return;
    this.#timer ??= this.#parts.clock.after(FIRST_PAUSE_MS, () => {
      this.#timer = undefined;
      void this.#tick();
    });
  }

  async #tick(): Promise<void> {
    if (this.#isTicking) return;
    this.#isTicking = true;
    for (let due = this.#due(); due.length > 0; due = this.#due()) {
      await Promise.all(due.map(([user, { attempts }]) => this.#tell(user, attempts + 1)));
    }
    this.#isTicking = false;
    this.#tickLater();
  }

  #due(): readonly (readonly [string, Missed])[] {
    const nowMs = this.#parts.clock.monotonicMs();
    return [...this.#missed].filter(([, { dueMs }]) => dueMs <= nowMs).slice(0, AT_ONCE);
  }
}
