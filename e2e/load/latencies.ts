/** Times of single messages: written into their ids by the sender, read from there on arrival. */

const SAMPLES_MAX = 400_000;
/** Ids of timed messages start with it. */
const MARK = "t";
const QUARTER_MS = 250;

/** Milliseconds on a clock that all processes of the machine share. */
const nowMs = (): number => Number(process.hrtime.bigint() / 1_000n) / 1_000;

/** The id of a message sent now. */
export const timedId = (): string => `${MARK}${nowMs().toFixed(3)}`;

/** @param part of them that are less, from 0 to 1 */
export const quantile = (sorted: Float64Array, part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;

export const median = (values: Iterable<number>): number =>
  quantile(Float64Array.from(values).sort(), 0.5);

export class Latencies {
  #samples = new Float64Array(1_024);
  #count = 0;
  #sinceMs = 0;
  /** Where each quarter of a second begins among them. */
  #quarters: number[] = [];
  #quarterEndsMs = 0;

  /** Forgets what was taken; messages sent before `delayMs` from now will not count. */
  start(delayMs: number): void {
    this.#forget();
    this.#sinceMs = nowMs() + delayMs;
  }

  #forget(): void {
    this.#count = 0;
    this.#quarters = [];
    this.#quarterEndsMs = 0;
  }

  /** @param id of a message that has just arrived */
  take(id: string, arrivedMs = nowMs()): void {
    if (!id.startsWith(MARK)) return;
    const sentMs = Number(id.slice(MARK.length));
    if (sentMs < this.#sinceMs) return;
    if (arrivedMs >= this.#quarterEndsMs) {
      this.#quarters.push(this.#count);
      this.#quarterEndsMs = arrivedMs + QUARTER_MS;
    }
    this.add(arrivedMs - sentMs);
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

  /** The 99th percentile of each quarter of a second; the last, which may be less than one, is left out. */
  quarters(): readonly number[] {
    const begins = this.#quarters.slice(0, -1);
    return begins.map((begin, at) =>
      quantile(this.#samples.slice(begin, this.#quarters[at + 1]).sort(), 0.99),
    );
  }

  /** What was taken since it was asked last. */
  drain(): Float64Array {
    const all = this.sorted();
    this.#forget();
    return all;
  }
}
