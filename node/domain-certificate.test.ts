import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { makeAuthority } from "./config/certificates.ts";
import { readConfiguration } from "./configuration.ts";
import { readDomainCertificate } from "./domain-certificate.ts";

const data = mkdtempSync(path.join(tmpdir(), "zonda-certificate-"));
afterAll(() => rm(data, { recursive: true }));

const readFor = async (domains: string) =>
  readDomainCertificate(
    await readConfiguration({ file: undefined, sets: [`data=${data}`, `domains=${domains}`] }),
  );

test("a self-made certificate stands for all domains, and for others after a change, by one authority", async () => {
  const first = await readFor("a.example, münchen.example");
  const one = new X509Certificate(first.certificate);
  expect(one.checkHost("a.example")).toBe("a.example");
  expect(one.checkHost("xn--mnchen-3ya.example")).toBe("xn--mnchen-3ya.example");
  const authority = new X509Certificate(readFileSync(first.selfMadeAuthority ?? "", "utf8"));
  expect(await readFor("a.example, münchen.example")).toEqual(first);
  const second = await readFor("b.example");
  const other = new X509Certificate(second.certificate);
  expect([other.checkHost("b.example"), other.checkHost("a.example")]).toEqual([
    "b.example",
    undefined,
  ]);
  expect([one, other].map((made) => made.verify(authority.publicKey))).toEqual([true, true]);
  expect((await stat(path.join(data, "tls-authority.key"))).mode & 0o777).toBe(0o600);
});

test("who signs clients' certificates is told by a file or by its text, and nobody else does", async () => {
  const { certificate } = await makeAuthority("clients");
  const file = path.join(data, "clients.crt");
  await writeFile(file, certificate);
  const read = async (authority: string | undefined) => {
    const sets = [`data=${data}`, "domains=b.example"];
    const all = authority === undefined ? sets : [...sets, option(authority)];
    return readDomainCertificate(await readConfiguration({ file: undefined, sets: all }));
  };
  const option = (authority: string) => `auth.clientCertificates.authority=${authority}`;
  expect((await read(file)).clientAuthority).toBe(certificate);
  expect((await read(certificate)).clientAuthority).toBe(certificate);
  expect((await read(undefined)).clientAuthority).toBeUndefined();
  const nothing = path.join(data, "nothing.crt");
  await expect(read(nothing)).rejects.toThrow(/Cannot read auth\.clientCertificates\.authority/);
  await writeFile(nothing, "no certificate");
  await expect(read(nothing)).rejects.toThrow(/is not a PEM file/);
});
