/**
 * Nodes that are killed, stopped and cut off, on real etcd and Cassandra, with clients nobody here
 * wrote: whoever can resume does, at another node, and every message arrives, in order.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { RawClient } from "../../node/session/testing/raw-client.ts";
import { Client, type Library } from "../clients/client.ts";
import { Writers } from "../clients/writers.ts";
import type { Balancer } from "../harness/balancer.ts";
import { startBalancer } from "../harness/balancer.ts";
import type { ClusterNode } from "../harness/cluster-node.ts";
import { metricOf } from "../harness/metrics.ts";
import type { Cluster } from "../harness/start-cluster.ts";
import { startCluster } from "../harness/start-cluster.ts";

const PASSWORD = "secret";
const NAMES = ["romeo", "juliet", "mercutio", "tybalt", "benvolio", "rosaline", "nurse", "peter"];
/** Stays away this long at most: the lease, and what a busy machine adds. */
const BACK_MS = 60_000;
const LEFT = 10;

let cluster: Cluster;
let balancer: Balancer;
/** They take no new connections. */
const silent = new Set<ClusterNode>();
const serving = () => cluster.nodes.filter((node) => node.isRunning() && !silent.has(node));
const nodeAt = (index: number) => serving()[index] as ClusterNode;

beforeAll(async () => {
  // What nobody resumes is given to who binds anew when this is over.
  cluster = await startCluster({ nodes: 4, sets: ["c2s.resumeSeconds=30"] });
  balancer = await startBalancer(() => serving().map(({ c2s }) => c2s));
  for (const name of NAMES) await register(name);
});
afterAll(async () => {
  await balancer[Symbol.asyncDispose]();
  await cluster.stop();
});

async function register(name: string): Promise<void> {
  const client = await RawClient.connect(nodeAt(0).c2s);
  await client.open();
  const fields = `<username>${name}</username><password>${PASSWORD}</password>`;
  client.send(`<iq type='set' id='new'><query xmlns='jabber:iq:register'>${fields}</query></iq>`);
  expect(await client.read(/<iq [^>]*>/)).toContain("type='result'");
  client.destroy();
}

/** Logs in at that node first, and later wherever the load balancer sends it. */
async function login(library: Library, name: string, node: ClusterNode): Promise<Client> {
  const anywhere = { host: "127.0.0.1", port: balancer.port };
  const client = await Client.start(library, {
    address: `${name}@localhost`,
    password: PASSWORD,
    resource: "phone",
    hosts: [{ host: "127.0.0.1", port: node.c2s }, ...Array.from({ length: 200 }, () => anywhere)],
    authority: cluster.authority as string,
  });
  await client.untilOnline();
  return client;
}

/** Each of them has resumed so many times. */
const untilResumed = (clients: readonly Client[], times: number) =>
  Promise.all(
    clients.map((one) =>
      one.until(`resumption ${times}`, () => one.all("resumed").length >= times, BACK_MS),
    ),
  );

/**
 * They keep writing while `trouble` lasts. Nothing may be lost, repeated, swapped or begun anew.
 */
async function unharmed(
  pairs: readonly (readonly [Client, Client])[],
  trouble: (more: () => Promise<void>) => Promise<void>,
): Promise<void> {
  const writers = new Writers(
    pairs.flatMap(([one, other], index) => [
      { from: one, to: other, label: `${index}a` },
      { from: other, to: one, label: `${index}b` },
    ]),
  );
  const clients = pairs.flat();
  const more = async () => {
    const before = new Map(clients.map((one) => [one, one.bodies.length]));
    const hasMore = (one: Client) => one.bodies.length >= (before.get(one) as number) + LEFT;
    await Promise.all(clients.map((one) => one.until("more messages", hasMore)));
  };
  await more();
  await trouble(more);
  await more();
  for (const { sent, ...wrong } of await writers.stop()) {
    expect(sent).toBeGreaterThan(2 * LEFT);
    expect(wrong).toEqual({ lost: [], repeated: [], swapped: [] });
  }
  for (const one of clients) {
    expect({ resent: one.resent, logins: one.all("online").length }).toEqual({
      resent: [],
      logins: 1,
    });
    expect(one.all("presence").filter(({ type }) => type === "unavailable")).toEqual([]);
  }
}

test("all resume when their shadow, then their node, then the one they came to is killed", async () => {
  const [first, second, ...idle] = serving() as [ClusterNode, ClusterNode, ...ClusterNode[]];
  await using romeo = await login("slixmpp", "romeo", first);
  await using juliet = await login("xmpp.js", "juliet", second);
  await using mercutio = await login("xmpp.js", "mercutio", first);
  await using tybalt = await login("slixmpp", "tybalt", second);
  await using benvolio = await login("slixmpp", "benvolio", first);
  await using rosaline = await login("xmpp.js", "rosaline", first);
  const onFirst = [romeo, mercutio, benvolio, rosaline];
  const pairs = [
    [romeo, juliet],
    [mercutio, tybalt],
    [benvolio, rosaline],
  ] as const;
  await unharmed(pairs, async (more) => {
    const copies = await Promise.all(idle.map(({ http }) => metricOf(http, "zonda_copies")));
    const most = Math.max(...copies);
    expect(most).toBeGreaterThan(0);
    await idle[copies.indexOf(most)]?.kill("SIGKILL");
    await more();
    await first.kill("SIGKILL");
    await untilResumed(onFirst, 1);
    await second.kill("SIGKILL");
    await untilResumed([juliet, tybalt], 1);
  });
}, 300_000);

test("all resume elsewhere while their node is stopped, and it goes on without them", async () => {
  await cluster.addNode();
  const node = nodeAt(0);
  await using romeo = await login("slixmpp", "romeo", node);
  await using juliet = await login("xmpp.js", "juliet", node);
  await using mercutio = await login("xmpp.js", "mercutio", node);
  await using tybalt = await login("slixmpp", "tybalt", nodeAt(1));
  const stranded = [romeo, juliet, mercutio];
  const pairs = [
    [romeo, juliet],
    [mercutio, tybalt],
  ] as const;
  await unharmed(pairs, async (more) => {
    silent.add(node);
    node.pause();
    for (const one of stranded) one.do({ do: "drop" });
    await untilResumed(stranded, 1);
    await more();
    node.resume();
    silent.delete(node);
    await expect.poll(() => metricOf(node.http, "zonda_sessions")).toBe(0);
  });
}, 300_000);

test("who binds anew after a kill gets once what was not acknowledged", async () => {
  const node = nodeAt(0);
  await using romeo = await login("xmpp.js", "romeo", nodeAt(1));
  const nurse = await login("slixmpp", "nurse", node);
  const peter = await login("xmpp.js", "peter", node);
  const ids = Array.from({ length: LEFT }, (_, index) => String(index));
  const seenBy = async (one: Client) => {
    await one.until("what was left", ({ bodies }) => bodies.length >= LEFT, 90_000);
    one.do({ do: "ping" });
    await one.until("pong", (client) => client.all("pong").length > 0);
    return one.bodies;
  };
  for (const one of [nurse, peter]) {
    one.freeze();
    for (const id of ids) {
      romeo.do({ do: "message", to: one.address, id: `${one.address}-${id}`, body: id });
    }
  }
  await romeo.untilAcknowledged(
    [nurse, peter].flatMap(({ address }) => ids.map((id) => `${address}-${id}`)),
  );
  await node.kill("SIGKILL");
  await Promise.all([nurse.crash(), peter.crash()]);
  await using again = await login("slixmpp", "nurse", nodeAt(0));
  expect(await seenBy(again)).toEqual(ids);
  await using other = await login("xmpp.js", "peter", nodeAt(0));
  expect(await seenBy(other)).toEqual(ids);
}, 300_000);
