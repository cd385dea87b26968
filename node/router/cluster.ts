/** The cluster as modules see it: its nodes, its senior, claims, and tasks on other nodes. */
import type { Clock } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Mesh } from "../mesh/contract.ts";
import type { Claim, Routes } from "../routes/contract.ts";
import type { ClusterNode, Seniority } from "./senior.ts";
import { Senior } from "./senior.ts";
import type { Owned } from "./stages.ts";
import type { TaskFrame, TaskValue } from "./task-frames.ts";
import type { AskOptions, TaskRegistration, TaskResult } from "./tasks.ts";
import { Tasks } from "./tasks.ts";

export interface ClusterParts {
  readonly routes: Routes;
  readonly mesh: Mesh | undefined;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onSenior: (senior: Seniority | undefined) => void;
}

/** Claims of modules that this node holds or asks for. */
const CLAIMS_MAX = 1_000;

export class ClusterView {
  readonly #routes: Routes;
  readonly #senior: Senior;
  readonly #tasks: Tasks;
  #claims = 0;

  /** @throws ConfigError when tasks contradict each other */
  constructor(tasks: readonly Owned<TaskRegistration>[], parts: ClusterParts) {
    this.#routes = parts.routes;
    this.#tasks = new Tasks(tasks, parts);
    this.#senior = new Senior({ ...parts, onChange: parts.onSenior });
  }

  /** From now on this node takes part in who is the senior. */
  start(): void {
    this.#senior.start();
  }

  stop(): Promise<void> {
    return this.#senior.stop();
  }

  nodesChanged(): void {
    this.#senior.nodesChanged();
  }

  /** Another node asks for a task. */
  answer(from: string, frame: TaskFrame): Promise<Buffer> {
    return this.#tasks.answer(from, frame);
  }

  stats(): Readonly<Record<string, number>> {
    const { counters, running } = this.#tasks;
    const senior = this.senior?.isSelf === true ? 1 : 0;
    return { ...counters, tasksRunning: running, claims: this.#claims, senior };
  }

  // For the modules.

  /** The live ones, this one first. */
  get nodes(): readonly ClusterNode[] {
    return [this.#routes.self, ...this.#routes.nodes.values()];
  }

  get senior(): Seniority | undefined {
    return this.#senior.now;
  }

  /** Claims of different modules do not meet. @throws Unavailable "routes-…", "claims-overload" */
  async claim(module: string, name: string): Promise<Claim | undefined> {
    if (this.#claims >= CLAIMS_MAX) {
      throw new Unavailable("claims-overload", `Cannot claim: this node has ${CLAIMS_MAX} claims`);
    }
    this.#claims += 1;
    const isOver = () => {
      this.#claims -= 1;
    };
    let claim: Claim | undefined;
    try {
      claim = await this.#routes.claim(`modules/${module}/${name}`);
    } finally {
      if (claim === undefined || claim.over.aborted) isOver();
    }
    claim?.over.addEventListener("abort", isOver);
    return claim;
  }

  /** See Tasks.ask. */
  ask(
    module: string,
    task: string,
    value: TaskValue,
    options?: AskOptions,
  ): Promise<readonly TaskResult[]> {
    return this.#tasks.ask(`${module}/${task}`, value, options);
  }
}
