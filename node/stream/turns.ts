/**
 * How connections share the event loop. One turn of it reads whatever has arrived meanwhile: a node that is
 * given more than it can do would take longer with each turn, until timers, and each step of a login, were late
 * by all that fits into the kernel's buffers. So a turn ends after a while. What has been read by then waits in
 * line, its connection is read no further, and who waits has a piece handled before anybody has another. Who has
 * sent but little does not wait behind those who have sent much. Who logs in, and would have to wait at each step,
 * waits behind neither; those who have begun go first, so that as many are done as come next.
 */
import type { Clock } from "../base/clock.ts";

/** Of a turn, until others wait. */
const TURN_MS = 20;
/**
 * Of that, for logins while others wait: an eighth of what the node could do of them alone, so that its users
 * are back some minutes after a failure though all others write as much as they can.
 */
const LOGINS_MS = 2.5;
/** And for those with little while others have much. */
const LITTLE_MS = 5;
/** Handled without a look at the time. */
const UNTIMED_BYTES = 65_536;
const LITTLE_BYTES = 2_048;
/** Who has sent less since it connected is logging in, which takes half of it. */
const LOGIN_BYTES = 4_096;
/** What one who waits has handled at once. */
export const PIECE_BYTES = 4_096;

interface InLine {
  takeTurn(): void;
}

/** new: nothing that it sent has been handled. begun: a login that has. Others by what they wait with. */
const LINES = ["begun", "new", "little", "much"] as const;

export type LineName = (typeof LINES)[number];

/** In the order in which they came. */
type Line = { readonly who: InLine; readonly sinceMs: number }[];

export class Turns {
  readonly #clock: Clock;
  readonly #lines: Readonly<Record<LineName, Line>> = {
    ...{ begun: [], new: [], little: [], much: [] },
  };
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

  wait(who: InLine, name: LineName): void {
    this.#lines[name].push({ who, sinceMs: this.#clock.monotonicMs() });
  }

  /** How long whoever is next in that line, or in any, has waited. */
  waitedMs(name?: LineName): number {
    const nowMs = this.#clock.monotonicMs();
    const names = name === undefined ? LINES : [name];
    return Math.max(...names.map((one) => nowMs - (this.#lines[one][0]?.sinceMs ?? nowMs)));
  }

  #isWaitedFor(): boolean {
    const { begun, new: fresh, little, much } = this.#lines;
    return begun.length + fresh.length + little.length + much.length > 0;
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
    const beganMs = endsMs - TURN_MS;
    this.#serve("begun", beganMs + LOGINS_MS);
    this.#serve("new", beganMs + LOGINS_MS);
    this.#serve("little", beganMs + LOGINS_MS + LITTLE_MS);
    this.#serve("much", endsMs);
    for (const name of ["little", "begun", "new"] as const) this.#serve(name, endsMs);
  };

  /** At least one, if there is one, so that no line stands still. */
  #serve(name: LineName, untilMs: number): void {
    const line = this.#lines[name];
    do line.shift()?.who.takeTurn();
    while (line.length > 0 && this.#clock.monotonicMs() < untilMs);
  }
}

/** A connection's place among those that take turns. */
export class Place implements InLine {
  readonly #owner: InLine;
  readonly #turns: Turns | undefined;
  #isInLine = false;
  /** What it may still send as one who logs in. */
  #loginBytes = LOGIN_BYTES;

  /** @param turns without, it never has to wait */
  constructor(owner: InLine, turns: Turns | undefined) {
    this.#owner = owner;
    this.#turns = turns;
  }

  /** Whether others have their turn before so much of its own. It is in line then, and is told of its turn. */
  mustWait(bytes: number): boolean {
    if (!this.#isInLine && this.#turns?.hasTime(bytes) !== false) return false;
    this.wait(bytes);
    return true;
  }

  /** After a turn that was not enough. */
  wait(bytes: number): void {
    if (this.#isInLine) return;
    this.#isInLine = true;
    this.#turns?.wait(this, this.#lineFor(bytes));
  }

  /** So much of its own is handled now. */
  passed(bytes: number): void {
    if (this.#loginBytes > 0) this.#loginBytes -= bytes;
  }

  takeTurn(): void {
    this.#isInLine = false;
    this.#owner.takeTurn();
  }

  #lineFor(bytes: number): LineName {
    if (this.#loginBytes === LOGIN_BYTES) return "new";
    if (this.#loginBytes > 0) return "begun";
    return bytes <= LITTLE_BYTES ? "little" : "much";
  }
}
