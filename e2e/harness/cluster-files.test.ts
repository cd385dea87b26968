import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { readOwn, withSettings } from "./cluster-files.ts";

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "zonda-cluster-files-test-"));
});
afterEach(() => rm(folder, { recursive: true }));

async function own(text: string) {
  const file = path.join(folder, "zonda.yaml");
  await writeFile(file, text);
  return readOwn(file);
}

test("an empty configuration serves localhost and has no certificate", async () => {
  expect(await own("")).toMatchObject({ domains: ["localhost"], hasCertificate: false });
});

test("a configuration's own domains and certificate are respected", async () => {
  const text = "domains: [example.org, 1.example]\ntls: {certificate: a.pem, key: b.pem}";
  expect(await own(text)).toMatchObject({
    domains: ["example.org", "1.example"],
    hasCertificate: true,
  });
});

test("a section without content is no certificate", async () => {
  expect(await own("tls:\ndomains: [a.example]")).toMatchObject({ hasCertificate: false });
});

test("settings join what is there and replace what they name", () => {
  const tree = { store: { engine: "sqlite", other: 1 }, kept: true, empty: null };
  const settings = { "store.engine": "cassandra", "store.cassandra.keyspace": "x", "empty.a": 2 };
  expect(withSettings(tree, settings)).toEqual({
    store: { engine: "cassandra", other: 1, cassandra: { keyspace: "x" } },
    kept: true,
    empty: { a: 2 },
  });
  expect(tree.store.engine).toBe("sqlite");
});
