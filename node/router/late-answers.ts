/** Answers that nobody waits for: they go with the next one to the same node, and cost no write of their own. */
import type { Clock, Timer } from "../base/clock.ts";

/** How long they wait for others: little beside the time after which a node is taken for silent. */
export const LATE_MS = 25;

interface Late {
  readonly promise: Promise<void>;
  readonly resolve: () => void;
  readonly timer: Timer;
}

export class LateAnswers {
  readonly #clock: Clock;
  readonly #byNode = new Map<string, Late>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Resolves when another answer goes to that node, or none did for a while. */
  wait(node: string): Promise<void> {
    const late = this.#byNode.get(node) ?? this.#begin(node);
    return late.promise;
  }

  /** An answer goes to that node now. */
  goes(node: string): void {
    const late = this.#byNode.get(node);
    if (late === undefined) return;
    this.#byNode.delete(node);
    late.timer.cancel();
    late.resolve();
  }

  #begin(node: string): Late {
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = this.#clock.after(LATE_MS, () => this.goes(node));
    const late = { promise, resolve, timer };
    this.#byNode.set(node, late);
    return late;
  }
}
