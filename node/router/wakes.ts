/**
 * Who must look into the offline store. Nodes that could not be told of something stored for a user who
 * is online are told again until they have heard, or nobody is online any more: without that it would
 * lie there until the next login. Whose sender goes on at another node is told by that one as well, which
 * lets nothing overtake it meanwhile.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { ClientSession } from "../session/contract.ts";
import { carried } from "./carried.ts";
import type { Shadows } from "./shadows.ts";

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
   * @param isFirst it was not tried before
   * @returns false: those who could be found, and there may be more
   */
  readonly wake: (user: string, isFirst: boolean) => Promise<boolean>;
  readonly shadows: () => Pick<Shadows, "stateChanged"> | undefined;
}

/** In a session's state: users for whom something of its client's is stored that they were not told of. */
const UNTOLD = "untold-users";

export class Wakes {
  readonly #parts: WakesParts;
  readonly #missed = new Map<string, Missed>();
  /** A copy may still have those who were told since: they are told once more. */
  readonly carried = carried<ReadonlySet<string>>(
    UNTOLD,
    (users) => [...users].filter((user) => this.isWaiting(user)),
    (users: readonly string[]) => new Set(users),
    (users, user: string) => new Set(users).add(user),
  );
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

  /** Something that its client said was stored. If nobody could be told, that goes along with the session. */
  stored(session: ClientSession, user: string): void {
    if (!this.isWaiting(user)) return;
    const users = [...untoldBy(session)].filter((one) => this.isWaiting(one));
    session.state.set(UNTOLD, new Set(users).add(user));
    this.#parts.shadows()?.stateChanged(session, UNTOLD, user);
  }

  /** It goes on here: what its client says from now on comes after what is stored. */
  takenOver(session: ClientSession): void {
    for (const user of untoldBy(session)) this.#put(user, 0, false, 0);
    void this.#tick();
  }

  /** Who could not be told may have been there alone: all are tried now. */
  nodeDown(): void {
    for (const [user, missed] of this.#missed) this.#missed.set(user, { ...missed, dueMs: 0 });
    void this.#tick();
  }

  async #tell(user: string, attempts: number): Promise<void> {
    const before = this.#missed.get(user);
    try {
      const isAll = await this.#parts.wake(user, attempts === 0);
      if (this.#missed.get(user) !== before) return; // More was stored, and is told of by itself.
      if (isAll) this.#missed.delete(user);
      else this.#put(user, attempts, true);
    } catch (error) {
      this.#parts.log.warn({ err: error }, "cannot wake user yet");
      this.#put(user, attempts, false);
    }
  }

  /** Tried again, a little later each time. */
  #put(
    user: string,
    attempts: number,
    isHeard: boolean,
    pauseMs = Math.min(PAUSE_MAX_MS, FIRST_PAUSE_MS * 2 ** attempts),
  ): void {
    const isKnown = this.#missed.has(user);
    if (attempts > ATTEMPTS_MAX || (!isKnown && this.#missed.size >= USERS_MAX)) {
      this.#missed.delete(user);
      return;
    }
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

const untoldBy = ({ state }: ClientSession): ReadonlySet<string> =>
  (state.get(UNTOLD) as ReadonlySet<string> | undefined) ?? NOBODY;
const NOBODY: ReadonlySet<string> = new Set();
