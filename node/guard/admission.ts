/**
 * Who goes first when more clients log in at once than the node can serve: those that cost least and
 * are nearest to being served. Each step of a login takes a place; who finds none waits in the line
 * of its kind, and a shorter line is served only when those before it are empty.
 */
import type { Done } from "../base/done.ts";

/** In the order of service. */
export const URGENCIES = ["resumption", "token", "answer", "challenge", "password"] as const;

/**
 * resumption: goes on with a session. token: one read. answer: the rest of a login that has begun.
 * challenge: the beginning of one that needs another step. password: costs us a derived key.
 */
export type Urgency = (typeof URGENCIES)[number];

export interface AdmissionLimits {
  /** Steps at once. */
  readonly placesMax: number;
  /** Of these, steps that derive a key from a password: they must not fill the house. */
  readonly passwordPlacesMax: number;
  /** Steps that may wait, in all lines together. */
  readonly waitingMax: number;
}

interface Line {
  /** In the order of arrival; each is told whether it is let in. */
  readonly waiting: ((isIn: boolean) => void)[];
  shed: number;
}

export class Admission {
  readonly #limits: AdmissionLimits;
  readonly #lines: Readonly<Record<Urgency, Line>>;
  #taken = 0;
  #takenByPasswords = 0;
  #waiting = 0;

  constructor(limits: AdmissionLimits) {
    this.#limits = limits;
    const line = (): Line => ({ waiting: [], shed: 0 });
    this.#lines = {
      resumption: line(),
      token: line(),
      answer: line(),
      challenge: line(),
      password: line(),
    };
  }

  /** Steps that wait now. */
  get waiting(): number {
    return this.#waiting;
  }

  /** Steps that were turned away so far. */
  shed(urgency: Urgency): number {
    return this.#lines[urgency].shed;
  }

  /**
   * Does the work when its turn comes.
   * @param shed done instead when it is turned away, because all lines are full of those that go before it
   */
  run(urgency: Urgency, work: () => Done, shed: () => Done): Done {
    const entered = this.#enter(urgency);
    const begin = (isIn: boolean) => (isIn ? this.#work(urgency, work) : shed());
    return entered instanceof Promise ? entered.then(begin) : begin(entered);
  }

  #work(urgency: Urgency, work: () => Done): Done {
    try {
      const done = work();
      if (done instanceof Promise) return this.#leaveAfter(urgency, done);
    } catch (error) {
      this.#leave(urgency);
      throw error;
    }
    this.#leave(urgency);
  }

  async #leaveAfter(urgency: Urgency, done: Promise<void>): Promise<void> {
    try {
      await done;
    } finally {
      this.#leave(urgency);
    }
  }

  #enter(urgency: Urgency): boolean | Promise<boolean> {
    if (this.#hasPlaceFor(urgency)) {
      this.#take(urgency);
      return true;
    }
    const line = this.#lines[urgency];
    if (this.#waiting >= this.#limits.waitingMax && !this.#sendAwayBehind(urgency)) {
      line.shed += 1;
      return false;
    }
    this.#waiting += 1;
    return new Promise((resolve) => {
      line.waiting.push(resolve);
    });
  }

  #leave(urgency: Urgency): void {
    this.#taken -= 1;
    if (urgency === "password") this.#takenByPasswords -= 1;
    for (const next of URGENCIES) {
      if (!this.#hasPlaceFor(next)) continue;
      const first = this.#lines[next].waiting.shift();
      if (first === undefined) continue;
      this.#waiting -= 1;
      this.#take(next);
      first(true);
      return;
    }
  }

  #hasPlaceFor(urgency: Urgency): boolean {
    if (this.#taken >= this.#limits.placesMax) return false;
    return urgency !== "password" || this.#takenByPasswords < this.#limits.passwordPlacesMax;
  }

  #take(urgency: Urgency): void {
    this.#taken += 1;
    if (urgency === "password") this.#takenByPasswords += 1;
  }

  /** Makes room by sending away who came last to the least urgent line behind this one. */
  #sendAwayBehind(urgency: Urgency): boolean {
    for (const other of URGENCIES.toReversed()) {
      if (other === urgency) return false;
      const last = this.#lines[other].waiting.pop();
      if (last === undefined) continue;
      this.#waiting -= 1;
      this.#lines[other].shed += 1;
      last(false);
      return true;
    }
    return false;
  }
}
