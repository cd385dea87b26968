/**
 * Order per sender and recipient: the stanzas of one pair are routed, delivered and accepted one
 * after another, while different pairs never wait for each other. Only what goes where the one ahead of
 * it went may go behind it before that is answered.
 *
 * The rule that keeps lanes free of deadlock: a task in a lane never waits for another lane. What a
 * handler makes on the way (bounces, automatic replies) is started and left to its own lane.
 */
import type { Route, RouteSet } from "../routes/contract.ts";
import type { Origin } from "../stanza/origin.ts";

/** More are not on their way at once in one lane: other lanes need room on the same link. */
const ON_THEIR_WAY_MAX = 16;

/** @param ahead given when it begins behind others: settles when they are done. Never rejects. */
export type Task = (ahead?: Promise<void>) => void | Promise<void>;

/** Where a stanza is on its way to, without an answer yet. */
export interface Way {
  readonly route: Route;
  /** That the route is of. */
  readonly set: RouteSet;
  readonly origin: Origin;
}

/** A task that may begin before those ahead of it in its lane are done. */
export interface Follower {
  /** Set when it has begun, if others may follow it. */
  way: Way | undefined;
  /** Asked when it is the next, once for each that it could follow; if so, it begins at once. */
  mayFollow(way: Way): boolean;
}

interface Queued {
  readonly begin: () => void;
  readonly follower: Follower | undefined;
}

interface Lane {
  /** Settles when all tasks that have begun are done; undefined before the first has. */
  tail: Promise<void> | undefined;
  /** Tasks that have begun. */
  begun: number;
  /** Of the last that has begun. */
  way: Way | undefined;
  readonly queue: Queued[];
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

  /** Tasks begun or queued in all lanes, for the metrics. */
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
    return lane !== undefined && lane.begun + lane.queue.length >= this.#tasksMax;
  }

  /** Whether nothing of the pair runs or waits: a task may begin then, and is entered if it has to wait. */
  isFree(from: string, to: string): boolean {
    return this.#lanes.get(from)?.get(to) === undefined;
  }

  /** What has begun in a free lane, and is not done. */
  enter(from: string, to: string, running: Promise<void>, follower?: Follower): Promise<void> {
    this.#tasks += 1;
    const opened = this.#opened(from, to);
    opened.begun += 1;
    return this.#begun(from, to, opened, running, follower);
  }

  /**
   * Runs the task now when the lane is free, and stays synchronous if the task does; otherwise
   * after the tasks before it, or behind them. Tasks handle their own failures.
   */
  run(from: string, to: string, task: Task, follower?: Follower): void | Promise<void> {
    const lane = this.#lanes.get(from)?.get(to);
    if (lane !== undefined) return this.#queue(from, to, lane, task, follower);
    const running = task();
    return running && this.enter(from, to, running, follower);
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
      lane = { tail: undefined, begun: 0, way: undefined, queue: [] };
      lanes.set(to, lane);
    }
    return lane;
  }

  #closed(from: string, to: string): void {
    const lanes = this.#lanes.get(from);
    lanes?.delete(to);
    if (lanes?.size === 0) this.#lanes.delete(from);
  }

  #queue(
    from: string,
    to: string,
    lane: Lane,
    task: Task,
    follower: Follower | undefined,
  ): Promise<void> {
    this.#tasks += 1;
    const { promise, resolve } = Promise.withResolvers<void>();
    const begin = () => {
      const ahead = lane.begun > 0 ? lane.tail?.catch(() => {}) : undefined;
      lane.begun += 1; // It may come back here before it first waits.
      lane.way = undefined;
      resolve(this.#begun(from, to, lane, started(task, ahead), follower));
    };
    lane.queue.push({ begin, follower });
    this.#beginNext(lane);
    return promise;
  }

  /** As many as may begin now. */
  #beginNext(lane: Lane): void {
    for (;;) {
      const [next] = lane.queue;
      if (next === undefined) return;
      if (lane.begun > 0) {
        if (lane.begun >= ON_THEIR_WAY_MAX || lane.way === undefined) return;
        if (next.follower?.mayFollow(lane.way) !== true) {
          lane.way = undefined; // So that it is not asked again.
          return;
        }
      }
      lane.queue.shift();
      next.begin();
    }
  }

  #begun(
    from: string,
    to: string,
    lane: Lane,
    running: Promise<void>,
    follower: Follower | undefined,
  ): Promise<void> {
    const before = lane.begun === 1 ? undefined : lane.tail;
    lane.way = follower?.way;
    const settled = () => {
      this.#tasks -= 1;
      lane.begun -= 1;
      if (lane.begun === 0) lane.way = undefined;
      // Whoever waits for this one goes on first.
      if (lane.queue.length > 0) void done.catch(() => {}).then(() => this.#beginNext(lane));
      else if (lane.begun === 0) this.#closed(from, to);
    };
    const done = running.then(settled, (error: unknown) => {
      settled();
      throw error;
    });
    lane.tail = before === undefined ? done : Promise.allSettled([before, done]).then(() => {});
    return done;
  }
}

/** What throws at once rejects, since others have waited for it to begin. */
function started(task: Task, ahead: Promise<void> | undefined): Promise<void> {
  try {
    return task(ahead) ?? Promise.resolve();
  } catch (error) {
    return Promise.reject(error);
  }
}
