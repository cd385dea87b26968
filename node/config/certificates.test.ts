import { X509Certificate } from "node:crypto";
import { once } from "node:events";
import { connect, createServer } from "node:tls";
import { expect, test } from "vitest";
import { isDueForRenewal, issue, makeAuthority } from "./certificates.ts";

test("an issued certificate is accepted by a TLS client that trusts the authority", async () => {
  const authority = await makeAuthority("test authority");
  const pair = await issue(authority, { commonName: "node", names: ["node.test", "127.0.0.1"] });
  const server = createServer(
    { cert: pair.certificate, key: pair.key, ca: authority.certificate, requestCert: true },
    (socket) => socket.end(String(socket.authorized)),
  );
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port } = server.address() as { port: number };
  const client = connect({
    host: "127.0.0.1",
    port,
    servername: "node.test",
    ca: authority.certificate,
    cert: pair.certificate,
    key: pair.key,
  });
  const [data] = await once(client, "data");
  expect(String(data)).toBe("true");
  client.destroy();
  server.close();
});

test("an issued certificate cannot issue others and names what it stands for", async () => {
  const authority = await makeAuthority("test authority");
  const pair = await issue(authority, { commonName: "x", names: ["a.example", "::1"], days: 10 });
  const certificate = new X509Certificate(pair.certificate);
  expect(certificate.ca).toBe(false);
  expect(certificate.checkHost("a.example")).toBe("a.example");
  expect(certificate.checkIP("::1")).toBe("::1");
  expect(certificate.verify(new X509Certificate(authority.certificate).publicKey)).toBe(true);
});

test("a certificate is due for renewal after two thirds of its life", async () => {
  const authority = await makeAuthority("test authority");
  const { certificate } = await issue(authority, { commonName: "x", names: ["x"], days: 30 });
  const day = 86_400_000;
  expect(isDueForRenewal(certificate, Date.now() + 19 * day)).toBe(false);
  expect(isDueForRenewal(certificate, Date.now() + 21 * day)).toBe(true);
});
