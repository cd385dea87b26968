/** Why a node does not become ready, in one line, from what Kubernetes says of its pod. */
import { REVISION_LABEL } from "../api/names.ts";
import type { Pod, ReplicaSet } from "../build/kinds.ts";

/** Long messages of runtimes are cut: the status must stay small. */
const LENGTH_MAX = 400;

/**
 * @param pod the node that is waited for; when there is none, the ReplicaSet of `revision` may say
 * why it could not make one (quota, admission)
 */
export function troubleOf(
  { replicaSets, revision }: { replicaSets: readonly ReplicaSet[]; revision: string },
  pod: Pod | undefined,
): string | undefined {
  const text = pod === undefined ? troubleOfSet(replicaSets, revision) : troubleOfPod(pod);
  return text?.replaceAll(/\s+/g, " ").slice(0, LENGTH_MAX);
}

function troubleOfSet(sets: readonly ReplicaSet[], revision: string): string | undefined {
  const set = sets.find(({ metadata }) => metadata.labels?.[REVISION_LABEL] === revision);
  const failure = set?.status?.conditions?.find(({ type }) => type === "ReplicaFailure");
  return failure?.status === "True" ? sentence(failure.reason, failure.message) : undefined;
}

/** Only states that do not pass by themselves in a moment. */
const PASSING = new Set(["ContainerCreating", "PodInitializing"]);

function troubleOfPod({ status }: Pod): string | undefined {
  const scheduled = status?.conditions?.find(({ type }) => type === "PodScheduled");
  if (scheduled?.status === "False") return sentence(scheduled.reason, scheduled.message);
  // Those that start first: while they are in trouble, the others only wait for them.
  const { initContainerStatuses = [], containerStatuses = [] } = status ?? {};
  for (const { state, lastState } of [...initContainerStatuses, ...containerStatuses]) {
    const waiting = state?.waiting;
    const ended = state?.terminated ?? lastState?.terminated;
    if (ended !== undefined) {
      // A crash: what it wrote last says more than the kubelet's "back-off restarting".
      const how = `${waiting?.reason ?? ended.reason ?? "Error"}, exit code ${ended.exitCode}`;
      return sentence(how, lastLine(ended.message));
    }
    if (waiting?.reason !== undefined && !PASSING.has(waiting.reason)) {
      return sentence(waiting.reason, waiting.message);
    }
  }
  return undefined;
}

const sentence = (reason = "Unknown", message?: string): string =>
  message === undefined || message === "" ? reason : `${reason}: ${message}`;

const lastLine = (text: string | undefined): string | undefined => text?.trim().split("\n").at(-1);
