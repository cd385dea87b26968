/** Sessions of a node that drains, which others are asked to go on with: each is offered once. */
import type { ClientSession, Shadow } from "./contract.ts";

/** Offered at the same time. */
const AT_ONCE = 64;

export class Offers {
  readonly #shadow: Pick<Shadow, "offer">;
  /** Ids of sessions that were or are to be offered, and of those that nobody needs to be waited for. */
  readonly #made = new Set<string>();
  readonly #over = new Set<string>();
  #waiting: ClientSession[] = [];
  #running = 0;
  #isStopped = false;

  constructor(shadow: Pick<Shadow, "offer">) {
    this.#shadow = shadow;
  }

  /** No answer is waited for, any more: if it is here still, nobody has taken it. */
  isOver({ id }: ClientSession): boolean {
    return this.#isStopped || this.#over.has(id);
  }

  make(sessions: readonly ClientSession[]): void {
    if (this.#isStopped) return;
    for (const session of sessions) {
      if (this.#made.has(session.id)) continue;
      this.#made.add(session.id);
      this.#waiting.push(session);
    }
    for (; this.#running < AT_ONCE && this.#waiting.length > 0; this.#running += 1) {
      void this.#work();
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.#waiting = [];
  }

  async #work(): Promise<void> {
    for (let next = this.#waiting.shift(); next !== undefined; next = this.#waiting.shift()) {
      await this.#shadow.offer(next);
      this.#over.add(next.id);
    }
    this.#running -= 1;
  }
}
