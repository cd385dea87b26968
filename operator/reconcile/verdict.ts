/** What a step of the reconcile says: what is to be written, or why nothing is. */
import type { Secret } from "../build/kinds.ts";
import type { KubeObject, Reference } from "../kube/contract.ts";

export type Action =
  /** Server-side apply; `live` is the copy in the informer, so that nothing is sent in vain. */
  | { readonly kind: "apply"; readonly object: KubeObject; readonly live: KubeObject | undefined }
  /** For what is never changed afterwards. */
  | { readonly kind: "create"; readonly object: KubeObject }
  /** Only when the object still is the version that was seen. */
  | { readonly kind: "patch"; readonly object: KubeObject; readonly change: object }
  | { readonly kind: "remove"; readonly object: KubeObject }
  | { readonly kind: "certify"; readonly wish: CertificateWish };

/** A Secret to be made, or, when there is one whose time is over, to be filled again. */
export interface CertificateWish {
  readonly name: string;
  readonly live: Secret | undefined;
  readonly commonName: string;
  /** Empty for the authority itself. */
  readonly hosts: readonly string[];
  /** The authority that signs; absent for the authority itself. */
  readonly authority: Secret | undefined;
}

export type Verdict =
  /** Nothing to do here; the next step may go on. */
  | { readonly kind: "settled" }
  /** Write these; the next step goes on with what was read before. */
  | { readonly kind: "write"; readonly actions: readonly Action[] }
  /** Write these, and look at the outcome before anything else is decided. */
  | {
      readonly kind: "advance";
      readonly actions: readonly Action[];
      readonly reason: string;
      readonly message: string;
      /** When to look; absent when an informer will tell. */
      readonly againMs?: number;
    }
  /** Something has to happen first that an informer will tell, or that is looked at `againMs`. */
  | {
      readonly kind: "wait";
      readonly reason: string;
      readonly message: string;
      readonly node?: string;
      readonly againMs?: number;
    }
  /** Only a person can help. */
  | { readonly kind: "refuse"; readonly reason: string; readonly message: string };

export const SETTLED: Verdict = { kind: "settled" };

/** Settled, or the actions if there are any. */
export const write = (actions: readonly Action[]): Verdict =>
  actions.length === 0 ? SETTLED : { kind: "write", actions };

export const remove = (object: KubeObject): Action => ({ kind: "remove", object });

/** A patch that is refused when somebody else changed the object since it was seen. */
export function patch(object: KubeObject, change: Record<string, unknown>): Action {
  const { metadata, ...rest } = change;
  const { uid, resourceVersion } = object.metadata;
  const guarded = { uid, resourceVersion, ...(metadata as object | undefined) };
  return { kind: "patch", object, change: { metadata: guarded, ...rest } };
}

export const referenceOf = ({ apiVersion, kind, metadata }: KubeObject): Reference => ({
  apiVersion,
  kind,
  metadata: { name: metadata.name, ...(metadata.namespace && { namespace: metadata.namespace }) },
});
