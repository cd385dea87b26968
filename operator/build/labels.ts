/** Labels and ownership that every object of a cluster carries. */
import { API_VERSION, CLUSTER_LABEL, KIND, REVISION_LABEL, VERSION_LABEL } from "../api/names.ts";
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { ObjectMeta } from "../kube/contract.ts";

type Labels = Readonly<Record<string, string>>;

/** Selects all nodes of a cluster, whatever they run. */
export const clusterSelector = (cluster: string): Labels => ({ [CLUSTER_LABEL]: cluster });

/** Selects the nodes of one revision. */
export const revisionSelector = (cluster: string, revision: string): Labels => ({
  [CLUSTER_LABEL]: cluster,
  [REVISION_LABEL]: revision,
});

const commonLabels = (cluster: string): Labels => ({
  "app.kubernetes.io/name": "zonda-node",
  "app.kubernetes.io/instance": cluster,
  "app.kubernetes.io/part-of": "zonda",
  "app.kubernetes.io/managed-by": "xmpp-operator",
  ...clusterSelector(cluster),
});

export const revisionLabels = (cluster: Cluster, revision: string): Labels => ({
  ...commonLabels(cluster.name),
  ...revisionSelector(cluster.name, revision),
  [VERSION_LABEL]: cluster.spec.version,
});

/**
 * Metadata of an object that goes away with its cluster. blockOwnerDeletion is left out: it would
 * need a right on the owner's finalizers, and nothing has to wait for the objects to be gone.
 */
export const ownedBy = (
  cluster: Cluster,
  name: string,
  labels: Labels = commonLabels(cluster.name),
): ObjectMeta => ({
  name,
  namespace: cluster.namespace,
  labels,
  ownerReferences: [
    { apiVersion: API_VERSION, kind: KIND, name: cluster.name, uid: cluster.uid, controller: true },
  ],
});
