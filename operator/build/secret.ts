/** A certificate with its key, and the authority that signed it. */
import type { Cluster } from "../api/xmpp-cluster.ts";
import type { Secret } from "./kinds.ts";
import { ownedBy } from "./labels.ts";

/** All three in PEM. */
export interface Certified {
  readonly authority: string;
  readonly certificate: string;
  readonly key: string;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

export const secretData = (pems: Certified): Readonly<Record<string, string>> => ({
  "ca.crt": base64(pems.authority),
  "tls.crt": base64(pems.certificate),
  "tls.key": base64(pems.key),
});

export const secret = (cluster: Cluster, name: string, pems: Certified): Secret => ({
  apiVersion: "v1",
  kind: "Secret",
  metadata: ownedBy(cluster, name),
  type: "kubernetes.io/tls",
  data: secretData(pems),
});
