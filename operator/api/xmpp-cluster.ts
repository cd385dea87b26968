/** An XmppCluster as the operator handles it: identity, checked spec, last status. */
import type { KubeObject } from "../kube/contract.ts";
import type { ClusterSpec } from "./spec.ts";
import { specSchema } from "./spec.ts";
import type { ClusterStatus } from "./status.ts";

/** As the API server gives it. */
export interface XmppCluster extends KubeObject {
  readonly spec?: unknown;
  readonly status?: ClusterStatus;
}

/** Enough to name and own the objects of a cluster, and to build them. */
export interface Cluster {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly generation: number;
  readonly spec: ClusterSpec;
  readonly status: ClusterStatus;
}

export type Reading =
  | { readonly kind: "valid"; readonly cluster: Cluster }
  | { readonly kind: "invalid"; readonly message: string };

/**
 * Checks what the API server already checked: its CRD may be older or newer than this operator.
 * Defaults that an older CRD did not fill in are filled in here.
 */
export function readCluster(object: XmppCluster): Reading {
  const spec = specSchema.safeParse(object.spec);
  if (!spec.success) {
    const faults = spec.error.issues.map(
      ({ path, message }) => `spec.${path.map(String).join(".")}: ${message}`,
    );
    return { kind: "invalid", message: `Cannot use the spec: ${faults.join("; ")}` };
  }
  const { name, namespace = "", uid = "", generation = 0 } = object.metadata;
  const status = object.status ?? {};
  return { kind: "valid", cluster: { name, namespace, uid, generation, spec: spec.data, status } };
}
