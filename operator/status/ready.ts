/** Ready: as many nodes serve as spec promises, whatever they run. */

import { isReady } from "../build/nodes.ts";
import type { Finding } from "./conditions.ts";
import { troubleOf } from "./trouble.ts";
import type { View } from "./view.ts";

/** At least one node, even when maxUnavailable would allow none. */
export const nodesPromised = ({ cluster: { spec } }: View): number =>
  Math.max(1, spec.replicas - spec.update.maxUnavailable);

export function ready(view: View): Finding {
  const { replicas } = view.cluster.spec;
  const message = `${view.ready.length} of ${replicas} nodes serve`;
  if (view.ready.length >= nodesPromised(view)) {
    return { type: "Ready", status: "True", reason: "MinimumNodesServing", message };
  }
  const { doing } = view;
  const reason = view.ready.length === 0 ? "NoNodeServing" : "NodesMissing";
  const silent = view.alive.find((pod) => !isReady(pod));
  const trouble = silent && troubleOf({ replicaSets: [], revision: view.revision }, silent);
  const hint =
    trouble !== undefined
      ? `; ${silent?.metadata.name}: ${trouble}`
      : doing.kind === "wait"
        ? `; ${doing.message}`
        : "";
  return { type: "Ready", status: "False", reason, message: `${message}${hint}` };
}
