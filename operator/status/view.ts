/** What all parts of the status are derived from: counts of one pass, taken once. */
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { Pod, ReplicaSet } from "../build/kinds.ts";
import { isReady, isStopping, revisionOfObject, versionOfObject } from "../build/nodes.ts";

/** What one pass saw, as far as the status tells of it. */
export interface Sight {
  readonly cluster: Cluster;
  /** The revision that spec asks for. */
  readonly revision: string;
  readonly replicaSets: readonly ReplicaSet[];
  /** Nodes, stopping ones included. */
  readonly pods: readonly Pod[];
  readonly nowMs: number;
}

/** What one pass did last, or why it did not go on. */
export type Doing =
  | { readonly kind: "settled" | "write" }
  | { readonly kind: "advance" | "refuse"; readonly reason: string; readonly message: string }
  | {
      readonly kind: "wait";
      readonly reason: string;
      readonly message: string;
      readonly node?: string;
    };

export interface View {
  readonly cluster: Cluster;
  readonly revision: string;
  readonly doing: Doing;
  readonly nowMs: number;
  readonly pods: readonly Pod[];
  /** Nodes that are not stopping. */
  readonly alive: readonly Pod[];
  /** Of these, the ones that serve. */
  readonly ready: readonly Pod[];
  readonly stopping: readonly Pod[];
  /** Nodes of the revision that spec asks for which serve. */
  readonly updated: number;
  /** Nodes of other revisions, wanted still or stopping. */
  readonly outdated: number;
  /** All nodes there should be run what spec asks for, and nothing else runs. */
  readonly isComplete: boolean;
  /** Versions of the nodes, the stopping ones not counted, with how many run each. */
  readonly versions: ReadonlyMap<string, number>;
}

export function viewOf(sight: Sight, doing: Doing): View {
  const { cluster, revision, pods, replicaSets, nowMs } = sight;
  const alive = pods.filter((pod) => !isStopping(pod));
  const ready = alive.filter(isReady);
  const isTarget = (object: (typeof replicaSets | typeof pods)[number]) =>
    revisionOfObject(object) === revision;
  const updated = ready.filter(isTarget).length;
  const others = replicaSets.filter((set) => !isTarget(set));
  const outdated = Math.max(
    pods.filter((pod) => !isTarget(pod)).length,
    others.reduce((total, set) => total + set.spec.replicas, 0),
  );
  const wanted = replicaSets.find(isTarget)?.spec.replicas ?? 0;
  const { replicas } = cluster.spec;
  const versions = new Map<string, number>();
  for (const version of alive.map(versionOfObject).sort()) {
    versions.set(version, (versions.get(version) ?? 0) + 1);
  }
  return {
    cluster,
    revision,
    doing,
    nowMs,
    pods,
    alive,
    ready,
    stopping: pods.filter(isStopping),
    updated,
    outdated,
    isComplete: outdated === 0 && wanted === replicas && updated >= replicas,
    versions,
  };
}

/** "2024-05-01T10:00:00Z": whole seconds, as Kubernetes writes times. */
export const timeText = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+/, "");
