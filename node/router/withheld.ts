/**
 * Sessions whose clients are to have nothing that their shadows do not have: it might be given to them
 * again after a death. Not for long, since a node that does not answer must not keep anybody waiting.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { MovableSession } from "../session/contract.ts";

/** Many round trips between nodes that are busy; the repeats of a death within it are the price. */
export const WITHHELD_MS = 1_000;
/** So long for a session that may be another node's, unless this node's lease is proven before. */
export const DOUBT_MAX_MS = 10_000;

export class Withheld {
  readonly #clock: Clock;
  /** Since when each has waited for a word of its shadow, the longest first. */
  readonly #sinceMs = new Map<MovableSession, number>();
  /** Those that have waited long enough, until their shadows answer again. */
  readonly #late = new Set<MovableSession>();
  /** Those of which it is not known whether they are this node's still. */
  readonly #inDoubt = new Set<MovableSession>();
  #doubtUntilMs = 0;
  #timer: Timer | undefined;
  #dueMs = 0;
  #givenUp = 0;
  readonly #onLate: (session: MovableSession) => void;

  /** @param onLate a session's client has just been let have all that there was */
  constructor(clock: Clock, onLate: (session: MovableSession) => void) {
    this.#clock = clock;
    this.#onLate = onLate;
  }

  /** How often a client was not kept waiting any longer. */
  get givenUp(): number {
    return this.#givenUp;
  }

  isLate(session: MovableSession): boolean {
    return this.#late.size > 0 && this.#late.has(session);
  }

  /** Something is for its client: whether that waits until `letOut`. */
  mustWait(session: MovableSession): boolean {
    if (this.isLate(session)) return false;
    if (!this.#sinceMs.has(session)) this.#begin(session);
    return true;
  }

  /** Its shadow has what is for its client up to that place, or it has none. */
  letOut(session: MovableSession, until: number): void {
    this.#late.delete(session);
    const isWaiting = this.#sinceMs.delete(session);
    if (!session.letOut(until) && isWaiting) this.#begin(session);
  }

  /** Whether it may be another node's by now. */
  isInDoubt(session: MovableSession): boolean {
    return this.#inDoubt.size > 0 && this.#inDoubt.has(session);
  }

  /** The routes say that what is here still is this node's. */
  noDoubt(): void {
    for (const session of [...this.#inDoubt]) this.#isOurs(session);
  }

  /** Its shadow says that it is not, or is silent. */
  #isOurs(session: MovableSession): void {
    if (this.#inDoubt.delete(session)) session.goOn();
  }

  /**
   * Its shadow may have taken it over: it waits for a new word. This node may have stood still, and the
   * shadow not have been silent at all.
   * @param settled see Shadow
   */
  doubt(session: MovableSession, settled: Promise<boolean>): void {
    this.#inDoubt.add(session);
    this.#doubtUntilMs = this.#clock.monotonicMs() + DOUBT_MAX_MS;
    this.#late.delete(session);
    this.#sinceMs.delete(session);
    this.#begin(session);
    void settled.then((isOurs) => isOurs && this.#isOurs(session));
  }

  end(session: MovableSession): void {
    this.#sinceMs.delete(session);
    this.#late.delete(session);
    this.#inDoubt.delete(session);
  }

  #begin(session: MovableSession): void {
    this.#sinceMs.set(session, this.#clock.monotonicMs());
    if (this.#timer === undefined) this.#expireAfter(WITHHELD_MS);
  }

  #expireAfter(ms: number): void {
    this.#dueMs = this.#clock.monotonicMs() + ms;
    this.#timer = this.#clock.after(ms, () => this.#expire());
  }

  #expire(): void {
    this.#timer = undefined;
    const nowMs = this.#clock.monotonicMs();
    if (nowMs - this.#dueMs > WITHHELD_MS) {
      // This node has stood still: nobody could have answered.
      for (const session of this.#sinceMs.keys()) this.#sinceMs.set(session, nowMs);
    }
    for (const [session, sinceMs] of this.#sinceMs) {
      const leftMs = sinceMs + WITHHELD_MS - nowMs;
      if (leftMs > 0) {
        this.#expireAfter(leftMs);
        return;
      }
      this.#sinceMs.delete(session);
      if (this.isInDoubt(session) && nowMs < this.#doubtUntilMs) {
        this.#sinceMs.set(session, nowMs);
        continue;
      }
      this.#late.add(session);
      this.#givenUp += 1;
      session.letOut(Number.POSITIVE_INFINITY);
      this.#onLate(session);
      this.#isOurs(session);
    }
  }
}
