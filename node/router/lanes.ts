/**
 * Order per sender and recipient: the stanzas of one pair are routed, delivered and accepted one
 * after another, while different pairs never wait for each other.
 *
 * The rule that keeps lanes free of deadlock: a task in a lane never waits for another lane. What a
 * handler makes on the way (bounces, automatic replies) is started and left to its own lane.
 */
export type Task = () => void | Promise<void>;

interface Lane {
  /** Settles when the last task that was queued is done. Never rejects. */
  tail: Promise<void>;
  /** Tasks running or queued. */
  tasks: number;
}

export class Lanes {
  readonly #lanes = new Map<string, Lane>();
  readonly #tasksMax: number;
  #tasks = 0;

  /** @param tasksMax how many tasks one lane holds; a pair that has more waiting is refused. */
  constructor(tasksMax: number) {
    this.#tasksMax = tasksMax;
  }

  /** Tasks running or queued in all lanes, for the metrics. */
  get tasks(): number {
    return this.#tasks;
  }

  /** Whether the lane can take no more: the caller sheds the stanza instead of calling `run`. */
  isFull(key: string): boolean {
    const lane = this.#lanes.size === 0 ? undefined : this.#lanes.get(key);
    return lane !== undefined && lane.tasks >= this.#tasksMax;
  }

  /**
   * Runs the task now when the lane is free, and stays synchronous if the task does; otherwise
   * after the tasks before it. Tasks handle their own failures.
   */
  run(key: string, task: Task): void | Promise<void> {
    const lane = this.#lanes.size === 0 ? undefined : this.#lanes.get(key);
    if (lane !== undefined) return this.#queue(key, lane, lane.tail.then(task));
    const running = task();
    if (running === undefined) return;
    // The task may have opened its own lane again before it first waited.
    const opened = this.#lanes.get(key) ?? { tail: Promise.resolve(), tasks: 0 };
    this.#lanes.set(key, opened);
    return this.#queue(key, opened, running);
  }

  #queue(key: string, lane: Lane, work: Promise<void>): Promise<void> {
    lane.tasks += 1;
    this.#tasks += 1;
    const settled = () => {
      lane.tasks -= 1;
      this.#tasks -= 1;
      if (lane.tasks === 0) this.#lanes.delete(key);
    };
    const done = work.then(settled, (error: unknown) => {
      settled();
      throw error;
    });
    lane.tail = done.catch(() => {});
    return done;
  }
}
