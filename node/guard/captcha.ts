/** Challenges that tell people from programs (XEP-0158): made, remembered for a while, answered once. */
import { LRUCache } from "lru-cache";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { randomId } from "../base/random.ts";
import { AddressBudget } from "./address-budget.ts";
import { drawLetters, HEIGHT, LETTERS, WIDTH } from "./captcha-image.ts";

const LETTERS_EACH = 6;
/** Challenges that wait for an answer; the oldest makes room. */
const WAITING_MAX = 10_000;
const ANSWER_MS = 600_000;
/** A picture costs a few milliseconds. */
const PER_ADDRESS_PER_HOUR = 120;

export interface Challenge {
  readonly id: string;
  /** A PNG. */
  readonly image: Buffer;
  readonly width: number;
  readonly height: number;
}

interface Waiting {
  readonly letters: string;
  readonly untilMs: number;
}

export class Captchas {
  readonly #clock: Clock;
  readonly #random: Random;
  readonly #waiting = new LRUCache<string, Waiting>({ max: WAITING_MAX });
  readonly #budget: AddressBudget;

  constructor(clock: Clock, random: Random) {
    this.#clock = clock;
    this.#random = random;
    this.#budget = new AddressBudget(PER_ADDRESS_PER_HOUR, 3_600_000, clock);
  }

  /** A new challenge; undefined for an address that has asked for too many. */
  make(address: string): Challenge | undefined {
    if (!this.#budget.take(address)) return undefined;
    const letters = [...this.#random.bytes(LETTERS_EACH)]
      .map((byte) => LETTERS[byte % LETTERS.length] ?? "")
      .join("");
    const id = randomId(this.#random);
    const untilMs = this.#clock.monotonicMs() + ANSWER_MS;
    this.#waiting.set(id, { letters, untilMs });
    return { id, image: drawLetters(letters, this.#random), width: WIDTH, height: HEIGHT };
  }

  /** Whether this is the answer; right or wrong, there is no second. */
  solve(id: string, answer: string): boolean {
    const waiting = this.#waiting.get(id);
    if (waiting === undefined) return false;
    this.#waiting.delete(id);
    if (waiting.untilMs < this.#clock.monotonicMs()) return false;
    return answer.replace(/\s/g, "").toUpperCase() === waiting.letters;
  }
}
