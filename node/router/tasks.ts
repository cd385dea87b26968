/**
 * Work that modules ask other nodes for. Every node asked has an outcome of its own: it answered, it
 * failed, or nothing came from it in time; so what one node cannot do takes nothing from the others.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { ConfigError, Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Mesh } from "../mesh/contract.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { Routes } from "../routes/contract.ts";
import type { ClusterNode } from "./senior.ts";
import type { Owned } from "./stages.ts";
import type { TaskFrame, TaskValue } from "./task-frames.ts";
import { decodeTask, decodeTaskOutcome, encodeTask, encodeTaskOutcome } from "./task-frames.ts";

export interface TaskRegistration {
  readonly kind: "task";
  readonly name: string;
  /** Whatever it throws is "failed" for the node that asked; only the code of an Unavailable is told. */
  readonly run: (value: TaskValue, given: TaskGiven) => Answer | Promise<Answer>;
}

/** Nothing is told as null. */
type Answer = TaskValue | undefined;

export interface TaskGiven {
  /** Incarnation of the node that asks; it may be this one. */
  readonly from: string;
  /** Aborted when nobody waits for the answer any more. */
  readonly signal: AbortSignal;
}

/** Something that this module does when it is asked on any node, this one included. */
export const task = (name: string, run: TaskRegistration["run"]): TaskRegistration => ({
  kind: "task",
  name,
  run,
});

/** What became of a task on one node. */
export type TaskResult =
  | { readonly kind: "answered"; readonly node: ClusterNode; readonly value: TaskValue }
  /**
   * "task-unknown": its module is not there; "task-failed": it threw, see that node's log; "task-busy":
   * too much is running there; "task-oversize": the answer is too large; "mesh-…": the node cannot
   * be reached, or is too old to know of tasks ("mesh-failed"); or what the task itself said.
   */
  | { readonly kind: "failed"; readonly node: ClusterNode; readonly code: string }
  /** No answer within the deadline: whether it was done is not known. */
  | { readonly kind: "silent"; readonly node: ClusterNode };

export interface AskOptions {
  /** All nodes, this one included, if left out. */
  readonly nodes?: readonly ClusterNode[];
  /** 1 to 5,000, which is what it is if left out. */
  readonly deadlineMs?: number;
}

/** A node says so when the deadline has passed there. */
const LATE = "task-late";
/** As long as the mesh waits for an answer. */
const DEADLINE_MAX_MS = 5_000;
/** Of what is asked, and of an answer. */
const VALUE_BYTES_MAX = 256 * 1024;
/** Tasks of others and of our own that run on this node. */
const RUNNING_MAX = 100;
/** Asks of this node that are not over. */
const ASKED_MAX = 100;

export interface TaskParts {
  readonly routes: Routes;
  readonly mesh: Mesh | undefined;
  readonly clock: Clock;
  readonly log: Logger;
}

const newTaskCounters = () => ({ tasksAsked: 0, tasksRun: 0, tasksFailed: 0, tasksShed: 0 });

export class Tasks {
  readonly counters = newTaskCounters();
  readonly #parts: TaskParts;
  readonly #byName: ReadonlyMap<string, TaskRegistration["run"]>;
  #running = 0;
  #asked = 0;

  /** @throws ConfigError: a module declares a name twice */
  constructor(registrations: readonly Owned<TaskRegistration>[], parts: TaskParts) {
    this.#parts = parts;
    const byName = new Map<string, TaskRegistration["run"]>();
    for (const { module, registration } of registrations) {
      const name = `${module}/${registration.name}`;
      if (byName.has(name)) {
        throw new ConfigError(`Cannot load module ${module}: two tasks "${registration.name}"`);
      }
      byName.set(name, registration.run);
    }
    this.#byName = byName;
  }

  /** Running on this node now. */
  get running(): number {
    return this.#running;
  }

  /**
   * Asks nodes to run a task, and tells what became of it on each, in their order. Never waits longer
   * than the deadline.
   * @throws Unavailable "task-oversize": the value is too large; "task-overload": this node asks for
   *   too much at once. RangeError, TypeError: the deadline, or the value, cannot be used.
   */
  async ask(
    name: string,
    value: TaskValue,
    { nodes, deadlineMs = DEADLINE_MAX_MS }: AskOptions = {},
  ): Promise<readonly TaskResult[]> {
    if (!Number.isInteger(deadlineMs) || deadlineMs < 1 || deadlineMs > DEADLINE_MAX_MS) {
      throw new RangeError(`Cannot ask for ${name}: a deadline of ${deadlineMs} ms`);
    }
    const payload = encodeTask({ task: name, deadlineMs, value });
    if (payload.length > VALUE_BYTES_MAX) {
      const bytes = `${payload.length} bytes, at most ${VALUE_BYTES_MAX}`;
      throw new Unavailable("task-oversize", `Cannot ask for task: ${bytes}`);
    }
    if (this.#asked >= ASKED_MAX) {
      throw new Unavailable("task-overload", "Cannot ask for task: too many asks are not over");
    }
    const { routes } = this.#parts;
    const asked = nodes ?? [routes.self, ...routes.nodes.values()];
    this.#asked += 1;
    this.counters.tasksAsked += 1;
    try {
      return await Promise.all(asked.map((node) => this.#askOne(node, payload, deadlineMs)));
    } finally {
      this.#asked -= 1;
    }
  }

  async #askOne(node: ClusterNode, payload: Buffer, deadlineMs: number): Promise<TaskResult> {
    const { clock } = this.#parts;
    let timer: Timer | undefined;
    const silence = new Promise<TaskResult>((resolve) => {
      timer = clock.after(deadlineMs, () => resolve({ kind: "silent", node }));
    });
    try {
      return await Promise.race([this.#outcomeOf(node, payload), silence]);
    } finally {
      timer?.cancel();
    }
  }

  async #outcomeOf(node: ClusterNode, payload: Buffer): Promise<TaskResult> {
    const { mesh, routes } = this.#parts;
    const { incarnation } = node;
    try {
      if (incarnation === routes.self.incarnation) {
        return resultOf(node, await this.answer(incarnation, decodeTask(payload)));
      }
      if (mesh === undefined || !routes.nodes.has(incarnation)) {
        return { kind: "failed", node, code: "mesh-down" };
      }
      return resultOf(node, await mesh.request(incarnation, FrameKind.task, payload));
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      if (error.code === "mesh-timeout") return { kind: "silent", node };
      return { kind: "failed", node, code: error.code };
    }
  }

  /** A node asks. */
  async answer(from: string, frame: TaskFrame): Promise<Buffer> {
    const run = this.#byName.get(frame.task);
    if (run === undefined) return encodeTaskOutcome({ kind: "failed", code: "task-unknown" });
    if (this.#running >= RUNNING_MAX) {
      this.counters.tasksShed += 1;
      return encodeTaskOutcome({ kind: "failed", code: "task-busy" });
    }
    const over = new AbortController();
    const { promise: tooLate, resolve } = Promise.withResolvers<Buffer>();
    const timer = this.#parts.clock.after(frame.deadlineMs, () => {
      over.abort();
      resolve(encodeTaskOutcome({ kind: "failed", code: LATE }));
    });
    // Who ignores the signal keeps its place until it is done.
    this.#running += 1;
    const done = this.#run(run, frame, { from, signal: over.signal }).finally(() => {
      this.#running -= 1;
      timer.cancel();
    });
    return await Promise.race([done, tooLate]);
  }

  /** Never rejects. */
  async #run(run: TaskRegistration["run"], { task: name, value }: TaskFrame, given: TaskGiven) {
    this.counters.tasksRun += 1;
    try {
      const answer = encodeTaskOutcome({
        kind: "answered",
        value: (await run(value, given)) ?? null,
      });
      if (answer.length <= VALUE_BYTES_MAX) return answer;
      this.#parts.log.error({ task: name, bytes: answer.length }, "answer of a task is too large");
      return this.#failed("task-oversize");
    } catch (error) {
      if (error instanceof Unavailable) return this.#failed(error.code);
      this.#parts.log.error({ err: error, task: name }, "task failed");
      return this.#failed("task-failed");
    }
  }

  #failed(code: string): Buffer {
    this.counters.tasksFailed += 1;
    return encodeTaskOutcome({ kind: "failed", code });
  }
}

function resultOf(node: ClusterNode, answer: Buffer): TaskResult {
  const outcome = decodeTaskOutcome(answer);
  const isLate = outcome.kind === "failed" && outcome.code === LATE;
  return isLate ? { kind: "silent", node } : { ...outcome, node };
}
