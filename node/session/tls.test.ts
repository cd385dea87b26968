/**
 * RFC 7590 (and RFC 9325, to which it leaves versions and ciphers) against a door that really listens:
 * what is offered, what is agreed on, and what is refused though the client would take it.
 */
import { webcrypto } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import type { ConnectionOptions, SecureVersion, TLSSocket } from "node:tls";
import { connect, createServer } from "node:tls";
import { expect, test } from "vitest";
import type { TlsMaterial } from "../stream/tls.ts";
import { TlsContexts } from "../stream/tls.ts";
import { CERTIFICATE, openKit } from "./testing/door-kit.ts";
import { RawClient } from "./testing/raw-client.ts";

/** With a key for which the old ciphers without forward secrecy are made, too. */
async function withRsaKey(): Promise<TlsMaterial> {
  await import("reflect-metadata"); // As in config/certificates.ts.
  const x509 = await import("@peculiar/x509");
  const signingAlgorithm = { name: "RSASSA-PKCS1-v1_5", hash: "SHA-256" };
  const keys = await webcrypto.subtle.generateKey(
    { ...signingAlgorithm, modulusLength: 2_048, publicExponent: new Uint8Array([1, 0, 1]) },
    true,
    ["sign", "verify"],
  );
  const certificate = await x509.X509CertificateGenerator.createSelfSigned({
    ...{ name: "CN=localhost", keys, signingAlgorithm },
  });
  const pkcs8 = await webcrypto.subtle.exportKey("pkcs8", keys.privateKey);
  return {
    certificate: certificate.toString("pem"),
    key: x509.PemConverter.encode(pkcs8, x509.PemConverter.PrivateKeyTag),
  };
}

const MATERIALS = { ECDSA: CERTIFICATE, RSA: await withRsaKey() } as const;
type Kind = keyof typeof MATERIALS;

/** What the client takes is all that it offers; this process's own OpenSSL must not be stricter. */
const only = (version: SecureVersion, ciphers: string): ConnectionOptions => ({
  minVersion: version,
  maxVersion: version,
  ciphers: version === "TLSv1.3" ? ciphers : `${ciphers}:@SECLEVEL=0`, // It has no lax ones.
});

/** The cipher agreed on, or the alert that the server answered with. */
async function shakeHands(port: number, options: ConnectionOptions): Promise<string> {
  const socket = connect({ port, host: "127.0.0.1", rejectUnauthorized: false, ...options });
  try {
    await once(socket, "secureConnect");
    return `${socket.getProtocol()} ${socket.getCipher().name}`;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code ?? `${error}`;
  } finally {
    socket.destroy();
  }
}

/** A server that takes anything: shows that the client could have it. */
async function withLaxServer<T>(kind: Kind, use: (port: number) => Promise<T>): Promise<T> {
  const { certificate: cert, key } = MATERIALS[kind];
  const lax = { minVersion: "TLSv1", ciphers: "ALL:eNULL:@SECLEVEL=0" } as const;
  const server = createServer({ cert, key, ...lax }, (socket) => socket.on("error", () => {}));
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  try {
    return await use((server.address() as AddressInfo).port);
  } finally {
    server.close();
  }
}

const doorWith = (kind: Kind) => openKit({ tls: new TlsContexts(MATERIALS[kind]) });

test.each(["TLSv1", "TLSv1.1"] as const)(
  "%s is refused, before a word of XMPP",
  async (version) => {
    const options = only(version, "ALL");
    expect(await withLaxServer("RSA", (port) => shakeHands(port, options))).toContain(
      `${version} `,
    );
    await using kit = await doorWith("RSA");
    const refusal = "ERR_SSL_TLSV1_ALERT_PROTOCOL_VERSION";
    expect(await shakeHands(kit.door.directTlsPort ?? 0, options)).toBe(refusal);
    const client = await RawClient.connect(kit.door.port);
    await client.open();
    client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
    await client.read(/<proceed[^>]*>/);
    await expect(client.secure(options)).rejects.toMatchObject({ code: refusal });
  },
);

test.each<[Kind, string, string]>([
  ["RSA", "AES128-GCM-SHA256", "no forward secrecy"],
  ["RSA", "AES256-SHA", "no forward secrecy, and CBC with SHA-1"],
  ["RSA", "NULL-SHA256", "no encryption"],
  ["RSA", "ECDHE-RSA-AES128-SHA", "CBC with SHA-1"],
  ["RSA", "ECDHE-RSA-AES256-SHA384", "CBC"],
  ["ECDSA", "ECDHE-ECDSA-AES128-SHA256", "CBC"],
  ["ECDSA", "ECDHE-ECDSA-AES128-CCM8", "a short tag"],
  ["ECDSA", "ECDHE-ECDSA-NULL-SHA", "no encryption"],
  ["ECDSA", "AECDH-AES128-SHA", "nobody proves who he is"],
])("%s: %s is refused: %s", async (kind, cipher) => {
  const options = only("TLSv1.2", cipher);
  const agreed = await withLaxServer(kind, (port) => shakeHands(port, options));
  expect(agreed).toBe(`TLSv1.2 ${cipher}`);
  await using kit = await doorWith(kind);
  const refusal = "ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE";
  expect(await shakeHands(kit.door.directTlsPort ?? 0, options)).toBe(refusal);
});

test.each<[Kind, SecureVersion, string]>([
  ["RSA", "TLSv1.2", "ECDHE-RSA-AES128-GCM-SHA256"],
  ["RSA", "TLSv1.2", "ECDHE-RSA-CHACHA20-POLY1305"],
  ["ECDSA", "TLSv1.2", "ECDHE-ECDSA-AES256-GCM-SHA384"],
  ["ECDSA", "TLSv1.3", "TLS_AES_128_GCM_SHA256"],
  ["ECDSA", "TLSv1.3", "TLS_CHACHA20_POLY1305_SHA256"],
])("%s: %s with %s is agreed on", async (kind, version, cipher) => {
  await using kit = await doorWith(kind);
  const agreed = await shakeHands(kit.door.directTlsPort ?? 0, only(version, cipher));
  expect(agreed).toBe(`${version} ${cipher}`);
});

test("STARTTLS is offered, and where TLS is required it is so said, and nothing else is", async () => {
  for (const tls of ["offered", "required"] as const) {
    await using kit = await openKit({ config: { tls, plaintextAuthOnLoopback: false } });
    const client = await kit.connect();
    const features = await client.open();
    const isRequired = tls === "required" ? "<required/>" : "";
    expect(features).toContain(`<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>${isRequired}`);
    expect(features).not.toContain("<mechanism>");
    await client.startTls();
    expect((client.socket as TLSSocket).getProtocol()).toBe("TLSv1.3");
    expect(await client.open()).toContain("<mechanism>");
    client.destroy();
  }
});
