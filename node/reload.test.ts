import { mkdtempSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, expect, test } from "vitest";
import type { Logger } from "./base/log.ts";
import { loadConfiguration } from "./config/load.ts";
import { readConfiguration, schema } from "./configuration.ts";
import { Domains } from "./domains.ts";
import { changedOptions, Reloader } from "./reload.ts";

const data = mkdtempSync(path.join(tmpdir(), "zonda-reload-"));
afterAll(() => rm(data, { recursive: true }));

const configuration = (...sets: string[]) =>
  loadConfiguration(schema, { file: undefined, environment: {}, sets: [`data=${data}`, ...sets] });

function openReloader(...sets: string[]) {
  const started = configuration(...sets);
  const domains = new Domains(started.domains);
  const closed: string[] = [];
  const logged: string[] = [];
  const note = (fields: object, event: string) =>
    void logged.push(`${event} ${JSON.stringify(fields)}`);
  const log: Logger = { debug() {}, info: note, warn: note, error: note, child: () => log };
  let certificates = 0;
  const door = {
    setSecureContext() {
      certificates += 1;
    },
    closeDomain: (domain: string) => void closed.push(domain),
  };
  const reloader = new Reloader({ configuration: started, domains, door, log });
  return { reloader, domains, closed, logged, certificates: () => certificates };
}

test("domains come and go, in place, and the streams of those that go are closed", async () => {
  const { reloader, domains, closed, logged } = openReloader("domains=a.example, b.example");
  const { list, set } = domains;
  await reloader.reload(configuration("domains=b.example, c.example"));
  expect([list, [...set], closed]).toEqual([
    ["b.example", "c.example"],
    ["b.example", "c.example"],
    ["a.example"],
  ]);
  expect(logged).toEqual([
    'configuration taken over {"added":["c.example"],"removed":["a.example"]}',
  ]);
});

test("an option that needs a restart is named, and what can change does", async () => {
  const { reloader, domains, logged } = openReloader();
  await reloader.reload(
    configuration("c2s.port=1", "drain.deadlineSeconds=1", "domains=a.example"),
  );
  expect(logged[0]).toBe(
    'cannot change while running: restart the node {"options":["c2s.port","drain.deadlineSeconds"]}',
  );
  expect(domains.list).toEqual(["a.example"]);
  expect(reloader.configuration.c2s.port).toBe(5222);
  await reloader.reload(configuration("domains=a.example"));
  expect(logged.at(-1)).toBe('configuration taken over {"added":[],"removed":[]}');
});

test("a certificate that cannot be read leaves everything as it is", async () => {
  const { reloader, domains, closed, logged, certificates } = openReloader("domains=a.example");
  const broken = 'tls.domains={"b.example": {"certificate": "/nowhere", "key": "/nowhere"}}';
  await reloader.reload(configuration("domains=b.example", broken));
  expect(logged).toEqual([
    expect.stringContaining("Cannot read tls.domains.b.example.certificate: ENOENT"),
  ]);
  expect([domains.list, closed, certificates()]).toEqual([["a.example"], [], 0]);
});

test("changes are named down to the option", () => {
  expect(changedOptions({ a: 1, b: { c: [1], d: 2 } }, { a: 1, b: { c: [1, 2] } })).toEqual([
    "b.c",
    "b.d",
  ]);
});

test.each([
  [["domains=MÜNCHEN.example, A.example."], ["münchen.example", "a.example"]],
  [["domains=xn--mnchen-3ya.example"], ["münchen.example"]],
])("domains of %j are compared in one form", async (sets, expected) => {
  expect((await readConfiguration({ file: undefined, sets })).domains).toEqual(expected);
});

test.each([
  ["domains=a_b.example", "domains: a_b.example is not a domain"],
  ["domains=a.example, A.example", "domains: two mean the same"],
  [
    'tls.domains={"c.example": {"certificate": "x", "key": "y"}}',
    "c.example is none of the domains",
  ],
])("%s is refused", async (set, why) => {
  await expect(readConfiguration({ file: undefined, sets: [set] })).rejects.toThrow(why);
});
