/** The planner's view of what was seen: counts of nodes, from pods and ReplicaSets. */
import { DELETION_COST_ANNOTATION } from "../api/names.ts";
import type { Pod, ReplicaSet } from "../build/kinds.ts";
import { isReady, isStopping, revisionOfObject } from "../build/nodes.ts";
import type { Seen } from "./observe.ts";
import type { PlannedNode, PlannedRevision, Situation } from "./plan.ts";

const planned = (pod: Pod): PlannedNode => ({
  name: pod.metadata.name,
  isReady: isReady(pod) && !isStopping(pod),
  isStopping: isStopping(pod),
  isMarked: Number(pod.metadata.annotations?.[DELETION_COST_ANNOTATION] ?? 0) < 0,
});

const isBarred = (set: ReplicaSet | undefined): boolean =>
  set?.status?.conditions?.some(
    ({ type, status }) => type === "ReplicaFailure" && status === "True",
  ) ?? false;

/** Every revision that has a ReplicaSet, or nodes left over from one. */
function revisionsOf({ replicaSets, pods }: Seen): readonly PlannedRevision[] {
  const ids = new Set([...replicaSets, ...pods].map(revisionOfObject));
  const setOf = (id: string) => replicaSets.find((set) => revisionOfObject(set) === id);
  return [...ids].sort().map((id) => ({
    id,
    wanted: setOf(id)?.spec.replicas ?? 0,
    isBarred: isBarred(setOf(id)),
    nodes: pods.filter((pod) => revisionOfObject(pod) === id).map(planned),
  }));
}

export function situationOf(seen: Seen): Situation {
  const { replicas, update } = seen.cluster.spec;
  const hasTarget = seen.replicaSets.some((set) => revisionOfObject(set) === seen.revision);
  return {
    replicas,
    maxSurge: update.maxSurge,
    maxUnavailable: update.maxUnavailable,
    target: seen.revision,
    stable: seen.cluster.status.currentRevision,
    // Without its ReplicaSet a target cannot grow, whatever is left of its nodes.
    revisions: revisionsOf(seen).filter(({ id }) => hasTarget || id !== seen.revision),
  };
}
