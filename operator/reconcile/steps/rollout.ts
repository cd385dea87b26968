/** Brings the nodes to the revision and the number that spec asks for, one step in each pass. */
import { DELETION_COST_ANNOTATION } from "../../api/names.ts";
import type { Pod, ReplicaSet } from "../../build/kinds.ts";
import { revisionOfObject } from "../../build/nodes.ts";
import { troubleOf } from "../../status/trouble.ts";
import type { Seen } from "../observe.ts";
import type { Hindrance, Plan } from "../plan.ts";
import { plan } from "../plan.ts";
import { situationOf } from "../situation.ts";
import type { Verdict } from "../verdict.ts";
import { patch, SETTLED } from "../verdict.ts";

/** Below every pod that carries no cost: 0. */
const MARK = "-1";
const DRAIN_AGAIN_MS = 15_000;

export function rollout(seen: Seen): Verdict {
  const step = plan(situationOf(seen));
  switch (step.kind) {
    case "done":
      return SETTLED;
    case "wait":
      return wait(seen, step);
    case "mark":
      return mark(seen, step.node);
    case "grow":
      return resize(seen, step, "Surging", `Grows revision ${step.revision} to ${step.wanted}`);
    case "shrink": {
      const node = step.node === undefined ? "a node that never started" : `node ${step.node}`;
      return resize(seen, step, "Draining", `Takes ${node} out of service`);
    }
    default:
      return step satisfies never;
  }
}

function resize(
  seen: Seen,
  step: { readonly revision: string; readonly wanted: number },
  reason: string,
  message: string,
): Verdict {
  const set = seen.replicaSets.find(
    (candidate: ReplicaSet) => revisionOfObject(candidate) === step.revision,
  );
  if (set === undefined) return SETTLED; // The planner sizes only what has a ReplicaSet.
  const actions = [patch(set, { spec: { replicas: step.wanted } })];
  return { kind: "advance", actions, reason, message };
}

function mark(seen: Seen, node: string): Verdict {
  const pod = seen.pods.find(({ metadata }: Pod) => metadata.name === node);
  if (pod === undefined) return SETTLED; // The planner marks only what it was shown.
  const change = { metadata: { annotations: { [DELETION_COST_ANNOTATION]: MARK } } };
  return {
    kind: "advance",
    actions: [patch(pod, change)],
    reason: "Draining",
    message: `Chooses node ${node} to be the next to stop`,
  };
}

const WAITS: { readonly [hindrance in Hindrance]: string } = {
  ReplicaSet: "Waits for the ReplicaSet of the new revision",
  NodeStarting: "Waits for a node to become ready",
  DrainInProgress: "Waits for a node to hand over its clients and stop",
  NoRoom: "maxSurge and maxUnavailable leave no room to replace a node",
};

function wait(seen: Seen, step: Extract<Plan, { kind: "wait" }>): Verdict {
  const pod = seen.pods.find(({ metadata }) => metadata.name === step.node);
  const about = step.node === undefined ? "" : `: ${step.node}`;
  const trouble = step.for === "NodeStarting" ? troubleOf(seen, pod) : undefined;
  return {
    kind: "wait",
    reason: step.for,
    message: `${WAITS[step.for]}${about}${trouble === undefined ? "" : ` (${trouble})`}`,
    ...(step.node !== undefined && { node: step.node }),
    // The machine of a stopping node may have died, and then nothing tells.
    ...(step.for === "DrainInProgress" && { againMs: DRAIN_AGAIN_MS }),
  };
}
