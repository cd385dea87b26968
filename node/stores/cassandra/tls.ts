/** TLS to Cassandra. The driver's own default accepts any certificate. */
import type { ConnectionOptions, PeerCertificate } from "node:tls";
import { checkServerIdentity } from "node:tls";

/** PEM texts. */
export interface CassandraTls {
  /** Who signed the servers' certificates; the system's authorities if left out. */
  readonly authority?: string | undefined;
  /** Our own certificate and its key, if the servers ask for one. */
  readonly certificate?: string | undefined;
  readonly key?: string | undefined;
}

/**
 * Options that refuse a certificate which is not signed by the authority or names another server.
 * The driver dials addresses it learned from the cluster, which certificates rarely name: one for
 * any of the configured contact points' names is accepted as well.
 */
export function tlsOptions(tls: CassandraTls, contactPoints: readonly string[]): ConnectionOptions {
  const names = contactPoints.map(hostOf);
  return {
    ...(tls.authority !== undefined && { ca: tls.authority }),
    ...(tls.certificate !== undefined && { cert: tls.certificate }),
    ...(tls.key !== undefined && { key: tls.key }),
    rejectUnauthorized: true,
    minVersion: "TLSv1.2",
    checkServerIdentity(dialled: string, certificate: PeerCertificate): Error | undefined {
      let refusal: Error | undefined;
      for (const name of [dialled, ...names]) {
        refusal = checkServerIdentity(name, certificate);
        if (refusal === undefined) return undefined;
      }
      return refusal;
    },
  };
}

/** The host of "host", "host:port", "[::1]:port" or a bare IPv6 address. */
function hostOf(contactPoint: string): string {
  const bracketed = /^\[(.*)\]/.exec(contactPoint)?.[1];
  if (bracketed !== undefined) return bracketed;
  const parts = contactPoint.split(":");
  return parts.length === 2 ? (parts[0] ?? "") : contactPoint;
}
