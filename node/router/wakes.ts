/**
 * Nodes that could not be told of something stored for a user who is online: told again until they
 * have heard, or nobody is online any more. Without that it would lie there until the next login.
 */
import type { Clock, Timer } from "../base/clock.ts";

const FIRST_PAUSE_MS = 1_000;
const PAUSE_MAX_MS = 30_000;
const ATTEMPTS_MAX = 30;
const USERS_MAX = 10_000;
const AT_ONCE = 50;

interface Missed {
  attempts: number;
  dueMs: number;
}

export class Wakes {
  readonly #clock: Clock;
  /** Tells who must hear; rejects when they may not have. */
  readonly #wake: (user: string) => Promise<void>;
  readonly #missed = new Map<string, Missed>();
  #timer: Timer | undefined;

  constructor(clock: Clock, wake: (user: string) => Promise<void>) {
    this.#clock = clock;
    this.#wake = wake;
  }

  /** Users whose nodes are still to be told. */
  get size(): number {
    return this.#missed.size;
  }

  /** It failed just now: tried again, a little later each time. */
  missed(user: string): void {
    const missed = this.#missed.get(user) ?? { attempts: 0, dueMs: 0 };
    missed.attempts += 1;
    if (missed.attempts > ATTEMPTS_MAX || this.#missed.size >= USERS_MAX) {
      this.#missed.delete(user);
      return;
    }
    const pauseMs = Math.min(PAUSE_MAX_MS, FIRST_PAUSE_MS * 2 ** (missed.attempts - 1));
    missed.dueMs = this.#clock.monotonicMs() + pauseMs;
    this.#missed.set(user, missed);
    this.#tickLater();
  }

  #tickLater(): void {
    if (this.#missed.size === 0) return;
    this.#timer ??= this.#clock.after(FIRST_PAUSE_MS, () => void this.#tick());
  }

  async #tick(): Promise<void> {
    const nowMs = this.#clock.monotonicMs();
    const due = [...this.#missed].filter(([, { dueMs }]) => dueMs <= nowMs).slice(0, AT_ONCE);
    await Promise.all(due.map(([user, missed]) => this.#again(user, missed)));
    this.#timer = undefined;
    this.#tickLater();
  }

  async #again(user: string, missed: Missed): Promise<void> {
    try {
      await this.#wake(user);
      if (this.#missed.get(user) === missed) this.#missed.delete(user);
    } catch {
      this.missed(user);
    }
  }
}
