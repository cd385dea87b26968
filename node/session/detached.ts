/** Sessions whose stream broke and whose clients may still come back: one timer for all of them. */
import type { Clock, Timer } from "../base/clock.ts";

/** How exactly the end of a window is kept. */
const TICK_MS = 1_000;

interface Expiring {
  /** Somebody is resuming it at this moment: its window stays open until that is decided. */
  readonly isClaimed: boolean;
  /** Ends it as a disconnect does. */
  close(): void;
}

export interface DetachedOptions {
  readonly clock: Clock;
  readonly sessionsMax: number;
  /** Told of each session that nobody came back to. */
  readonly onExpired: () => void;
}

export class Detached<S extends Expiring> {
  readonly #options: DetachedOptions;
  /** In the order they were detached in. */
  readonly #dueMs = new Map<S, number>();
  #timer: Timer | undefined;

  constructor(options: DetachedOptions) {
    this.#options = options;
  }

  get size(): number {
    return this.#dueMs.size;
  }

  all(): Iterable<S> {
    return this.#dueMs.keys();
  }

  /** Keeps it for so long. If there are too many, the one that waits the longest must end. */
  add(session: S, windowMs: number): void {
    const { clock, sessionsMax } = this.#options;
    this.#dueMs.set(session, clock.monotonicMs() + windowMs);
    this.#timer ??= clock.after(TICK_MS, () => this.#expire());
    if (this.#dueMs.size <= sessionsMax) return;
    for (const longest of this.#dueMs.keys()) {
      if (longest.isClaimed) continue;
      this.#end(longest);
      return;
    }
  }

  remove(session: S): void {
    this.#dueMs.delete(session);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  #expire(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [session, dueMs] of this.#dueMs) {
      if (dueMs <= nowMs && !session.isClaimed) this.#end(session);
    }
    this.#timer =
      this.#dueMs.size === 0 ? undefined : this.#options.clock.after(TICK_MS, () => this.#expire());
  }

  #end(session: S): void {
    this.#dueMs.delete(session);
    this.#options.onExpired();
    session.close();
  }
}
