/** The example as others use it: a package of its own, and loaded by the nodes of a real cluster. */
import { execFile } from "node:child_process";
import { cp, mkdir, symlink } from "node:fs/promises";
import path from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { metricOf } from "../../e2e/harness/metrics.ts";
import { runCommand, startNodeProcess } from "../../e2e/harness/node-process.ts";
import { scratch } from "../../e2e/harness/scratch.ts";
import type { Cluster } from "../../e2e/harness/start-cluster.ts";
import { startCluster } from "../../e2e/harness/start-cluster.ts";
import { waitFor } from "../../e2e/harness/wait.ts";
import { RawClient } from "../../node/session/testing/raw-client.ts";

const MODULE = import.meta.dirname;
const ROOT = path.join(MODULE, "..", "..");
const PASSWORD = "secret";
const COMMAND =
  "<command xmlns='http://jabber.org/protocol/commands' node='urn:example:night-watch'/>";
const SETTINGS = [
  `modules.external=${MODULE}`,
  "modules.nightWatch.reportTo=watch@localhost",
  "modules.adhoc.admins=watch@localhost",
];

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 3, sets: ["routes.etcd.leaseSeconds=20", ...SETTINGS] });
  const command = ["user", "add", "watch@localhost", "--config", cluster.adminConfig];
  expect((await runCommand(command, `${PASSWORD}\n`)).code).toBe(0);
});
afterAll(() => cluster.stop());

async function logIn(port: number): Promise<RawClient> {
  const client = await RawClient.connect(port);
  await client.open();
  client.plain("watch", PASSWORD);
  await client.read("<success");
  await client.open();
  await client.bind("tower");
  client.send("<presence/>");
  await client.read("from='watch@localhost/tower'");
  return client;
}

/** The lines that an administrator gets. */
async function count(client: RawClient, id: string): Promise<readonly string[]> {
  client.send(`<iq type='set' id='${id}' to='localhost'>${COMMAND}</iq>`);
  const answer = await client.read(RegExp(`<iq[^>]*id='${id}'.*?</iq>`, "s"));
  return [...answer.matchAll(/<value>(node-[^<]*)</g)].map(([, line]) => line as string).sort();
}

const sumOf = async (name: string, nodes: Cluster["nodes"]) => {
  const values = await Promise.all(nodes.map(({ http }) => metricOf(http, name)));
  return values.reduce((sum, value) => sum + value, 0);
};

test("a cluster counts its sessions, and reports a dead node once, be it the senior itself", async () => {
  const [first, second, third] = cluster.nodes as [Node, Node, Node];
  const { http } = first;
  // The first to start; nobody had a reason to take over since.
  expect(await metricOf(http, "zonda_senior")).toBe(1);
  expect(await sumOf("zonda_senior", cluster.nodes)).toBe(1);
  const watch = await logIn(second.c2s);
  // A node that is slow to answer has none: then it is asked again.
  const counted = expect.poll(() => count(watch, "all"));
  await counted.toEqual(["node-1: 0 sessions", "node-2: 1 sessions", "node-3: 0 sessions"]);

  third.pause(); // Shorter than its lease: it lives, and says nothing.
  const some = expect.poll(() => count(watch, "some"));
  await some.toEqual(["node-1: 0 sessions", "node-2: 1 sessions", "node-3: no answer"]);
  third.resume();

  await first.kill("SIGKILL");
  const report = await watch.read(/<message[^>]*id='gone-.*?<\/message>/s);
  expect(report).toMatch(/^<message[^>]*id='gone-\d+'/);
  expect(report).toContain("<body>node-1 has gone\nnode-");
  expect(report).toMatch(/node-2: (1 sessions|no answer)/);
  expect(report).toMatch(/node-3: (0 sessions|no answer)/);
  const left = [second, third];
  const heard = async () => (await sumOf("zonda_night_watch_heard_total", left)) === 2 || undefined;
  await waitFor(heard, { what: "both to hear of it", deadlineMs: 30_000 });
  expect(await sumOf("zonda_night_watch_reported_total", left)).toBe(1);
  const followed = async () => (await sumOf("zonda_senior", left)) === 1 || undefined;
  await waitFor(followed, { what: "another senior", deadlineMs: 30_000 });
  watch.destroy();
});

type Node = Cluster["nodes"][number];

test("a node alone does the same, and is its own senior", async () => {
  const { folder, remove } = await scratch("night-watch");
  onTestFinished(remove);
  const own = [
    "node.name=node-1",
    `data=${folder}/data`,
    "c2s.port=0",
    "http.port=0",
    "log.format=json",
  ];
  const open = ["c2s.tls=offered", "c2s.plaintextAuthOnLoopback=true"];
  const sets = [...own, ...open, ...SETTINGS];
  await using node = await startNodeProcess({ sets });
  const command = ["user", "add", "watch@localhost", "--set", `data=${folder}/data`];
  expect((await runCommand(command, `${PASSWORD}\n`)).code).toBe(0);
  const watch = await logIn(node.c2s);
  expect(await count(watch, "one")).toEqual(["node-1: 1 sessions"]);
  expect(await metricOf(node.http, "zonda_senior")).toBe(1);
  watch.destroy();
});

test("an address that is none keeps the node from starting, and says which option", async () => {
  const { folder, remove } = await scratch("night-watch");
  onTestFinished(remove);
  const sets = [`data=${folder}`, ...SETTINGS, "modules.nightWatch.reportTo=@", "http.port=0"];
  const words = ["serve", ...sets.flatMap((set) => ["--set", set]), "--set", "c2s.port=0"];
  expect(await runCommand(words)).toMatchObject({
    code: 1,
    stderr: "zonda: Cannot use modules.nightWatch.reportTo: @ is no address\n",
  });
});

test("it type-checks as a package of its own, against what Zonda's package exports", async () => {
  const { folder, remove } = await scratch("night-watch");
  onTestFinished(remove);
  for (const file of ["module.ts", "package.json", "tsconfig.json"]) {
    await cp(path.join(MODULE, file), path.join(folder, file));
  }
  await mkdir(path.join(folder, "node_modules", "@types"), { recursive: true });
  await symlink(ROOT, path.join(folder, "node_modules", "zonda"));
  const types = path.join("node_modules", "@types", "node");
  await symlink(path.join(ROOT, types), path.join(folder, types));
  const tsc = path.join(ROOT, "node_modules", ".bin", "tsc");
  const checked = await promisify(execFile)(tsc, ["-p", folder]).catch((error) => error);
  expect(checked).toMatchObject({ stdout: "", stderr: "" });
});
