/** What a module may ask of the cluster. Names of claims and tasks are the module's own. */
import type { ClusterView } from "../../router/cluster.ts";
import type { ClusterNode, Seniority } from "../../router/senior.ts";
import type { TaskValue } from "../../router/task-frames.ts";
import type { AskOptions, TaskResult } from "../../router/tasks.ts";
import type { Claim } from "../../routes/contract.ts";

export interface ClusterService {
  /** The live nodes, this one first. Who comes and goes is told as "nodeUp" and "nodeDown". */
  readonly nodes: readonly ClusterNode[];
  /**
   * The one node that does what one node has to do: always this one where it is alone. Undefined while
   * nobody is known to be. Told as "senior" when it becomes another.
   */
  readonly senior: Seniority | undefined;
  /**
   * A right to act alone in the cluster, until it is given back or the node cannot prove any more that
   * it is alive. Undefined when it is another's, or held by this node already.
   * @throws Unavailable "routes-…", "claims-overload"
   */
  claim(name: string): Promise<Claim | undefined>;
  /**
   * Asks nodes to run a task of this module; what became of it on each, in the order of the nodes.
   * @throws Unavailable "task-oversize", "task-overload"; RangeError for a deadline out of bounds
   */
  ask(task: string, value: TaskValue, options?: AskOptions): Promise<readonly TaskResult[]>;
}

/** @param view what the router has, once there is one */
export const clusterOf = (view: () => ClusterView, module: string): ClusterService => ({
  get nodes() {
    return view().nodes;
  },
  get senior() {
    return view().senior;
  },
  claim: (name) => view().claim(module, name),
  ask: (task, value, options) => view().ask(module, task, value, options),
});
