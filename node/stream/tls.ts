/** Certificates of the domains, replaceable while connections use them. */

import type { SecureContext } from "node:tls";
import { createSecureContext } from "node:tls";
import { domainToASCII } from "node:url";
import { ConfigError } from "../base/errors.ts";

/** A certificate chain and its key, PEM. */
export interface TlsMaterial {
  readonly certificate: string | Buffer;
  readonly key: string | Buffer;
}

export interface TlsMaterials extends TlsMaterial {
  /** Domains that have a certificate of their own. */
  readonly byDomain?: Readonly<Record<string, TlsMaterial>>;
  /** PEM: who may sign clients' certificates (XEP-0178). They are not asked for without. */
  readonly clientAuthority?: string | Buffer | undefined;
}

/** RFC 7590 and RFC 9325: forward secrecy and authenticated encryption only. */
const CIPHERS = [
  "TLS_AES_128_GCM_SHA256",
  "TLS_AES_256_GCM_SHA384",
  "TLS_CHACHA20_POLY1305_SHA256",
  "ECDHE+AESGCM",
  "ECDHE+CHACHA20",
].join(":");

/** @param whose for people, who must act when it cannot be used */
function contextOf(
  whose: string,
  { certificate, key }: TlsMaterial,
  clientAuthority: string | Buffer | undefined,
): SecureContext {
  try {
    return createSecureContext({
      cert: certificate,
      key,
      ...(clientAuthority !== undefined && { ca: clientAuthority }),
      minVersion: "TLSv1.2",
      ciphers: CIPHERS,
      // X25519 first, and no hybrid groups: their state stays with each connection.
      ecdhCurve: "X25519:P-256:P-384",
      honorCipherOrder: true,
    });
  } catch (cause) {
    const why = (cause as Error).message;
    throw new ConfigError(`Cannot use the certificate and key ${whose}: ${why}`, { cause });
  }
}

interface Loaded {
  readonly standard: SecureContext;
  readonly byDomain: ReadonlyMap<string, SecureContext>;
  readonly asksForCertificates: boolean;
}

const load = ({ clientAuthority, byDomain = {}, ...materials }: TlsMaterials): Loaded => ({
  standard: contextOf("for clients", materials, clientAuthority),
  byDomain: new Map(
    Object.entries(byDomain).map(([domain, own]) => [
      inDns(domain),
      contextOf(`of ${domain}`, own, clientAuthority),
    ]),
  ),
  asksForCertificates: clientAuthority !== undefined,
});

/** As SNI writes it: A-labels, lower case, no final dot. */
const inDns = (domain: string): string => domainToASCII(domain.replace(/\.$/, "")).toLowerCase();

/** The contexts in force. Connections made before a replacement keep what they have. */
export class TlsContexts {
  #loaded: Loaded;

  /** @throws ConfigError when a certificate or key cannot be read or they do not match. */
  constructor(materials: TlsMaterials) {
    this.#loaded = load(materials);
  }

  /** For new handshakes from now on. @throws as the constructor; the old ones then stay. */
  replace(materials: TlsMaterials): void {
    this.#loaded = load(materials);
  }

  /** For a client that asked for this domain, if for any. */
  of(domain: string | undefined): SecureContext {
    const { standard, byDomain } = this.#loaded;
    return (domain === undefined ? undefined : byDomain.get(inDns(domain))) ?? standard;
  }

  get asksForCertificates(): boolean {
    return this.#loaded.asksForCertificates;
  }

  /**
   * For the name a client asks for (SNI), in the form node:tls calls; one for all sockets. A name
   * without a certificate of its own gets what the socket was made with.
   */
  readonly onServerName = (
    name: string,
    done: (error: Error | null, context?: SecureContext) => void,
  ): void => done(null, this.#loaded.byDomain.get(inDns(name)));
}
