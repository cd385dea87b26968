/**
 * For tests: what Kubernetes does to ReplicaSets and pods, on an API server that has no controllers
 * and no kubelets. Pods become ready unless their version is said to be broken; stopping pods end
 * after a few ticks. The bounds of a rollout are checked at every tick.
 */
import { setTimeout as sleep } from "node:timers/promises";
import { CLUSTER_LABEL, DELETION_COST_ANNOTATION, REVISION_LABEL } from "../../api/names.ts";
import type { Pod, ReplicaSet } from "../../build/kinds.ts";
import { isReady, isStopping, versionOfObject } from "../../build/nodes.ts";
import type { Kube } from "../../kube/contract.ts";
import { isKubeError } from "../../kube/errors.ts";

const TICK_MS = 20;
const STOPPING_TICKS = 3;

export interface Extremes {
  /** Since the last reset. */
  mostPods: number;
  mostStopping: number;
  fewestReady: number;
}

export class Machinery {
  readonly #kube: Kube;
  readonly #namespace: string;
  readonly #ending = new Map<string, number>();
  readonly broken = new Map<string, object>();
  extremes: Extremes = { mostPods: 0, mostStopping: 0, fewestReady: Number.POSITIVE_INFINITY };
  #isRunning = true;
  #loop: Promise<void>;

  constructor(kube: Kube, namespace: string) {
    this.#kube = kube;
    this.#namespace = namespace;
    this.#loop = this.#run();
  }

  async stop(): Promise<void> {
    this.#isRunning = false;
    await this.#loop;
  }

  reset(): void {
    this.extremes = { mostPods: 0, mostStopping: 0, fewestReady: Number.POSITIVE_INFINITY };
  }

  async pods(): Promise<readonly Pod[]> {
    const selection = { namespace: this.#namespace, labelSelector: CLUSTER_LABEL };
    return this.#kube.list<Pod>("v1", "Pod", selection);
  }

  async #run(): Promise<void> {
    while (this.#isRunning) {
      try {
        await this.#tick();
      } catch (error) {
        // Somebody was quicker: the next tick sees it.
        if (!isKubeError(error, "Conflict") && !isKubeError(error, "NotFound")) throw error;
      }
      await sleep(TICK_MS);
    }
  }

  async #tick(): Promise<void> {
    const selection = { namespace: this.#namespace, labelSelector: CLUSTER_LABEL };
    const sets = await this.#kube.list<ReplicaSet>("apps/v1", "ReplicaSet", selection);
    const pods = await this.pods();
    const alive = pods.filter((pod) => !isStopping(pod));
    const { extremes } = this;
    extremes.mostPods = Math.max(extremes.mostPods, pods.length);
    extremes.mostStopping = Math.max(extremes.mostStopping, pods.length - alive.length);
    extremes.fewestReady = Math.min(extremes.fewestReady, alive.filter(isReady).length);
    for (const set of sets) {
      const revision = set.metadata.labels?.[REVISION_LABEL];
      await this.#control(
        set,
        alive.filter(({ metadata }) => metadata.labels?.[REVISION_LABEL] === revision),
      );
    }
    for (const pod of pods) await (isStopping(pod) ? this.#end(pod) : this.#start(pod));
  }

  async #control(set: ReplicaSet, alive: readonly Pod[]): Promise<void> {
    const status = { observedGeneration: set.metadata.generation, replicas: alive.length };
    await this.#kube.patch(set, { status }, { subresource: "status" });
    if (alive.length < set.spec.replicas) return this.#make(set);
    if (alive.length === set.spec.replicas) return;
    const rank = (pod: Pod) =>
      (isReady(pod) ? 1_000 : 0) +
      Number(pod.metadata.annotations?.[DELETION_COST_ANNOTATION] ?? 0);
    const victim = alive.toSorted((a, b) => rank(a) - rank(b))[0];
    if (victim !== undefined) await this.#kube.delete(victim);
  }

  async #make(set: ReplicaSet): Promise<void> {
    const { name, uid = "" } = set.metadata;
    const suffix = Math.random().toString(36).slice(2, 7).padEnd(5, "0");
    await this.#kube.create({
      apiVersion: "v1",
      kind: "Pod",
      metadata: {
        name: `${name}-${suffix}`,
        namespace: this.#namespace,
        labels: set.spec.template.metadata.labels,
        ownerReferences: [
          { apiVersion: "apps/v1", kind: "ReplicaSet", name, uid, controller: true },
        ],
      },
      // On a machine, or the API server would not wait for its end when it is deleted.
      spec: { ...set.spec.template.spec, nodeName: "machine" },
    });
  }

  async #start(pod: Pod): Promise<void> {
    if (isReady(pod)) return;
    const state = this.broken.get(versionOfObject(pod));
    const status =
      state === undefined
        ? { phase: "Running", conditions: [{ type: "Ready", status: "True" }] }
        : { phase: "Pending", containerStatuses: [containerStatus(state)] };
    await this.#kube.patch(pod, { status }, { subresource: "status" });
  }

  async #end(pod: Pod): Promise<void> {
    const ticks = (this.#ending.get(pod.metadata.name) ?? 0) + 1;
    this.#ending.set(pod.metadata.name, ticks);
    if (ticks < STOPPING_TICKS) return;
    await this.#kube.delete(pod, { graceSeconds: 0 });
  }
}

const containerStatus = (state: object) => ({
  name: "node",
  image: "",
  imageID: "",
  ready: false,
  restartCount: 0,
  state,
});
