/** The ReplicaSet and the ConfigMap of the revision that spec asks for: made once, empty. */
import { configMap } from "../../build/config-map.ts";
import { names } from "../../build/names.ts";
import { revisionOfObject } from "../../build/nodes.ts";
import { replicaSet } from "../../build/replica-set.ts";
import type { Seen } from "../observe.ts";
import { isOwned } from "../observe.ts";
import type { Action, Verdict } from "../verdict.ts";
import { SETTLED } from "../verdict.ts";

const FOREIGN_AGAIN_MS = 2_000;

export function revision(seen: Seen): Verdict {
  const { cluster, configMaps, replicaSets } = seen;
  const name = names.revision(cluster.name, seen.revision);
  // Left by a cluster of the same name that was deleted: Kubernetes is about to remove it.
  const foreign = (["ReplicaSet", "ConfigMap"] as const)
    .map((kind) => seen.live(kind, name))
    .find((object) => object !== undefined && !isOwned(object, cluster));
  if (foreign !== undefined) {
    return {
      kind: "wait",
      reason: "NameTaken",
      message: `${foreign.kind} ${name} exists but does not belong to this XmppCluster; delete it, or wait until it is gone`,
      againMs: FOREIGN_AGAIN_MS,
    };
  }
  const actions: Action[] = [];
  if (!configMaps.some(({ metadata }) => metadata.name === name)) {
    actions.push({ kind: "create", object: configMap(cluster, seen.revision) });
  }
  if (!replicaSets.some((set) => revisionOfObject(set) === seen.revision)) {
    actions.push({ kind: "create", object: replicaSet(cluster, seen.revision) });
  }
  if (actions.length === 0) return SETTLED;
  const message = `Makes revision ${seen.revision} of version ${cluster.spec.version}`;
  return { kind: "advance", actions, reason: "NewRevision", message };
}
