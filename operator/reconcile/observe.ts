/** Reads everything one pass needs, once. Nothing after it asks Kubernetes anything. */
import { API_VERSION, CLUSTER_LABEL, KIND } from "../api/names.ts";
import type { Cluster, XmppCluster } from "../api/xmpp-cluster.ts";
import { readCluster } from "../api/xmpp-cluster.ts";
import type { Kind, Pod, ReplicaSet, Secret } from "../build/kinds.ts";
import { names } from "../build/names.ts";
import { revisionOf } from "../build/revision.ts";
import type { Key, Kube, KubeObject, Store } from "../kube/contract.ts";

/** The kinds that are watched; Secrets are only ever read by name. */
export type WatchedKind = Exclude<Kind, "Secret">;
export type Stores = { readonly [kind in Exclude<WatchedKind, "Pod" | "ReplicaSet">]: Store } & {
  readonly Pod: Store<Pod>;
  readonly ReplicaSet: Store<ReplicaSet>;
};

export interface Seen {
  readonly object: XmppCluster;
  readonly cluster: Cluster;
  /** The revision that spec asks for. */
  readonly revision: string;
  readonly replicaSets: readonly ReplicaSet[];
  /** Nodes, stopping ones included, without those that ended. */
  readonly pods: readonly Pod[];
  readonly configMaps: readonly KubeObject[];
  /** Other watched objects of the cluster, by kind and name. */
  live(kind: WatchedKind, name: string): KubeObject | undefined;
  readonly authority: Secret | undefined;
  readonly mesh: Secret | undefined;
  /** The operator's own; undefined also when spec.tls names one. */
  readonly tls: Secret | undefined;
  readonly nowMs: number;
}

export type Observation =
  | { readonly kind: "gone" }
  /** The informers do not yet show what was written last: deciding now would decide twice. */
  | { readonly kind: "behind" }
  | { readonly kind: "invalid"; readonly object: XmppCluster; readonly message: string }
  | { readonly kind: "seen"; readonly seen: Seen };

export interface Eyes {
  readonly kube: Pick<Kube, "get">;
  readonly clusters: Store<XmppCluster>;
  readonly stores: Stores;
  isCaughtUp(key: Key): boolean;
  nowMs(): number;
}

export async function observe(eyes: Eyes, key: Key, signal: AbortSignal): Promise<Observation> {
  const object = eyes.clusters.get(key);
  if (object === undefined || object.metadata.deletionTimestamp !== undefined) {
    return { kind: "gone" };
  }
  if (!eyes.isCaughtUp(key)) return { kind: "behind" };
  const reading = readCluster(object);
  if (reading.kind === "invalid") return { kind: "invalid", object, message: reading.message };
  const { cluster } = reading;
  const nowMs = eyes.nowMs();
  const secret = (name: string) =>
    eyes.kube.get<Secret>("v1", "Secret", { namespace: key.namespace, name }, { signal });
  const [authority, mesh, tls] = await Promise.all([
    secret(names.authority(key.name)),
    secret(names.mesh(key.name)),
    cluster.spec.tls.secretName === undefined ? secret(names.tls(key.name)) : undefined,
  ]);
  const mine = labelled(key);
  const seen: Seen = {
    object,
    cluster,
    revision: revisionOf(cluster),
    replicaSets: eyes.stores.ReplicaSet.list().filter(
      (candidate) => mine(candidate) && isOwned(candidate, cluster),
    ),
    pods: eyes.stores.Pod.list()
      .filter(mine)
      .filter((pod) => isLiving(pod, nowMs)),
    configMaps: eyes.stores.ConfigMap.list().filter(
      (candidate) => mine(candidate) && isOwned(candidate, cluster),
    ),
    live: (kind, name) => eyes.stores[kind].get({ namespace: key.namespace, name }),
    authority,
    mesh,
    tls,
    nowMs,
  };
  return { kind: "seen", seen };
}

const labelled = (key: Key) => (object: KubeObject) =>
  object.metadata.namespace === key.namespace &&
  object.metadata.labels?.[CLUSTER_LABEL] === key.name;

/** Of this very cluster: one deleted and made again under the same name is another. */
export const isOwned = (object: KubeObject, cluster: Cluster): boolean =>
  object.metadata.ownerReferences?.some(
    ({ apiVersion, kind, uid }) =>
      apiVersion === API_VERSION && kind === KIND && uid === cluster.uid,
  ) ?? false;

/** The kubelet ends a pod when its grace is over; clocks differ, and the end takes a moment. */
const OVERDUE_MS = 60_000;

/**
 * Not a pod that failed: it stays as a record, its ReplicaSet has already made another. Nor one
 * that should have stopped long ago: its machine is dead, and would hold up every update.
 */
function isLiving({ metadata, status }: Pod, nowMs: number): boolean {
  if (status?.phase === "Failed" || status?.phase === "Succeeded") return false;
  if (metadata.deletionTimestamp === undefined) return true;
  return nowMs < Date.parse(metadata.deletionTimestamp) + OVERDUE_MS;
}
