/**
 * Stops asking something that keeps failing, and tries it with one call now and then until that
 * succeeds. A pure machine: time is handed in.
 */

/** Calls and failures are counted for this long. */
const WINDOW_MS = 5_000;
/** So many failures, and at least every second call: it is not asked any more. */
const FAILURES_MIN = 10;
const FIRST_PAUSE_MS = 500;
const PAUSE_MAX_MS = 5_000;

type State = "closed" | "open" | "trying";

export class Breaker {
  #state: State = "closed";
  /** Counts the changes of state: what was asked before the last one says nothing about now. */
  #epoch = 0;
  #windowFromMs = 0;
  #calls = 0;
  #failures = 0;
  #pauseMs = FIRST_PAUSE_MS;
  #triesFromMs = 0;

  /** Calls are held back: all, or all but the one that tries. */
  get isOpen(): boolean {
    return this.#state !== "closed";
  }

  /** How long until a call may try; undefined when none has to wait, or one is trying. */
  pauseLeftMs(nowMs: number): number | undefined {
    return this.#state === "open" ? Math.max(0, this.#triesFromMs - nowMs) : undefined;
  }

  /** A ticket for one call, which must say how it ended; undefined: not now. */
  admit(nowMs: number): number | undefined {
    if (this.#state === "trying") return undefined;
    if (this.#state === "open") {
      if (nowMs < this.#triesFromMs) return undefined;
      this.#become("trying");
    }
    return this.#epoch;
  }

  /** @returns whether calls are held back from now on, or not any more; undefined: as before */
  ended(ticket: number, hasFailed: boolean, nowMs: number): "open" | "closed" | undefined {
    if (ticket !== this.#epoch || this.#state === "open") return undefined;
    if (this.#state === "trying") return this.#tried(hasFailed, nowMs);
    if (nowMs - this.#windowFromMs >= WINDOW_MS) this.#forget(nowMs);
    this.#calls += 1;
    if (!hasFailed) return undefined;
    this.#failures += 1;
    if (this.#failures < FAILURES_MIN || this.#failures * 2 < this.#calls) return undefined;
    this.#pauseMs = FIRST_PAUSE_MS;
    this.#open(nowMs);
    return "open";
  }

  #tried(hasFailed: boolean, nowMs: number): "closed" | undefined {
    if (hasFailed) {
      this.#pauseMs = Math.min(PAUSE_MAX_MS, this.#pauseMs * 2);
      this.#open(nowMs);
      return undefined;
    }
    this.#forget(nowMs);
    this.#become("closed");
    return "closed";
  }

  #open(nowMs: number): void {
    this.#triesFromMs = nowMs + this.#pauseMs;
    this.#become("open");
  }

  #forget(nowMs: number): void {
    this.#windowFromMs = nowMs;
    this.#calls = 0;
    this.#failures = 0;
  }

  #become(state: State): void {
    this.#state = state;
    this.#epoch += 1;
  }
}
