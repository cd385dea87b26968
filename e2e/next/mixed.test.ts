/** A cluster in which this release and the next run side by side, on real etcd and Cassandra. */
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { Client } from "../clients/client.ts";
import { Writers } from "../clients/writers.ts";
import type { Balancer } from "../harness/balancer.ts";
import { startBalancer } from "../harness/balancer.ts";
import type { ClusterNode } from "../harness/cluster-node.ts";
import { metricOf } from "../harness/metrics.ts";
import { runCommand } from "../harness/node-process.ts";
import type { Cluster } from "../harness/start-cluster.ts";
import { startCluster } from "../harness/start-cluster.ts";
import { TOLD } from "./changes.ts";

const PASSWORD = "secret";
const NEXT = path.join(import.meta.dirname, "preload.ts");

let cluster: Cluster;
let balancer: Balancer;
const lines = new Map<string, string[]>();
/** Nodes that new clients are sent to. */
let serving: readonly ClusterNode[] = [];

beforeAll(async () => {
  cluster = await startCluster({
    nodes: 2,
    sets: ["drain.disconnectsPerSecond=50", "log.format=json"],
    onLine: (node, line) => lines.set(node, [...(lines.get(node) ?? []), line]),
  });
  serving = [...cluster.nodes];
  balancer = await startBalancer(() => serving.map(({ c2s }) => c2s));
});

afterAll(async () => {
  await balancer[Symbol.asyncDispose]();
  await cluster.stop();
});

async function login(library: "slixmpp" | "xmpp.js", name: string): Promise<Client> {
  const address = `${name}@localhost`;
  const command = ["user", "add", address, "--config", cluster.adminConfig];
  const { code, stderr } = await runCommand(command, `${PASSWORD}\n`);
  if (code !== 0) throw new Error(stderr);
  const client = await Client.start(library, {
    address,
    password: PASSWORD,
    hosts: [{ host: "127.0.0.1", port: balancer.port }],
    authority: cluster.authority as string,
  });
  await client.untilOnline(60_000);
  return client;
}

const metric = (node: ClusterNode, name: string) => metricOf(node.http, `zonda_${name}`);

/** Of all nodes that serve now. */
const sum = async (name: string): Promise<number> =>
  (await Promise.all(serving.map((node) => metric(node, name)))).reduce((one, two) => one + two, 0);

/** Each node gives way to one of the release wanted, one after the other. @returns sessions moved */
async function rollTo(preload: string | undefined): Promise<number> {
  for (const old of serving) {
    serving = [...serving, await cluster.addNode(preload)];
    // They know each other, and something goes from each to each.
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    serving = serving.filter((node) => node !== old);
    expect(await metric(old, "mesh_malformed_total")).toBe(0);
    await old.kill("SIGTERM");
  }
  expect(await sum("mesh_malformed_total")).toBe(0);
  expect(await sum("mesh_refused_total")).toBe(0);
  return await sum("sessions_moved_in_total");
}

test("a cluster goes to the next release and back while people talk", async () => {
  const pairs = [];
  const clients: Client[] = [];
  for (const [index, library] of (["slixmpp", "xmpp.js"] as const).entries()) {
    const romeo = await login(library, `romeo${index}`);
    const juliet = await login("xmpp.js", `juliet${index}`);
    clients.push(romeo, juliet);
    pairs.push({ from: romeo, to: juliet, label: `r${index}` });
    pairs.push({ from: juliet, to: romeo, label: `j${index}` });
  }
  const writers = new Writers(pairs);
  expect(await rollTo(NEXT)).toBeGreaterThan(0);
  // The schema is the next release's now: this one starts on it, beside nodes that changed it.
  expect(await rollTo(undefined)).toBeGreaterThan(0);
  const findings = await writers.stop();
  for (const client of clients) await client[Symbol.asyncDispose]();

  for (const { sent, ...faults } of findings) {
    expect(sent).toBeGreaterThan(100);
    expect(faults).toEqual({ lost: [], repeated: [], swapped: [] });
  }
  for (const client of clients) {
    expect(client.all("resumed").length).toBeGreaterThan(0);
    expect(client.all("refused")).toEqual([]);
  }
  const said = [...lines.values()].flat();
  // A node that was just going may have broken the connection instead.
  const told = said.filter((line) => line.includes(TOLD) && line.includes("it says"));
  expect(told.length).toBeGreaterThan(0);
  for (const line of told) expect(line).toContain("mesh-unknown-kind");
  expect(said.filter((line) => line.includes('"level":50'))).toEqual([]);
}, 300_000);
