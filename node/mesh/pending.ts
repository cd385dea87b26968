/** Requests sent to one peer and not answered, oldest first; bounded in number and bytes. */
import type { Unavailable } from "../base/errors.ts";
import type { MeshLimits, MeshStats } from "./settings.ts";

interface Pending {
  readonly dueMs: number;
  readonly bytes: number;
  resolve(answer: Buffer): void;
  reject(error: Unavailable): void;
}

export class PendingRequests {
  /** In the order of their deadlines, which all lie equally far ahead. */
  readonly #bySequence = new Map<number, Pending>();
  readonly #limits: MeshLimits;
  readonly #stats: MeshStats;
  #sequence = 0;
  #bytes = 0;

  constructor(limits: MeshLimits, stats: MeshStats) {
    this.#limits = limits;
    this.#stats = stats;
  }

  get size(): number {
    return this.#bySequence.size;
  }

  hasRoom(bytes: number): boolean {
    const { unansweredMax, unansweredBytesMax } = this.#limits;
    return this.size < unansweredMax && this.#bytes + bytes <= unansweredBytesMax;
  }

  /** @returns the sequence number to send it with, and the promise of its answer */
  add(
    bytes: number,
    nowMs: number,
  ): { readonly sequence: number; readonly answer: Promise<Buffer> } {
    do {
      this.#sequence = (this.#sequence + 1) >>> 0;
    } while (this.#bySequence.has(this.#sequence));
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>();
    const dueMs = nowMs + this.#limits.requestMs;
    this.#bySequence.set(this.#sequence, { dueMs, bytes, resolve, reject });
    this.#bytes += bytes;
    this.#stats.unanswered += 1;
    this.#stats.unansweredBytes += bytes;
    return { sequence: this.#sequence, answer: promise };
  }

  /** Undefined when it has timed out meanwhile. */
  take(sequence: number): Pending | undefined {
    const pending = this.#bySequence.get(sequence);
    if (pending === undefined) return undefined;
    this.#bySequence.delete(sequence);
    this.#bytes -= pending.bytes;
    this.#stats.unanswered -= 1;
    this.#stats.unansweredBytes -= pending.bytes;
    return pending;
  }

  /** Fails what is due. */
  expire(nowMs: number, errorOf: () => Unavailable): void {
    for (const [sequence, { dueMs }] of this.#bySequence) {
      if (dueMs > nowMs) return;
      this.#stats.timeouts += 1;
      this.take(sequence)?.reject(errorOf());
    }
  }

  failAll(error: Unavailable): void {
    for (const sequence of [...this.#bySequence.keys()]) this.take(sequence)?.reject(error);
  }
}
