/** Promises that wait until a counter has reached a value. */

interface Waiter {
  readonly target: number;
  readonly resolve: (isReached: boolean) => void;
}

export class Waiters {
  /** In the order of their targets: counters only grow. */
  #waiting: Waiter[] = [];

  get isEmpty(): boolean {
    return this.#waiting.length === 0;
  }

  /** True once the counter reaches `target`, false if the end comes first. */
  wait(target: number): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>();
    this.#waiting.push({ target, resolve });
    return promise;
  }

  /** The counter stands at `value` now. */
  reach(value: number): void {
    let count = 0;
    while ((this.#waiting[count]?.target ?? Number.POSITIVE_INFINITY) <= value) count += 1;
    for (const { resolve } of this.#waiting.splice(0, count)) resolve(true);
  }

  /** The counter will not move any more. */
  end(): void {
    for (const { resolve } of this.#waiting.splice(0)) resolve(false);
  }
}
