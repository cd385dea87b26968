/** A client's certificate with addresses in it, as XEP-0178 wants them. */
import { webcrypto } from "node:crypto";
import type { KeyPair } from "../../config/certificates.ts";

const ALGORITHM = { name: "ECDSA", namedCurve: "P-256", hash: "SHA-256" } as const;
const DAY_MS = 86_400_000;
const SUBJECT_ALT_NAME = "2.5.29.17";
/** 1.3.6.1.5.5.7.8.5, in DER. */
const ID_ON_XMPP_ADDR = Buffer.from("06082b06010505070805", "hex");

function der(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head = length < 128 ? [tag, length] : [tag, 0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from(head), content]);
}

/** GeneralName otherName (RFC 5280, 4.2.1.6). */
const otherName = (address: string): Buffer =>
  der(0xa0, Buffer.concat([ID_ON_XMPP_ADDR, der(0xa0, der(0x0c, Buffer.from(address)))]));
const dnsName = (name: string): Buffer => der(0x82, Buffer.from(name));

const pem = (label: string, bytes: ArrayBuffer): string =>
  `-----BEGIN ${label}-----\n${Buffer.from(bytes).toString("base64")}\n-----END ${label}-----\n`;

/** Issues one, valid from an hour ago. @param days negative for one that has expired */
export async function clientCertificate(
  authority: KeyPair,
  addresses: readonly string[],
  { days = 1, dnsNames = [] as readonly string[] } = {},
): Promise<{ readonly cert: string; readonly key: string }> {
  await import("reflect-metadata");
  const x509 = await import("@peculiar/x509");
  const issuer = new x509.X509Certificate(authority.certificate);
  const keys = await webcrypto.subtle.generateKey(ALGORITHM, true, ["sign", "verify"]);
  const names = [...addresses.map(otherName), ...dnsNames.map(dnsName)];
  const issuerKey = Buffer.from(authority.key.replace(/-----[^-]+-----|\s/g, ""), "base64");
  const certificate = await x509.X509CertificateGenerator.create({
    subject: "CN=client",
    issuer: issuer.subject,
    notBefore: new Date(Date.now() - 30 * DAY_MS),
    notAfter: new Date(Date.now() + days * DAY_MS),
    publicKey: keys.publicKey,
    signingKey: await webcrypto.subtle.importKey("pkcs8", issuerKey, ALGORITHM, false, ["sign"]),
    signingAlgorithm: ALGORITHM,
    extensions: [
      new x509.BasicConstraintsExtension(false, undefined, true),
      new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.clientAuth]),
      new x509.Extension(SUBJECT_ALT_NAME, false, der(0x30, Buffer.concat(names))),
      await x509.AuthorityKeyIdentifierExtension.create(issuer),
    ],
  });
  const key = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return { cert: certificate.toString("pem"), key: pem("PRIVATE KEY", key) };
}
