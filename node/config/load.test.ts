import { mkdtempSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, test } from "vitest";
import { z } from "zod";
import { environmentName, leavesOf, loadConfiguration } from "./load.ts";
import { integer, section } from "./options.ts";
import { configurationSchema } from "./schema.ts";

const schema = configurationSchema({
  offline: section("Offline messages.", {
    messagesMax: integer({ about: "Most kept.", default: 100, min: 0, max: 10_000 }),
  }),
});

function load(yaml: string, environment: Record<string, string> = {}, sets: string[] = []) {
  const file = path.join(mkdtempSync(path.join(tmpdir(), "zonda-config-")), "zonda.yaml");
  writeFileSync(file, yaml);
  return loadConfiguration(schema, { file, environment, sets });
}

test("an empty file gives every default", () => {
  const config = load("");
  expect(config.domains).toEqual(["localhost"]);
  expect(config.c2s.tls).toBe("required");
  expect(config.modules.offline.messagesMax).toBe(100);
});

test("the environment overrides the file and --set overrides both", () => {
  const yaml = "drain: {deadlineSeconds: 1}\nhttp: {port: 1}\n";
  const environment = { ZONDA_DRAIN_DEADLINE_SECONDS: "2", ZONDA_HTTP_PORT: "2" };
  const config = load(yaml, environment, ["http.port=3"]);
  expect(config.drain.deadlineSeconds).toBe(2);
  expect(config.http.port).toBe(3);
});

test("a list and a number that looks like text come through overrides", () => {
  const config = load("", { ZONDA_NODE_NAME: "007" }, ["domains=[a.example, b.example]"]);
  expect(config.domains).toEqual(["a.example", "b.example"]);
  expect(load("", {}, ["domains=a.example, c.example"]).domains).toEqual([
    "a.example",
    "c.example",
  ]);
  expect(config.node.name).toBe("007");
});

test("placeholders take environment variables, with and without a default", () => {
  const yaml = `data: \${DATA:-here}\nc2s: {port: "\${PORT:-15333}"}\nnode: {name: "n-\${NAME}"}\n`;
  const config = load(yaml, { PORT: "99", NAME: "x" });
  expect([config.data, config.c2s.port, config.node.name]).toEqual(["here", 99, "n-x"]);
  expect(() => load(yaml, {})).toThrow(/\$\{NAME\} is not set/);
});

test.each([
  ["c2s: {prot: 1}", /c2s\.prot: no such option; did you mean c2s\.port\?/],
  ["domain: [a]", /domain: no such option; did you mean domains\?/],
  ["modules: {ofline: {}}", /modules\.ofline: no such option; did you mean modules\.offline\?/],
  ["c2s: {port: 70000}", /c2s\.port: .*65535/],
  ["c2s: {port: abc}", /c2s\.port: .*number/],
  ["domains: []", /domains: /],
  ["domains: [a, a]", /domains: an entry stands twice/],
  ["tls: {certificate: x}", /tls: certificate and key must be given together/],
  ["routes: {engine: etcd}", /store\.engine: must be cassandra/],
  ["c2s: {plaintextAuthOnLoopback: true}", /plaintextAuthOnLoopback: needs c2s\.tls to be offered/],
  ["web: {port: 80, tls: false}", /web\.url: is needed when web\.tls is off/],
  ["web: {url: chat.example.org}", /web\.url: must be like https:/],
  ["- a", /must hold options/],
  ["a: [", /Cannot read the configuration/],
])("%s is refused with a reason", (yaml, reason) => {
  expect(() => load(yaml)).toThrow(reason);
});

test("an unknown --set is refused with the nearest option", () => {
  expect(() => load("", {}, ["http.prot=1"])).toThrow(/did you mean http\.port\?/);
  expect(() => load("", {}, ["http"])).toThrow(/write it as option\.name=value/);
});

test("no two options share an environment variable", () => {
  const names = leavesOf(schema).map(({ path: keys }) => environmentName(keys));
  expect(new Set(names).size).toBe(names.length);
});

test("every option has a sentence in the JSON Schema", () => {
  const walk = (node: Record<string, unknown>, at: string) => {
    for (const [key, child] of Object.entries((node.properties ?? {}) as Record<string, never>)) {
      expect(child, `${at}${key}`).toHaveProperty("description");
      walk(child, `${at}${key}.`);
    }
  };
  walk(z.toJSONSchema(schema, { io: "input" }) as Record<string, unknown>, "");
});
