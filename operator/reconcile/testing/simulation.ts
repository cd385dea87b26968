/**
 * A small cluster for the planner's tests: ReplicaSet controllers, kubelets, a person who changes
 * the spec, and an operator whose view lags. Every rule of plan.ts is checked where it could break.
 */

import type { Plan, Situation } from "../plan.ts";
import { plan } from "../plan.ts";

interface SimulatedNode {
  readonly name: string;
  readonly revision: string;
  isReady: boolean;
  isStopping: boolean;
  isMarked: boolean;
}

interface SimulatedSet {
  wanted: number;
  version: number;
  /** Fewest ready nodes the operator promised to leave when it last shrank this set. */
  floor: number;
}

interface View {
  readonly sets: ReadonlyMap<string, { wanted: number; version: number }>;
  readonly nodes: readonly SimulatedNode[];
}

export interface Rules {
  readonly maxSurge: number;
  readonly maxUnavailable: number;
  /** Revisions whose nodes never become ready. */
  readonly broken: ReadonlySet<string>;
  /** Revisions whose nodes can not even be made, as when a quota is used up. */
  readonly barred: ReadonlySet<string>;
}

export class Simulation {
  readonly #rules: Rules;
  readonly #sets = new Map<string, SimulatedSet>();
  #nodes: SimulatedNode[] = [];
  #counter = 0;
  /** What the operator's two informers show: each may lag on its own, neither goes back. */
  #seenSets: View["sets"] = new Map();
  #seenNodes: View["nodes"] = [];
  target: string;
  replicas: number;
  stable: string | undefined;

  constructor(rules: Rules, target: string, replicas: number) {
    this.#rules = rules;
    this.target = target;
    this.replicas = replicas;
  }

  get stopping(): number {
    return this.#nodes.filter(({ isStopping }) => isStopping).length;
  }

  get ready(): number {
    return this.#nodes.filter(({ isReady, isStopping }) => isReady && !isStopping).length;
  }

  /** Nodes there are or will be, stopping ones included. */
  get total(): number {
    const living = [...this.#sets].map(([id, { wanted }]) =>
      Math.max(wanted, this.#alive(id).length),
    );
    return living.reduce((a, b) => a + b, 0) + this.stopping;
  }

  count = (revision: string): number => this.#alive(revision).length;

  refreshSets(): void {
    this.#seenSets = new Map(
      [...this.#sets].map(([id, { wanted, version }]) => [id, { wanted, version }]),
    );
  }

  refreshNodes(): void {
    this.#seenNodes = this.#nodes.map((node) => ({ ...node }));
  }

  situation(): Situation {
    return {
      replicas: this.replicas,
      maxSurge: this.#rules.maxSurge,
      maxUnavailable: this.#rules.maxUnavailable,
      target: this.target,
      stable: this.stable,
      revisions: [...this.#seenSets].map(([id, { wanted }]) => ({
        id,
        wanted,
        isBarred: this.#rules.barred.has(id),
        nodes: this.#seenNodes.filter(({ revision }) => revision === id),
      })),
    };
  }

  /** As the loop's expectations have it: what the operator wrote itself, it waits to see. */
  #isBehind(): boolean {
    const seen = (id: string) => this.#seenSets.get(id)?.version ?? 0;
    return [...this.#sets].some(([id, { version }]) => seen(id) < version);
  }

  /** One pass of the operator on what it sees. */
  operate(): Plan {
    if (this.#isBehind()) return { kind: "wait", for: "ReplicaSet" };
    const step = plan(this.situation());
    if (step.kind === "wait" && step.for === "ReplicaSet" && !this.#sets.has(this.target)) {
      this.#sets.set(this.target, { wanted: 0, version: 1, floor: 0 });
    }
    if (step.kind === "done") this.stable = this.target;
    if (step.kind === "mark") this.#mark(step.node);
    if (step.kind === "grow" || step.kind === "shrink") this.#resize(step);
    return step;
  }

  #mark(name: string): void {
    const node = this.#nodes.find((candidate) => candidate.name === name);
    if (node !== undefined) node.isMarked = true;
  }

  #resize(step: Extract<Plan, { kind: "grow" | "shrink" }>): void {
    const set = this.#sets.get(step.revision);
    if (set === undefined) throw new Error("Cannot resize: no such ReplicaSet");
    const isOld = step.revision !== this.target;
    ensure(!isOld || step.wanted < set.wanted, "an old revision grew");
    ensure(step.wanted >= 0, "a size below zero");
    if (step.kind === "shrink") ensure(step.wanted === set.wanted - 1, "two at once");
    set.wanted = step.wanted;
    set.version += 1;
    // A node that was chosen because it was not ready may become ready before it is stopped.
    const known = this.#seenNodes.filter(({ isReady, isStopping }) => isReady && !isStopping);
    set.floor = Math.min(this.replicas - this.#rules.maxUnavailable, known.length);
    if (step.kind === "grow") {
      ensure(this.total <= this.replicas + this.#rules.maxSurge, "more nodes than maxSurge allows");
    }
  }

  #alive = (revision: string) =>
    this.#nodes.filter((node) => node.revision === revision && !node.isStopping);

  /** The ReplicaSet controllers: one change each. `choice` picks among equal victims. */
  control(choice: number): void {
    for (const [id, set] of this.#sets) {
      const alive = this.#alive(id);
      if (alive.length < set.wanted) {
        if (this.#rules.barred.has(id)) continue;
        this.#counter += 1;
        this.#nodes.push({
          name: `${id}-${this.#counter}`,
          revision: id,
          isReady: false,
          isStopping: false,
          isMarked: false,
        });
      } else if (alive.length > set.wanted) this.#stop(alive, set.floor, choice);
    }
  }

  /** As Kubernetes ranks them: not ready first, then by deletion cost. */
  #stop(alive: readonly SimulatedNode[], floor: number, choice: number): void {
    const rank = (node: SimulatedNode) => (node.isReady ? 2 : 0) + (node.isMarked ? 0 : 1);
    const lowest = Math.min(...alive.map(rank));
    const candidates = alive.filter((node) => rank(node) === lowest);
    const victim = candidates[choice % candidates.length] as SimulatedNode;
    victim.isStopping = true;
    if (victim.isReady) ensure(this.ready >= floor, "fewer ready nodes than maxUnavailable allows");
  }

  /** Nodes of a working revision become ready; one, or all when `choice` is not given. */
  start(choice?: number): void {
    const waiting = this.#nodes.filter(
      (node) => !node.isReady && !node.isStopping && !this.#rules.broken.has(node.revision),
    );
    const chosen =
      choice === undefined ? waiting : waiting.slice(choice % (waiting.length || 1), 1);
    for (const node of chosen) node.isReady = true;
  }

  /** Stopping nodes end. */
  end(): void {
    this.#nodes = this.#nodes.filter(({ isStopping }) => !isStopping);
  }

  /** A node fails its readiness probe for a while. */
  falter(choice: number): void {
    const ready = this.#nodes.filter(({ isReady }) => isReady);
    const node = ready[choice % (ready.length || 1)];
    if (node !== undefined) node.isReady = false;
  }

  /** Somebody deletes a pod. */
  kill(choice: number): void {
    const node = this.#nodes[choice % (this.#nodes.length || 1)];
    if (node !== undefined) node.isStopping = true;
  }

  /** A round in which everybody does their work and sees everything. */
  round(): Plan {
    this.control(0);
    this.start();
    this.refreshSets();
    this.refreshNodes();
    const step = this.operate();
    if (step.kind === "wait") this.end();
    return step;
  }
}

function ensure(holds: boolean, broken: string): void {
  if (!holds) throw new Error(`Cannot allow a step: ${broken}`);
}
