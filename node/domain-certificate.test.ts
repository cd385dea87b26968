import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import { readConfiguration } from "./configuration.ts";
import { readDomainCertificate } from "./domain-certificate.ts";

const data = mkdtempSync(path.join(tmpdir(), "zonda-certificate-"));
afterAll(() => rm(data, { recursive: true }));

const readFor = (domains: string) =>
  readDomainCertificate(
    readConfiguration({ file: undefined, sets: [`data=${data}`, `domains=${domains}`] }),
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
