/** Carries out what the steps decided. The only writer of anything but the status. */
import { issue, makeAuthority } from "../../node/config/certificates.ts";
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { Certified } from "../build/secret.ts";
import { secret, secretData } from "../build/secret.ts";
import type { Kube, KubeObject } from "../kube/contract.ts";
import { Temporary } from "../loop/contract.ts";
import { pemOf } from "./steps/identity.ts";
import type { Action, CertificateWish } from "./verdict.ts";
import { patch, referenceOf } from "./verdict.ts";

export interface Hands {
  readonly kube: Pick<Kube, "apply" | "create" | "patch" | "delete">;
  /** Told what the server answered, so that the next pass waits until the informers show it. */
  wrote(object: KubeObject): void;
  deleted(object: KubeObject): void;
}

const TAKEN_AGAIN_MS = 2_000;

/** @throws KubeError; Temporary when an object of that name is there and not yet gone */
export async function perform(
  hands: Hands,
  cluster: Cluster,
  action: Action,
  signal: AbortSignal,
): Promise<void> {
  const { kube } = hands;
  switch (action.kind) {
    case "apply": {
      const { object, live } = action;
      const applied = await kube.apply(object, { live, signal });
      if (applied.written) hands.wrote(applied.object);
      return;
    }
    case "create":
      return create(hands, action.object, signal);
    case "patch":
      hands.wrote(await kube.patch(referenceOf(action.object), { ...action.change }, { signal }));
      return;
    case "remove": {
      const { uid } = action.object.metadata;
      const options = { signal, propagation: "Background", ...(uid && { uid }) } as const;
      const outcome = await kube.delete(referenceOf(action.object), options);
      if (outcome === "deleted") hands.deleted(action.object);
      return;
    }
    case "certify":
      return certify(hands, cluster, action.wish, signal);
    default:
      return action satisfies never;
  }
}

async function create(hands: Hands, object: KubeObject, signal: AbortSignal): Promise<void> {
  const outcome = await hands.kube.create(object, { signal });
  if (outcome.kind === "created") return hands.wrote(outcome.object);
  // Ours from before a restart, which the informers will show, or a namesake's that must go first.
  const { kind, metadata } = object;
  throw new Temporary(`Cannot make ${kind} ${metadata.name}: one exists`, TAKEN_AGAIN_MS);
}

async function certify(
  hands: Hands,
  cluster: Cluster,
  wish: CertificateWish,
  signal: AbortSignal,
): Promise<void> {
  const pems = await makePems(wish);
  if (wish.live === undefined) return create(hands, secret(cluster, wish.name, pems), signal);
  const action = patch(wish.live, { data: secretData(pems) });
  if (action.kind === "patch") {
    await hands.kube.patch(referenceOf(wish.live), { ...action.change }, { signal });
  }
}

async function makePems({ authority, commonName, hosts }: CertificateWish): Promise<Certified> {
  if (authority === undefined) {
    const made = await makeAuthority(commonName);
    return { ...made, authority: made.certificate };
  }
  const signer = { certificate: pemOf(authority, "tls.crt"), key: pemOf(authority, "tls.key") };
  const issued = await issue(signer, { commonName, names: hosts });
  return { ...issued, authority: signer.certificate };
}
