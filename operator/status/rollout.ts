/** The update under way. Its times are kept in the status, so a restart of the operator loses none. */
import type { Rollout } from "../api/status.ts";
import type { View } from "./view.ts";
import { timeText } from "./view.ts";

/** Undefined when all nodes are what spec asks for, and did become so at least once. */
export function rolloutOf(view: View): Rollout | undefined {
  const { cluster, revision, updated, outdated, nowMs } = view;
  const { status, spec } = cluster;
  const isUnfinished = status.currentRevision !== revision || outdated > 0;
  if (view.isComplete || !isUnfinished) return undefined;
  const now = timeText(nowMs);
  const last = status.rollout;
  const before = last?.id.endsWith(`-${revision}`) === true ? last : undefined;
  const from = before?.from ?? status.version;
  const hasMoved = before === undefined || updated > before.updated || outdated < before.outdated;
  const blockedBy = blockageOf(view);
  return {
    id: before?.id ?? `${cluster.generation}-${revision}`,
    ...(from !== undefined && { from }),
    to: spec.version,
    startedAt: before?.startedAt ?? now,
    progressedAt: hasMoved ? now : before.progressedAt,
    updated,
    outdated,
    total: spec.replicas,
    ...(blockedBy !== undefined && { blockedBy }),
  };
}

const MESSAGE_MAX = 1024;

function blockageOf({ doing }: View): Rollout["blockedBy"] {
  if (doing.kind !== "wait" && doing.kind !== "refuse") return undefined;
  return {
    predicate: doing.reason,
    ...(doing.kind === "wait" && doing.node !== undefined && { node: doing.node }),
    message: doing.message.slice(0, MESSAGE_MAX),
  };
}

/** Milliseconds until the rollout is called stalled; negative when it is. */
export function patienceLeftMs(rollout: Rollout, view: View): number {
  const { progressDeadlineSeconds } = view.cluster.spec.update;
  return Date.parse(rollout.progressedAt) + progressDeadlineSeconds * 1_000 - view.nowMs;
}
