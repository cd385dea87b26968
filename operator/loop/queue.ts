/** Which key is to be worked on next. Asking twice is asking once; a key that is asked for while it
 * is worked on comes again afterwards; a key is never handed out twice at once. It holds a key at
 * most once, so it is bounded by the number of objects. */
import type { Clock, Timer } from "./clock.ts";

export class WorkQueue {
  /** Asked for and not worked on, in order of asking. */
  readonly #ready = new Set<string>();
  readonly #working = new Set<string>();
  /** Asked for again while worked on. */
  readonly #again = new Set<string>();
  readonly #later = new Map<string, { readonly dueMs: number; readonly timer: Timer }>();
  readonly #clock: Clock;
  readonly #onReady: () => void;
  #isClosed = false;

  /** `onReady` is called whenever a key may have become available to `take`. */
  constructor(clock: Clock, onReady: () => void = () => {}) {
    this.#clock = clock;
    this.#onReady = onReady;
  }

  add(key: string): void {
    if (this.#isClosed) return;
    if (this.#working.has(key)) {
      this.#again.add(key);
      return;
    }
    this.#ready.add(key);
    this.#onReady();
  }

  /** Adds the key after so long. The earliest wish wins: a pass that starts sooner answers this one
   * too, because every pass looks at everything and says itself when it wants the next. */
  addAfter(key: string, delayMs: number): void {
    if (this.#isClosed) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const dueMs = this.#clock.monotonicMs() + delayMs;
    const planned = this.#later.get(key);
    if (planned !== undefined && planned.dueMs <= dueMs) return;
    planned?.timer.cancel();
    const timer = this.#clock.after(delayMs, () => {
      this.#later.delete(key);
      this.add(key);
    });
    this.#later.set(key, { dueMs, timer });
  }

  /** Hands out the key that waits longest, or undefined. Every taken key must be given to
   * `done`. */
  take(): string | undefined {
    for (const key of this.#ready) {
      this.#ready.delete(key);
      this.#working.add(key);
      this.#later.get(key)?.timer.cancel();
      this.#later.delete(key);
      return key;
    }
    return undefined;
  }

  /** The work on a taken key ended, well or not. */
  done(key: string): void {
    this.#working.delete(key);
    if (this.#again.delete(key)) this.add(key);
  }

  /** Keys waiting to be taken now, those that come again included. */
  get depth(): number {
    return this.#ready.size + this.#again.size;
  }

  /** Drops everything; later calls do nothing. */
  close(): void {
    this.#isClosed = true;
    for (const { timer } of this.#later.values()) timer.cancel();
    this.#later.clear();
    this.#ready.clear();
    this.#again.clear();
  }
}
