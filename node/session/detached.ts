/**
 * Sessions whose stream broke and whose clients may still come back: one timer for all of them. While
 * nobody can log in, because the store does not answer or this node has no lease, no window ends, nor
 * soon after that: no client could have come back, and they try now and then.
 */
import type { Clock, Timer } from "../base/clock.ts";

/** How exactly the end of a window is kept. */
const TICK_MS = 1_000;
/** How long windows stay open at least once clients can come back again. */
const AGAIN_MS = 60_000;
/** Longer than its window nobody is waited for. */
const OVERTIME_MS = 600_000;

interface Expiring {
  /** Somebody is resuming it at this moment: its window stays open until that is decided. */
  readonly isClaimed: boolean;
  /** Ends it as a disconnect does. */
  close(): void;
}

interface Window {
  readonly dueMs: number;
  /** It is due then, whatever clients can do. */
  readonly lastMs: number;
}

export interface DetachedOptions<S> {
  readonly clock: Clock;
  readonly sessionsMax: number;
  /** Whether the client of that session, and so any, could come back here now. Never rejects. */
  readonly canComeBack: (session: S) => Promise<boolean>;
  /** Told of each session that nobody came back to. */
  readonly onExpired: () => void;
}

export class Detached<S extends Expiring> {
  readonly #options: DetachedOptions<S>;
  /** In the order they were detached in. */
  readonly #windows = new Map<S, Window>();
  /** Until then none ends; also not one that opens again, because its session did not go elsewhere after all. */
  #openUntilMs = Number.NEGATIVE_INFINITY;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: DetachedOptions<S>) {
    this.#options = options;
  }

  get size(): number {
    return this.#windows.size;
  }

  all(): Iterable<S> {
    return this.#windows.keys();
  }

  /** Keeps it for so long. If there are too many, the one that waits the longest must end. */
  add(session: S, windowMs: number): void {
    const { clock, sessionsMax } = this.#options;
    const dueMs = clock.monotonicMs() + windowMs;
    this.#windows.set(session, { dueMs, lastMs: dueMs + OVERTIME_MS });
    this.#timer ??= clock.after(TICK_MS, () => void this.#expire());
    if (this.#windows.size <= sessionsMax) return;
    for (const longest of this.#windows.keys()) {
      if (longest.isClaimed) continue;
      this.#end(longest);
      return;
    }
  }

  remove(session: S): void {
    this.#windows.delete(session);
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  /** Never rejects. */
  async #expire(): Promise<void> {
    const { clock, canComeBack } = this.#options;
    const soonMs = clock.monotonicMs() + AGAIN_MS;
    const next = [...this.#windows].find(([, { dueMs }]) => dueMs <= soonMs);
    const isShut = next !== undefined && !(await canComeBack(next[0]));
    const nowMs = clock.monotonicMs();
    if (isShut) this.#openUntilMs = nowMs + AGAIN_MS;
    for (const [session, { dueMs, lastMs }] of [...this.#windows]) {
      const untilMs = Math.min(Math.max(dueMs, this.#openUntilMs), lastMs);
      if (untilMs <= nowMs && !session.isClaimed) this.#end(session);
    }
    const isDone = this.#windows.size === 0 || this.#isStopped;
    this.#timer = isDone ? undefined : clock.after(TICK_MS, () => void this.#expire());
  }

  #end(session: S): void {
    this.#windows.delete(session);
    this.#options.onExpired();
    session.close();
  }
}
