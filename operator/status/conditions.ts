/** Conditions as Kubernetes means them: a time is changed only when the status changes. */
import type { Condition, ConditionType } from "../api/status.ts";
import { timeText } from "./view.ts";

export interface Finding {
  readonly type: ConditionType;
  readonly status: Condition["status"];
  readonly reason: string;
  readonly message: string;
}

const MESSAGE_MAX = 4096;

export function conditionsOf(
  findings: readonly Finding[],
  before: readonly Condition[],
  generation: number,
  nowMs: number,
): Condition[] {
  return findings.map(({ type, status, reason, message }) => {
    const last = before.find((condition) => condition.type === type);
    return {
      type,
      status,
      observedGeneration: generation,
      lastTransitionTime:
        last !== undefined && last.status === status ? last.lastTransitionTime : timeText(nowMs),
      reason,
      message: message.slice(0, MESSAGE_MAX),
    };
  });
}
