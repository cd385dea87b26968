/** Nodes never talk to the Kubernetes API: an account without a token and without rights. */
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { ServiceAccount } from "./kinds.ts";
import { ownedBy } from "./labels.ts";
import { names } from "./names.ts";

export const serviceAccount = (cluster: Cluster): ServiceAccount => ({
  apiVersion: "v1",
  kind: "ServiceAccount",
  metadata: ownedBy(cluster, names.nodes(cluster.name)),
  automountServiceAccountToken: false,
});
