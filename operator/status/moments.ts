/** What is worth an Event: found by comparing one status with the next. */
import type { ClusterStatus } from "../api/status.ts";
import type { EventType } from "../kube/contract.ts";

export interface Moment {
  readonly type: EventType;
  readonly reason: string;
  readonly action: string;
  readonly note: string;
}

const normal = (reason: string, action: string, note: string): Moment => ({
  type: "Normal",
  reason,
  action,
  note,
});

export function momentsOf(before: ClusterStatus, now: ClusterStatus): readonly Moment[] {
  const moments: Moment[] = [];
  const old = before.rollout;
  const rollout = now.rollout;
  if (rollout !== undefined && rollout.id !== old?.id) {
    const from = rollout.from === undefined ? "" : ` from ${rollout.from}`;
    const note = `Brings ${rollout.total} nodes${from} to ${rollout.to}`;
    moments.push(normal("RolloutStarted", "Update", note));
  }
  const left = rollout?.outdated ?? 0;
  if (
    old !== undefined &&
    left < old.outdated &&
    (rollout === undefined || rollout.id === old.id)
  ) {
    const note = `A node was replaced; ${left} of an old revision left`;
    moments.push(normal("NodeReplaced", "Replace", note));
  }
  if (old !== undefined && rollout === undefined && now.version !== undefined) {
    moments.push(normal("RolloutFinished", "Update", `All nodes run ${now.version}`));
  }
  return [...moments, ...stallOf(before, now)];
}

function stallOf(before: ClusterStatus, now: ClusterStatus): readonly Moment[] {
  const find = ({ conditions }: ClusterStatus) =>
    conditions?.find(({ type }) => type === "Stalled");
  const stalled = find(now);
  const last = find(before);
  if (stalled?.status !== "True") return [];
  if (last?.status === "True" && last.reason === stalled.reason) return [];
  const { reason, message } = stalled;
  const action = reason === "InvalidSpec" ? "Check" : "Update";
  return [{ type: "Warning", reason, action, note: message }];
}
