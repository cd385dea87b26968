/** Certificates of the domains, replaceable while connections use them. */

import { X509Certificate } from "node:crypto";
import type { SecureContext } from "node:tls";
import { createSecureContext } from "node:tls";
import { domainToASCII } from "node:url";
import { ConfigError } from "../base/errors.ts";
import { endPointOf } from "./channel-binding.ts";

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

/** A certificate with its key, and what a login that sees it can be bound to. */
export interface Shown {
  readonly context: SecureContext;
  readonly endPoint: Buffer | undefined;
}

const shown = (
  whose: string,
  material: TlsMaterial,
  clientAuthority: string | Buffer | undefined,
): Shown => ({
  context: contextOf(whose, material, clientAuthority),
  endPoint: endPointOf(new X509Certificate(material.certificate)),
});

/** As SNI writes it: A-labels, lower case, no final dot. */
const inDns = (domain: string): string => domainToASCII(domain.replace(/\.$/, "")).toLowerCase();

/** What a TLS socket is made with. */
export interface TlsSocketOptions {
  readonly secureContext: SecureContext;
  readonly SNICallback?: (name: string, done: Answer) => void;
}
type Answer = (error: Error | null, context?: SecureContext) => void;

/** All certificates of one moment. */
export class Certificates {
  readonly asksForCertificates: boolean;
  readonly #standard: Shown;
  readonly #byDomain: ReadonlyMap<string, Shown>;

  constructor({ clientAuthority, byDomain = {}, ...material }: TlsMaterials) {
    this.asksForCertificates = clientAuthority !== undefined;
    this.#standard = shown("for clients", material, clientAuthority);
    this.#byDomain = new Map(
      Object.entries(byDomain).map(([domain, own]) => [
        inDns(domain),
        shown(`of ${domain}`, own, clientAuthority),
      ]),
    );
  }

  /**
   * What a client is shown.
   * @param serverName which it asked for (SNI), if for any
   * @param domain of the stream before TLS, for names without a certificate of their own
   */
  shownTo(serverName: string | undefined, domain: string | undefined): Shown {
    return this.#own(serverName) ?? this.#own(domain) ?? this.#standard;
  }

  /** @param domain as `shownTo` */
  optionsFor(domain: string | undefined): TlsSocketOptions {
    const secureContext = this.shownTo(undefined, domain).context;
    // Without a choice nobody is asked: the handshake would stop for it.
    if (this.#byDomain.size === 0) return { secureContext };
    return { secureContext, SNICallback: this.#onServerName };
  }

  /** One for all sockets. */
  readonly #onServerName = (name: string, done: Answer): void =>
    done(null, this.#own(name)?.context);

  #own(domain: string | undefined): Shown | undefined {
    return domain === undefined ? undefined : this.#byDomain.get(inDns(domain));
  }
}

/** The certificates in force. Connections made before a replacement keep what they have. */
export class TlsContexts {
  #inForce: Certificates;

  /** @throws ConfigError when a certificate or key cannot be read or they do not match. */
  constructor(materials: TlsMaterials) {
    this.#inForce = new Certificates(materials);
  }

  /** For new handshakes from now on. @throws as the constructor; the old ones then stay. */
  replace(materials: TlsMaterials): void {
    this.#inForce = new Certificates(materials);
  }

  get inForce(): Certificates {
    return this.#inForce;
  }
}
