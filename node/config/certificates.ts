/**
 * Certificates that a cluster makes for itself: an authority, and what it issues to nodes (mesh)
 * and, where nobody supplied one, to domains. P-256 keys, PEM throughout.
 * The library is loaded on first use: a node that was given its certificates never pays for it.
 */
import { X509Certificate as NodeCertificate, randomBytes, webcrypto } from "node:crypto";

export interface KeyPair {
  /** PEM certificate. */
  readonly certificate: string;
  /** PEM PKCS #8 private key. */
  readonly key: string;
}

export interface Request {
  readonly commonName: string;
  /** DNS names and IP addresses the certificate stands for. */
  readonly names: readonly string[];
  /** How long it is valid; 365 by default. */
  readonly days?: number;
}

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;
/** Clocks of nodes differ a little; a certificate made now must be valid everywhere now. */
const BACKDATED_MS = 3_600_000;

async function library() {
  await import("reflect-metadata"); // The x509 package needs its metadata store to be loaded first.
  return import("@peculiar/x509");
}

const toPem = (label: string, der: ArrayBuffer): string => {
  const lines =
    Buffer.from(der)
      .toString("base64")
      .match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
};

const exportKey = async (key: webcrypto.CryptoKey): Promise<string> =>
  toPem("PRIVATE KEY", await webcrypto.subtle.exportKey("pkcs8", key));

const importKey = (pem: string): Promise<webcrypto.CryptoKey> => {
  const der = Buffer.from(pem.replace(/-----[^-]+-----|\s/g, ""), "base64");
  return webcrypto.subtle.importKey("pkcs8", der, ALGORITHM, false, ["sign"]);
};

const validity = (days: number, nowMs: number) => ({
  notBefore: new Date(nowMs - BACKDATED_MS),
  notAfter: new Date(nowMs + days * DAY_MS),
});

/** 127 positive random bits (RFC 5280, 4.1.2.2: positive, at most 20 octets). */
const serialNumber = (): string => `00${randomBytes(15).toString("hex")}`;

/** Makes a certificate authority that can issue end-entity certificates only. */
export async function makeAuthority(commonName: string, days = 3650): Promise<KeyPair> {
  const x509 = await library();
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    serialNumber: serialNumber(),
    name: [{ CN: [commonName] }],
    ...validity(days, Date.now()),
    keys,
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key: await exportKey(keys.privateKey) };
}

/** Issues a certificate for both ends of TLS connections, signed by `authority`. */
export async function issue(authority: KeyPair, request: Request): Promise<KeyPair> {
  const x509 = await library();
  const issuer = new x509.X509Certificate(authority.certificate);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const certificate = await x509.X509CertificateGenerator.create({
    serialNumber: serialNumber(),
    subject: [{ CN: [request.commonName] }],
    issuer: issuer.subject,
    ...validity(request.days ?? 365, Date.now()),
    publicKey: keys.publicKey,
    signingKey: await importKey(authority.key),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
      new x509.ExtendedKeyUsageExtension([
        x509.ExtendedKeyUsage.serverAuth,
        x509.ExtendedKeyUsage.clientAuth,
      ]),
      new x509.SubjectAlternativeNameExtension(request.names.map(generalName)),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
      await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
    ],
  });
  return { certificate: `${certificate.toString("pem")}\n`, key: await exportKey(keys.privateKey) };
}

const generalName = (name: string): { type: "ip" | "dns"; value: string } =>
  /^[\d.]+$|:/.test(name) ? { type: "ip", value: name } : { type: "dns", value: name };

/** When two thirds of a certificate's life are over it is time to issue another. */
export function isDueForRenewal(certificatePem: string, nowMs: number): boolean {
  const { validFrom, validTo } = new NodeCertificate(certificatePem);
  const from = Date.parse(validFrom);
  return nowMs > from + ((Date.parse(validTo) - from) * 2) / 3;
}
