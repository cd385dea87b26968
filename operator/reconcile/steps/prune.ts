/** Removes what old revisions leave behind once their last node is gone. */
import { REVISION_LABEL } from "../../api/names.ts";
import { revisionOfObject } from "../../build/nodes.ts";
import type { Seen } from "../observe.ts";
import type { Verdict } from "../verdict.ts";
import { remove, write } from "../verdict.ts";

export function prune({ revision, replicaSets, configMaps, pods }: Seen): Verdict {
  const inUse = new Set([revision, ...pods.map(revisionOfObject)]);
  const sets = replicaSets.filter(
    (set) => set.spec.replicas === 0 && !inUse.has(revisionOfObject(set)),
  );
  // A revision's configuration goes one pass after its ReplicaSet, which may still make a node.
  for (const set of replicaSets) inUse.add(revisionOfObject(set));
  const maps = configMaps.filter(
    ({ metadata }) => !inUse.has(metadata.labels?.[REVISION_LABEL] ?? revision),
  );
  return write([...sets, ...maps].map(remove));
}
