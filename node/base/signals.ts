/** Who waits for something about a key is woken, or goes on after a while. */
import type { Clock } from "./clock.ts";

export class Signals {
  readonly #clock: Pick<Clock, "after">;
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(clock: Pick<Clock, "after">) {
    this.#clock = clock;
  }

  /** Settles when the key is next woken, or after so long. */
  wait(key: string, mostMs: number): Promise<void> {
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting);
    return new Promise((resolve) => {
      const done = () => {
        timer.cancel();
        waiting.delete(done);
        if (waiting.size === 0) this.#waiting.delete(key);
        resolve();
      };
      const timer = this.#clock.after(mostMs, done);
      waiting.add(done);
    });
  }

  wake(key: string): void {
    for (const done of [...(this.#waiting.get(key) ?? [])]) done();
  }

  /** Keys that somebody waits for. */
  get size(): number {
    return this.#waiting.size;
  }
}
