/**
 * Lets machines be drained one node at a time. Never minAvailable, and none for a single node:
 * either would keep a machine from ever being drained. Broken nodes may always be evicted.
 */
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { KubeObject } from "../kube/contract.ts";
import { clusterSelector, ownedBy } from "./labels.ts";
import { names } from "./names.ts";

export const podDisruptionBudget = (cluster: Cluster): KubeObject | undefined =>
  cluster.spec.replicas === 1
    ? undefined
    : {
        apiVersion: "policy/v1",
        kind: "PodDisruptionBudget",
        metadata: ownedBy(cluster, names.nodes(cluster.name)),
        spec: {
          maxUnavailable: 1,
          unhealthyPodEvictionPolicy: "AlwaysAllow",
          selector: { matchLabels: clusterSelector(cluster.name) },
        },
      };
