/** Times of single messages: written into their ids by the sender, read from there on arrival. */

const SAMPLES_MAX = 400_000;
/** Ids of timed messages start with it. */
const MARK = "t";

/** Milliseconds on a clock that all processes of the machine share. */
const nowMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** The id of a message sent now. */
export const timedId = (): string => `${MARK}${nowMs().toFixed(3)}`;

export class Latencies {
  #samples = new Float64Array(1_024);
  #count = 0;
  #sinceMs = 0;

  /** Forgets what was taken; messages sent before `delayMs` from now will not count. */
  start(delayMs: number): void {
    this.#count = 0;
    this.#sinceMs = nowMs() + delayMs;
  }

  /** @param id of a message that has just arrived */
  take(id: string): void {
    if (!id.startsWith(MARK)) return;
    const sentMs = Number(id.slice(MARK.length));
    if (sentMs >= this.#sinceMs) this.add(nowMs() - sentMs);
  }

  /** A time that was measured by other means. */
  add(ms: number): void {
    if (this.#count === SAMPLES_MAX) return;
    if (this.#count === this.#samples.length) {
      const larger = new Float64Array(2 * this.#count);
      larger.set(this.#samples);
      this.#samples = larger;
    }
    this.#samples[this.#count++] = ms;
  }

  sorted(): Float64Array {
    return this.#samples.slice(0, this.#count).sort();
  }

  /** What was taken since it was asked last. */
  drain(): Float64Array {
    const all = this.sorted();
    this.#count = 0;
    return all;
  }
}
