/**
 * The cluster's authority, and the certificates it issues: one for all nodes (mesh), and, when
 * spec.tls names no Secret, one for the domains. Each is kept until two thirds of its life are
 * over, or until it no longer fits. The authority itself is kept for good: a new one would cut the
 * mesh in two.
 */
import { X509Certificate } from "node:crypto";
import { isDueForRenewal } from "../../../node/config/certificates.ts";
import type { Secret } from "../../build/kinds.ts";
import { names } from "../../build/names.ts";
import type { Seen } from "../observe.ts";
import { isOwned } from "../observe.ts";
import type { CertificateWish, Verdict } from "../verdict.ts";
import { SETTLED } from "../verdict.ts";

/** Secrets are not watched, so the outcome is looked at soon. */
const AGAIN_MS = 50;
const FOREIGN_AGAIN_MS = 2_000;

export function identity(seen: Seen): Verdict {
  const { cluster, authority, mesh, tls } = seen;
  const foreign = [authority, mesh, tls].find((secret) => secret && !isOwned(secret, cluster));
  if (foreign !== undefined) {
    return {
      kind: "wait",
      reason: "SecretNotOurs",
      message: `Secret ${foreign.metadata.name} exists but does not belong to this XmppCluster; delete it, or wait until it is gone`,
      againMs: FOREIGN_AGAIN_MS,
    };
  }
  const { name } = cluster;
  if (authority === undefined) {
    return certify([{ ...wish(names.authority(name), `${name} authority`), authority: undefined }]);
  }
  const domains = cluster.spec.domains;
  const wishes = [
    { ...wish(names.mesh(name), `${name} node`, [names.meshServer(name)]), live: mesh, authority },
    ...(cluster.spec.tls.secretName === undefined
      ? [{ ...wish(names.tls(name), domains[0] ?? name, domains), live: tls, authority }]
      : []),
  ].filter((candidate) => !fits(candidate, seen.nowMs));
  return wishes.length === 0 ? SETTLED : certify(wishes);
}

const wish = (name: string, commonName: string, hosts: readonly string[] = []) => ({
  name,
  commonName: commonName.slice(0, 64), // RFC 5280, ub-common-name.
  hosts,
  live: undefined,
});

const certify = (wishes: readonly CertificateWish[]): Verdict => ({
  kind: "advance",
  actions: wishes.map((wanted) => ({ kind: "certify", wish: wanted })),
  reason: "IssuingCertificates",
  message: `Issues ${wishes.map(({ name }) => name).join(" and ")}`,
  againMs: AGAIN_MS,
});

/** PEM text of a key in a Secret; empty when it is not there. */
export const pemOf = (secret: Secret | undefined, key: string): string =>
  Buffer.from(secret?.data?.[key] ?? "", "base64").toString();

/** Whether the Secret holds a certificate for these hosts, from this authority, in good time. */
function fits({ live, authority, hosts }: CertificateWish, nowMs: number): boolean {
  try {
    const pem = pemOf(live, "tls.crt");
    const certificate = new X509Certificate(pem);
    const issuer = new X509Certificate(pemOf(authority, "tls.crt"));
    return (
      certificate.verify(issuer.publicKey) &&
      pemOf(live, "ca.crt") === pemOf(authority, "tls.crt") &&
      pemOf(live, "tls.key") !== "" &&
      hostsOf(certificate) === [...hosts].sort().join() &&
      !isDueForRenewal(pem, nowMs)
    );
  } catch {
    return false; // Absent, cut off or not PEM: all the same, it is issued anew.
  }
}

const hostsOf = ({ subjectAltName = "" }: X509Certificate): string =>
  subjectAltName
    .split(", ")
    .map((name) => name.replace(/^DNS:/, ""))
    .sort()
    .join();
