/**
 * Nodes that are killed, stopped and cut off, on real etcd and Cassandra, with clients nobody here
 * wrote: whoever can resume does, at another node, and every message arrives, in order.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { RawClient } from "../../node/session/testing/raw-client.ts";
import { closeFilters, cut, FIRST_UID, meshCuts, openFilters } from "../chaos/network.ts";
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
/** Packets of single nodes can be dropped: each runs as a user of its own. */
const canCut = process.platform === "linux" && process.getuid?.() === 0;

let cluster: Cluster;
let balancer: Balancer;
/** They take no new connections. */
const silent = new Set<ClusterNode>();
const serving = () => cluster.nodes.filter((node) => node.isRunning() && !silent.has(node));
const nodeAt = (index: number) => serving()[index] as ClusterNode;

beforeAll(async () => {
  // What nobody resumes is given to who binds anew when this is over.
  const users = canCut ? { firstUid: FIRST_UID } : {};
  cluster = await startCluster({ nodes: 4, sets: ["c2s.resumeSeconds=30"], ...users });
  if (canCut) await openFilters();
  balancer = await startBalancer(() => serving().map(({ c2s }) => c2s));
  for (const name of NAMES) await register(name);
});
afterAll(async () => {
  await balancer[Symbol.asyncDispose]();
  await cluster.stop();
  if (canCut) await closeFilters();
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
    // All of them come to the second, which is killed next.
    for (const one of idle) silent.add(one);
    await first.kill("SIGKILL");
    await untilResumed(onFirst, 1);
    silent.clear();
    await more();
    await second.kill("SIGKILL");
    await Promise.all([untilResumed(onFirst, 2), untilResumed([juliet, tybalt], 1)]);
  });
}, 300_000);

/** @param leave makes the node of three people useless to all, alive; @param goOn ends that */
async function unharmedWhileAway(
  leave: (node: ClusterNode) => unknown,
  goOn: (node: ClusterNode) => unknown,
): Promise<void> {
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
    await leave(node);
    for (const one of stranded) one.do({ do: "drop" });
    await untilResumed(stranded, 1);
    await more();
    await goOn(node);
    silent.delete(node);
    await expect.poll(() => metricOf(node.http, "zonda_sessions"), { timeout: BACK_MS }).toBe(0);
  });
}

test("all resume elsewhere while their node is stopped, and it goes on without them", async () => {
  await unharmedWhileAway(
    (node) => node.pause(),
    (node) => node.resume(),
  );
}, 300_000);

test.runIf(canCut)(
  "all resume elsewhere while their node is cut off alive, and it goes on without them",
  async () => {
    const fromEtcd = ({ uid }: ClusterNode) => ({ uid, ports: cluster.etcd.clientPorts });
    let mend = async () => {};
    await unharmedWhileAway(
      async (node) => {
        mend = await cut([fromEtcd(node), ...meshCuts(node, serving())]);
      },
      () => mend(),
    );
  },
  300_000,
);

/** Bodies are numbers from there on. @returns ids */
function write(from: Client, to: Client, first: number): readonly string[] {
  const bodies = Array.from({ length: LEFT }, (_, index) => String(first + index));
  const ids = bodies.map((body) => `${to.address}-${body}`);
  for (const [index, body] of bodies.entries()) {
    from.do({ do: "message", to: to.address, id: ids[index] as string, body });
  }
  return ids;
}

/** Kept sessions that nobody came back for. */
async function expired(): Promise<number> {
  const name = "zonda_sessions_expired_total";
  const counts = await Promise.all(serving().map(({ http }) => metricOf(http, name)));
  return counts.reduce((sum, count) => sum + count, 0);
}

test("who binds anew after a kill, sender, recipient or both, finds once what was taken", async () => {
  await cluster.addNode();
  const node = nodeAt(0);
  const romeo = await login("slixmpp", "romeo", node);
  const nurse = await login("slixmpp", "nurse", node);
  const peter = await login("xmpp.js", "peter", node);
  const tybalt = await login("xmpp.js", "tybalt", node);
  await using juliet = await login("xmpp.js", "juliet", nodeAt(1));
  const frozen = [nurse, peter, tybalt];
  for (const one of frozen) one.freeze();
  await Promise.all([
    romeo.untilAcknowledged([juliet, nurse].flatMap((to) => write(romeo, to, 0))),
    juliet.untilAcknowledged([peter, tybalt].flatMap((to) => write(juliet, to, 0))),
  ]);
  for (const to of [juliet, nurse]) write(romeo, to, LEFT); // Taken or not, nobody can tell.
  await node.kill("SIGKILL");
  await Promise.all([romeo, ...frozen].map((one) => one.crash()));
  const expiredBefore = await expired();
  await using sender = await login("slixmpp", "romeo", nodeAt(0));
  // With the address that it had; with another one, while the session that it had is kept, and later.
  await using sameAddress = await login("slixmpp", "nurse", nodeAt(0));
  await using another = await login("xmpp.js", "peter", nodeAt(0));
  await expect.poll(expired, { timeout: 90_000 }).toBeGreaterThan(expiredBefore + 1);
  await using late = await login("xmpp.js", "tybalt", nodeAt(0));
  const recipients = [juliet, sameAddress, another, late];
  for (const to of recipients) {
    await to.until("what was left", ({ bodies }) => bodies.length >= LEFT, 90_000);
  }
  await sender.untilAcknowledged(recipients.flatMap((to) => write(sender, to, 2 * LEFT)));
  for (const to of recipients) {
    await to.until("what is new", ({ bodies }) => bodies.includes(String(3 * LEFT - 1)));
    to.do({ do: "ping" });
    await to.until("pong", (client) => client.all("pong").length > 0);
    const seen = to.bodies.map(Number);
    expect(seen).toEqual([...new Set(seen)].sort((one, other) => one - other));
    expect(seen.filter((number) => number < LEFT)).toHaveLength(LEFT);
    expect(seen.filter((number) => number >= 2 * LEFT)).toHaveLength(LEFT);
  }
  const stored = late.all("message").filter(({ delayed }) => delayed);
  expect(stored).toHaveLength(LEFT);
}, 300_000);
