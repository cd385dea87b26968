/** One revision of the nodes. Made empty and never changed but for its size: see rollout.ts. */
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { ReplicaSet } from "./kinds.ts";
import { ownedBy, revisionLabels, revisionSelector } from "./labels.ts";
import { names } from "./names.ts";
import { podTemplate } from "./pod-template.ts";

export const replicaSet = (cluster: Cluster, revision: string): ReplicaSet => ({
  apiVersion: "apps/v1",
  kind: "ReplicaSet",
  metadata: ownedBy(
    cluster,
    names.revision(cluster.name, revision),
    revisionLabels(cluster, revision),
  ),
  spec: {
    replicas: 0,
    selector: { matchLabels: revisionSelector(cluster.name, revision) },
    template: podTemplate(cluster, revision),
  },
});
