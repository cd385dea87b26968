/**
 * What one kind of work may ask of a store at once: so many calls in flight, so many that wait for
 * their turn, a deadline over both, and a breaker. A kind that is slow has its own queue to be slow in.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { withDeadline } from "../base/deadline.ts";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { Breaker } from "./breaker.ts";
import type { BudgetCounts } from "./contract.ts";

export interface BudgetLimits {
  readonly inFlightMax: number;
  readonly waitingMax: number;
  /** From the call to its answer. */
  readonly deadlineMs: number;
  /**
   * While the store is not asked, calls wait as they would for its answer, and are not refused at
   * once: for callers that try a few times before somebody loses something.
   */
  readonly isPatient: boolean;
}

interface Waiting {
  readonly what: string;
  readonly enter: (ticket: number) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: Timer;
}

export class Budget {
  readonly #name: string;
  readonly #limits: BudgetLimits;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #breaker = new Breaker();
  /** In the order of arrival. */
  readonly #waiting = new Set<Waiting>();
  #inFlight = 0;
  #refused = 0;
  #suspensions = 0;
  #trial: Timer | undefined;

  constructor(name: string, limits: BudgetLimits, clock: Clock, log: Logger) {
    this.#name = name;
    this.#limits = limits;
    this.#clock = clock;
    this.#log = log;
  }

  get counts(): BudgetCounts {
    return {
      inFlight: this.#inFlight,
      waiting: this.#waiting.size,
      refused: this.#refused,
      suspended: this.#breaker.isOpen ? 1 : 0,
      suspensions: this.#suspensions,
    };
  }

  /**
   * The value of `send`, called when its turn comes.
   * @throws Unavailable "store-overload" when too many are before it, "store-suspended" while the
   *   store is not asked, "store-timeout"; what `send` throws
   */
  async run<T>(what: string, send: () => Promise<T>): Promise<T> {
    const { deadlineMs } = this.#limits;
    const dueMs = this.#clock.monotonicMs() + deadlineMs;
    const ticket = this.#enter() ?? (await this.#wait(what));
    let hasFailed = false;
    try {
      const leftMs = Math.max(0, dueMs - this.#clock.monotonicMs());
      return await withDeadline(this.#freed(send), leftMs, "store-timeout", what, this.#clock);
    } catch (error) {
      hasFailed = error instanceof Unavailable;
      throw error;
    } finally {
      this.#ended(ticket, hasFailed);
    }
  }

  /** Its place is freed when the store is done with it, which is at times later than its caller. */
  async #freed<T>(send: () => Promise<T>): Promise<T> {
    try {
      return await send();
    } finally {
      this.#inFlight -= 1;
      this.#letIn();
    }
  }

  #enter(): number | undefined {
    return this.#waiting.size > 0 ? undefined : this.#take();
  }

  /** A place and a ticket, if there is one. */
  #take(): number | undefined {
    if (this.#inFlight >= this.#limits.inFlightMax) return undefined;
    const ticket = this.#breaker.admit(this.#clock.monotonicMs());
    if (ticket !== undefined) this.#inFlight += 1;
    return ticket;
  }

  #wait(what: string): Promise<number> {
    const { deadlineMs, waitingMax, isPatient } = this.#limits;
    if (this.#breaker.isOpen && !isPatient) return this.#refuseSuspended(what);
    if (this.#waiting.size >= waitingMax) {
      return this.#refuse("store-overload", `Cannot ${what}: too many requests wait`);
    }
    return new Promise((resolve, reject) => {
      const timer = this.#clock.after(deadlineMs, () => {
        this.#waiting.delete(waiting);
        const why = `Cannot ${what}: its turn did not come in ${deadlineMs} ms`;
        this.#refuse("store-overload", why).catch(reject);
      });
      const waiting: Waiting = { what, enter: resolve, reject, timer };
      this.#waiting.add(waiting);
      this.#tryLater();
    });
  }

  #refuse(code: string, message: string): Promise<never> {
    this.#refused += 1;
    return Promise.reject(new Unavailable(code, message));
  }

  #refuseSuspended(what: string): Promise<never> {
    return this.#refuse("store-suspended", `Cannot ${what}: the store has not been answering`);
  }

  /** Who is not patient does not wait for what will not come. */
  #sendAway(): void {
    for (const { what, timer, reject } of this.#waiting) {
      timer.cancel();
      this.#refuseSuspended(what).catch(reject);
    }
    this.#waiting.clear();
  }

  #letIn(): void {
    for (const waiting of this.#waiting) {
      const ticket = this.#take();
      if (ticket === undefined) {
        this.#tryLater();
        return;
      }
      this.#waiting.delete(waiting);
      waiting.timer.cancel();
      waiting.enter(ticket);
    }
  }

  /** Who waits while the store is not asked tries it when the pause is over. */
  #tryLater(): void {
    const pauseMs = this.#breaker.pauseLeftMs(this.#clock.monotonicMs());
    if (pauseMs === undefined || this.#trial !== undefined) return;
    this.#trial = this.#clock.after(pauseMs, () => {
      this.#trial = undefined;
      this.#letIn();
    });
  }

  #ended(ticket: number, hasFailed: boolean): void {
    const change = this.#breaker.ended(ticket, hasFailed, this.#clock.monotonicMs());
    if (change === "open") {
      this.#suspensions += 1;
      if (!this.#limits.isPatient) this.#sendAway();
      this.#log.warn({ budget: this.#name }, "the store does not answer: it is not asked for now");
    } else if (change === "closed") {
      this.#log.info({ budget: this.#name }, "the store answers again");
    }
    this.#letIn();
  }
}
