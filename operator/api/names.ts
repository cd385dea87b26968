/** Names of the XmppCluster API that must never change: objects in clusters carry them. */

export const GROUP = "xmpp.zonda.dev";
export const VERSION = "v1alpha1";
export const API_VERSION = `${GROUP}/${VERSION}`;
export const KIND = "XmppCluster";
export const PLURAL = "xmppclusters";

/** Which cluster an object belongs to: what all selectors are made of. */
export const CLUSTER_LABEL = `${GROUP}/cluster`;
/** Which revision of the nodes an object belongs to. */
export const REVISION_LABEL = `${GROUP}/revision`;
/** The version a node runs; for people and for status, never in a selector. */
export const VERSION_LABEL = "app.kubernetes.io/version";
/** Kubernetes' own: of two ready pods a ReplicaSet ends the one with the lower cost. */
export const DELETION_COST_ANNOTATION = "controller.kubernetes.io/pod-deletion-cost";

/** The name the operator writes under; part of every server-side apply. */
export const FIELD_MANAGER = "zonda-operator";
