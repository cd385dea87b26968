/** Sessions of a node that drains, which others are asked to go on with: each is offered once. */
import type { ClientSession, OfferAnswer, Shadow } from "./contract.ts";

/** Offered at the same time. */
const AT_ONCE = 64;

export class Offers {
  readonly #shadow: Pick<Shadow, "offer">;
  /** By id of the session; undefined until there is one. */
  readonly #answers = new Map<string, OfferAnswer | undefined>();
  #waiting: ClientSession[] = [];
  #running = 0;
  #isOver = false;

  constructor(shadow: Pick<Shadow, "offer">) {
    this.#shadow = shadow;
  }

  /** Undefined as long as one is waited for. */
  answerFor({ id }: ClientSession): OfferAnswer | undefined {
    return this.#answers.get(id) ?? (this.#isOver ? "unsure" : undefined);
  }

  make(sessions: readonly ClientSession[]): void {
    if (this.#isOver) return;
    for (const session of sessions) {
      if (this.#answers.has(session.id)) continue;
      this.#answers.set(session.id, undefined);
      this.#waiting.push(session);
    }
    for (; this.#running < AT_ONCE && this.#waiting.length > 0; this.#running += 1)
      void this.#work();
  }

  /** No answer is waited for any more. */
  stop(): void {
    this.#isOver = true;
    this.#waiting = [];
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      this.#answers.set(next.id, await this.#shadow.offer(next));
    }
    this.#running -= 1;
  }
}
