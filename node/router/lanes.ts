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
  /**
   * Lanes that have tasks, by sender and then by recipient: two look-ups by strings that exist and
   * are hashed already cost less than one by a string made of both.
   */
  readonly #lanes = new Map<string, Map<string, Lane>>();
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

  /** Whether nothing of that sender runs or waits. */
  isIdle(from: string): boolean {
    return !this.#lanes.has(from);
  }

  /** Whether the lane can take no more: the caller sheds the stanza instead of calling `run`. */
  isFull(from: string, to: string): boolean {
    const lane = this.#lanes.get(from)?.get(to);
    return lane !== undefined && lane.tasks >= this.#tasksMax;
  }

  /**
   * Runs the task now when the lane is free, and stays synchronous if the task does; otherwise
   * after the tasks before it. Tasks handle their own failures.
   */
  run(from: string, to: string, task: Task): void | Promise<void> {
    const lane = this.#lanes.get(from)?.get(to);
    if (lane !== undefined) return this.#queue(from, to, lane, lane.tail.then(task));
    const running = task();
    if (running === undefined) return;
    return this.#queue(from, to, this.#opened(from, to), running);
  }

  /** A lane to put a task in, which may have opened it again before it first waited. */
  #opened(from: string, to: string): Lane {
    let lanes = this.#lanes.get(from);
    if (lanes === undefined) {
      lanes = new Map();
      this.#lanes.set(from, lanes);
    }
    let lane = lanes.get(to);
    if (lane === undefined) {
      lane = { tail: Promise.resolve(), tasks: 0 };
      lanes.set(to, lane);
    }
    return lane;
  }

  #closed(from: string, to: string): void {
    const lanes = this.#lanes.get(from);
    lanes?.delete(to);
    if (lanes?.size === 0) this.#lanes.delete(from);
  }

  #queue(from: string, to: string, lane: Lane, work: Promise<void>): Promise<void> {
    lane.tasks += 1;
    this.#tasks += 1;
    const settled = () => {
      lane.tasks -= 1;
      this.#tasks -= 1;
      if (lane.tasks === 0) this.#closed(from, to);
    };
    const done = work.then(settled, (error: unknown) => {
      settled();
      throw error;
    });
    lane.tail = done.catch(() => {});
    return done;
  }
}
