/** The whole status of one pass. Equal input gives an equal status, so nothing is written twice. */
import { CLUSTER_LABEL } from "../api/names.ts";
import type { ClusterStatus, NodeStatus, Rollout } from "../api/status.ts";
import { NODES_LISTED_MAX } from "../api/status.ts";
import type { XmppCluster } from "../api/xmpp-cluster.ts";
import type { Pod } from "../build/kinds.ts";
import { isReady, isStopping, versionOfObject } from "../build/nodes.ts";
import { conditionsOf } from "./conditions.ts";
import { progressingAndStalled } from "./progressing.ts";
import { nodesPromised, ready } from "./ready.ts";
import { patienceLeftMs, rolloutOf } from "./rollout.ts";
import { troubleOf } from "./trouble.ts";
import { versionConsistent } from "./version-consistent.ts";
import type { Doing, Sight, View } from "./view.ts";
import { viewOf } from "./view.ts";

export interface Report {
  readonly status: ClusterStatus;
  /** When the status may change though nothing else does: an update turns out to be stalled. */
  readonly againMs: number | undefined;
}

export function statusOf(sight: Sight, doing: Doing): Report {
  const view = viewOf(sight, doing);
  const { cluster, revision, isComplete } = view;
  const rollout = rolloutOf(view);
  const version = isComplete ? cluster.spec.version : cluster.status.version;
  const currentRevision = isComplete ? revision : cluster.status.currentRevision;
  const findings = [ready(view), ...progressingAndStalled(view, rollout), versionConsistent(view)];
  const before = cluster.status.conditions ?? [];
  const status: ClusterStatus = {
    observedGeneration: cluster.generation,
    phase: phaseOf(view, rollout),
    ...(version !== undefined && { version }),
    replicas: view.alive.length,
    readyReplicas: view.ready.length,
    selector: `${CLUSTER_LABEL}=${cluster.name}`,
    ...(currentRevision !== undefined && { currentRevision }),
    updateRevision: revision,
    ...(rollout !== undefined && { rollout }),
    nodes: nodesOf(view),
    conditions: conditionsOf(findings, before, cluster.generation, view.nowMs),
  };
  const leftMs = rollout === undefined ? undefined : patienceLeftMs(rollout, view);
  return { status, againMs: leftMs !== undefined && leftMs > 0 ? leftMs : undefined };
}

function phaseOf(view: View, rollout: Rollout | undefined): ClusterStatus["phase"] {
  const isStalled = rollout !== undefined && patienceLeftMs(rollout, view) <= 0;
  if (view.doing.kind === "refuse" || isStalled) return "Degraded";
  if (view.stopping.length > 0) return "Draining";
  if (rollout !== undefined) return view.cluster.status.version ? "Updating" : "Pending";
  return view.ready.length >= nodesPromised(view) ? "Ready" : "Degraded";
}

const nodesOf = ({ pods }: View): NodeStatus[] =>
  pods
    .toSorted((a, b) => (a.metadata.name < b.metadata.name ? -1 : 1))
    .slice(0, NODES_LISTED_MAX)
    .map((pod) => ({
      name: pod.metadata.name,
      version: versionOfObject(pod),
      phase: nodePhase(pod),
    }));

function nodePhase(pod: Pod): NodeStatus["phase"] {
  if (isStopping(pod)) return "Terminating";
  if (isReady(pod)) return "Serving";
  const hasStarted = pod.status?.containerStatuses?.every(({ started }) => started) ?? false;
  const isInTrouble = troubleOf({ replicaSets: [], revision: "" }, pod) !== undefined;
  return hasStarted || isInTrouble ? "NotReady" : "Starting";
}

/** The status of a spec that this operator cannot use: what was known stays, and why is added. */
export function statusOfInvalid(
  object: XmppCluster,
  message: string,
  nowMs: number,
): ClusterStatus {
  const { generation = 0 } = object.metadata;
  const before = object.status ?? {};
  const reason = "InvalidSpec";
  const changed = conditionsOf(
    [
      { type: "Progressing", status: "False", reason, message },
      { type: "Stalled", status: "True", reason, message },
    ],
    before.conditions ?? [],
    generation,
    nowMs,
  );
  const kept = (before.conditions ?? []).filter(
    ({ type }) => type !== "Progressing" && type !== "Stalled",
  );
  return {
    ...before,
    observedGeneration: generation,
    phase: "Degraded",
    conditions: [...kept, ...changed],
  };
}
