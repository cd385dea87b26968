/** What the objects of a cluster are called. A suffix never holds a dash: see `clusterOf`. */
import type { Key } from "../kube/contract.ts";
import type { Kind } from "./kinds.ts";

export const names = {
  clients: (cluster: string) => `${cluster}-c2s`,
  web: (cluster: string) => `${cluster}-web`,
  servers: (cluster: string) => `${cluster}-s2s`,
  mesh: (cluster: string) => `${cluster}-mesh`,
  authority: (cluster: string) => `${cluster}-ca`,
  /** The certificate for clients and servers, when spec.tls names none. */
  tls: (cluster: string) => `${cluster}-tls`,
  /** Service account, disruption budget and network policy. */
  nodes: (cluster: string) => `${cluster}-nodes`,
  /** ReplicaSet and ConfigMap of one revision; both are made once and never changed. */
  revision: (cluster: string, revision: string) => `${cluster}-${revision}`,
  /** The name in every node's mesh certificate. */
  meshServer: (cluster: string) => `node.${cluster}.zonda.internal`,
} as const;

/**
 * The cluster that an object belongs to, from its name alone: when an object is deleted, its name
 * is all there is left. A pod's name is that of its ReplicaSet with one more part.
 */
export function clusterOf(kind: Kind, key: Key): Key {
  const parts = key.name.split("-");
  return { namespace: key.namespace, name: parts.slice(0, kind === "Pod" ? -2 : -1).join("-") };
}
