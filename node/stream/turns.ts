/**
 * How connections share the event loop. One turn of it reads whatever has arrived meanwhile: a node that is
 * given more than it can do would take longer with each turn, until timers, and each step of a login, were late
 * by all that fits into the kernel's buffers. So a turn ends after a while. What has been read by then waits in
 * line, its connection is read no further, and who waits has a piece handled before anybody has another. Who has
 * sent but little, as somebody who logs in, does not wait behind those who have sent much.
 */
import type { Clock } from "../base/clock.ts";

/** Of a turn, until others wait; and of that, for those with little while others have much. */
const TURN_MS = 20;
const LITTLE_MS = 5;
/** Handled without a look at the time. */
const UNTIMED_BYTES = 65_536;
const LITTLE_BYTES = 2_048;
/** What one who waits has handled at once. */
export const PIECE_BYTES = 4_096;

export interface InLine {
  takeTurn(): void;
}

export type Amount = "little" | "much";

/** In the order in which they came. */
type Line = { readonly who: InLine; readonly sinceMs: number }[];

export class Turns {
  readonly #clock: Clock;
  readonly #lines: Readonly<Record<Amount, Line>> = { little: [], much: [] };
  /** Handled since somebody last looked at the time. */
  #bytes = 0;
  /** When this turn ends, once it is known to be a long one. */
  #endsMs: number | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Whether that much may be handled now. Who may not waits. */
  hasTime(bytes: number): boolean {
    if (this.#endsMs !== undefined) {
      return !this.#isWaitedFor() && this.#clock.monotonicMs() < this.#endsMs;
    }
    this.#bytes += bytes;
    if (this.#bytes >= UNTIMED_BYTES) this.#begin();
    return true;
  }

  /** @param bytes how many wait with it */
  wait(who: InLine, bytes: number): void {
    const amount = bytes <= LITTLE_BYTES ? "little" : "much";
    this.#lines[amount].push({ who, sinceMs: this.#clock.monotonicMs() });
  }

  /** How long whoever is next has waited, with that amount. */
  waitedMs(amount: Amount): number {
    const [first] = this.#lines[amount];
    return first === undefined ? 0 : this.#clock.monotonicMs() - first.sinceMs;
  }

  #isWaitedFor(): boolean {
    return this.#lines.little.length > 0 || this.#lines.much.length > 0;
  }

  /** @returns when the turn ends */
  #begin(): number {
    const endsMs = this.#clock.monotonicMs() + TURN_MS;
    this.#endsMs = endsMs;
    setImmediate(this.#next);
    return endsMs;
  }

  /** Another turn: what is new was read before it, and who waits comes first. */
  readonly #next = (): void => {
    this.#bytes = 0;
    this.#endsMs = undefined;
    if (!this.#isWaitedFor()) return;
    const endsMs = this.#begin();
    this.#serve("little", endsMs - TURN_MS + LITTLE_MS);
    this.#serve("much", endsMs);
    this.#serve("little", endsMs);
  };

  /** At least one, if there is one, so that neither line stands still. */
  #serve(amount: Amount, untilMs: number): void {
    const line = this.#lines[amount];
    do line.shift()?.who.takeTurn();
    while (line.length > 0 && this.#clock.monotonicMs() < untilMs);
  }
}
