/** Progressing: an update is under way and moves. Stalled: it does not move, or cannot begin. */
import type { Rollout } from "../api/status.ts";
import type { Finding } from "./conditions.ts";
import { patienceLeftMs } from "./rollout.ts";
import type { View } from "./view.ts";

interface Motion {
  readonly progressing: Omit<Finding, "type">;
  readonly stalled: Omit<Finding, "type">;
}

export function progressingAndStalled(view: View, rollout: Rollout | undefined): Finding[] {
  const { progressing, stalled } = motionOf(view, rollout);
  return [
    { type: "Progressing", ...progressing },
    { type: "Stalled", ...stalled },
  ];
}

function motionOf(view: View, rollout: Rollout | undefined): Motion {
  const { doing } = view;
  if (doing.kind === "refuse") return stuck(doing.reason, doing.message);
  if (rollout === undefined) {
    const message = `All ${view.cluster.spec.replicas} nodes were brought to ${view.cluster.spec.version}`;
    return {
      progressing: { status: "False", reason: "UpToDate", message },
      stalled: { status: "False", reason: "UpToDate", message: "No update is under way" },
    };
  }
  const counts = `${rollout.updated} of ${rollout.total} nodes run ${rollout.to}`;
  const step = doing.kind === "wait" || doing.kind === "advance" ? doing : undefined;
  const message = step === undefined ? counts : `${counts}; ${step.message}`;
  if (patienceLeftMs(rollout, view) <= 0) return stuck("ProgressDeadlineExceeded", message);
  const reason = step?.reason ?? "Updating";
  return {
    progressing: { status: "True", reason, message },
    stalled: { status: "False", reason: "Progressing", message: "The update moves" },
  };
}

const stuck = (reason: string, message: string): Motion => ({
  progressing: { status: "False", reason, message },
  stalled: { status: "True", reason, message },
});
