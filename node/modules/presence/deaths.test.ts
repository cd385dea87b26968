/** What contacts see of sessions that go on elsewhere when their node dies. */
import { expect, test } from "vitest";
import { Unavailable } from "../../base/errors.ts";
import { FakeClock } from "../../base/fake-clock.ts";
import type { RawClient } from "../../session/testing/raw-client.ts";
import { DoorCluster } from "../testing/door-cluster.ts";
import { record } from "../testing/shared-routes.ts";
import { knownState } from "./state.ts";

const JULIET = "juliet@localhost/device";
const GRACE_MS = 4_000;
const WINDOW_MS = 300_000;
/** What was not heard is told again after this. */
const UNTOLD_MS = 6_000;

const presences = (text: string) =>
  [...text.matchAll(/<presence[^>]*>/g)].map(([tag]) => {
    const type = /type='([^']*)'/.exec(tag)?.[1] ?? "available";
    return `${type} ${/from='([^']*)'/.exec(tag)?.[1]}`;
  });

/** Romeo on the first of three nodes, Juliet on the second; her shadow may be anywhere. */
async function romeoAndJuliet() {
  const clock = new FakeClock();
  const cluster = await DoorCluster.open(3, clock);
  await cluster.addUser("juliet");
  await cluster.addUser("romeo");
  await cluster.addUser("nurse");
  cluster.stores.befriend("romeo@localhost", "juliet@localhost");
  const romeo = await cluster.online(0, "romeo");
  const juliet = await cluster.online(1, "juliet");
  await romeo.client.read(/<presence[^>]*from='juliet@localhost\/device'[^>]*>/);
  await passTime(cluster, clock, 2_000);
  /** Everything that came to romeo until now. */
  const heard = async (client = romeo.client) => {
    const id = `q${Math.random()}`;
    client.send(`<iq type='get' id='${id}'><query xmlns='jabber:iq:version'/></iq>`);
    return presences(await client.read(new RegExp(`<iq[^>]*id='${id}'(?:.|\\n)*?</iq>`)));
  };
  return { cluster, clock, romeo, juliet, heard };
}

/** In steps, so that what waits for others gets its turn. */
async function passTime(cluster: DoorCluster, clock: FakeClock, ms: number): Promise<void> {
  for (let left = ms; left > 0; left -= 1_000) {
    clock.advance(Math.min(1_000, left));
    await cluster.settle();
  }
}

/** Longer than a resumption may take, while a client shows that it is there. */
async function passWindow(cluster: DoorCluster, clock: FakeClock, client: RawClient) {
  for (let elapsedMs = 0; elapsedMs <= WINDOW_MS; elapsedMs += 10_000) {
    client.send(" ");
    await passTime(cluster, clock, 10_000);
  }
}

const holderOf = async (cluster: DoorCluster, user = "juliet@localhost") =>
  (await cluster.node(0).routes.read(user)).routes.map(({ node }) => node);

test("nobody sees a session go that its shadow goes on with, until its window closes", async () => {
  const { cluster, clock, romeo, juliet, heard } = await romeoAndJuliet();
  await using _ = cluster;
  cluster.kill(1);
  juliet.client.destroy();
  cluster.expire(1);
  await passTime(cluster, clock, GRACE_MS + 1_000);
  expect(await holderOf(cluster)).toHaveLength(1);
  expect(await heard()).toEqual([]);
  await passWindow(cluster, clock, romeo.client);
  expect(await holderOf(cluster)).toEqual([]);
  expect(await heard()).toEqual([`unavailable ${JULIET}`]);
});

test("who comes back after the death of two nodes was never gone", async () => {
  const { cluster, clock, juliet, heard } = await romeoAndJuliet();
  await using _ = cluster;
  await cluster.add("node-4");
  cluster.kill(1);
  juliet.client.destroy();
  cluster.expire(1);
  await passTime(cluster, clock, GRACE_MS + 1_000);
  const [keeper = ""] = await holderOf(cluster);
  expect(keeper).not.toBe("node-2");
  const second = cluster.nodes.findIndex(({ name }) => name === keeper);
  if (second !== 0) {
    cluster.kill(second);
    cluster.expire(second);
    await passTime(cluster, clock, GRACE_MS + 1_000);
  }
  const at = cluster.nodes.findLastIndex(({ isAlive }) => isAlive);
  const { answer } = await cluster.resume(at, "juliet", juliet.id, 2);
  expect(answer).toContain("<resumed");
  await cluster.settle();
  expect(await heard()).toEqual([]);
});

test("a session that moved and then dies without a shadow is told gone, once", async () => {
  const { cluster, clock, romeo, juliet, heard } = await romeoAndJuliet();
  await using _ = cluster;
  juliet.client.destroy();
  await cluster.settle();
  const { client, answer } = await cluster.resume(2, "juliet", juliet.id, 2);
  expect(answer).toContain("<resumed");
  await passTime(cluster, clock, 1_000);
  cluster.kill(2);
  cluster.kill(1);
  client.destroy();
  // Whoever has a copy of it may not know of the death, or be dead, too.
  cluster.expire(1, []);
  cluster.shared.expire("node-3");
  const { routes, router } = cluster.node(0);
  const voidTerms = new Map(["node-2", "node-3"].map((owner) => [owner, 99]));
  routes.renounced = async () => voidTerms; // It has no copies that count.
  for (const name of voidTerms.keys()) {
    const record = routes.nodes.get(name);
    if (record === undefined) throw new Error("the node is known");
    routes.forget(name);
    router.onNodeDown(record);
  }
  await passTime(cluster, clock, GRACE_MS + 1_000);
  expect(await heard()).toEqual([`unavailable ${JULIET}`]);
  await passWindow(cluster, clock, romeo.client);
  expect(await heard()).toEqual([]);
});

test("a session adopted after the grace is seen again by those who saw it go", async () => {
  const { cluster, clock, juliet, heard } = await romeoAndJuliet();
  await using _ = cluster;
  cluster.kill(1);
  juliet.client.destroy();
  // Romeo's node learns of it; her shadow later, if it is not the same.
  cluster.expire(1, [cluster.node(0)]);
  await passTime(cluster, clock, GRACE_MS + 1_000);
  cluster.expire(1, [cluster.node(2)]);
  await passTime(cluster, clock, GRACE_MS + 1_000);
  const told = await heard();
  const isLate = (await holderOf(cluster))[0] === "node-3";
  expect(told).toEqual(isLate ? [`unavailable ${JULIET}`, `available ${JULIET}`] : []);
});

test("a node whose lease is back asks who came meanwhile, as soon as it can read rosters", async () => {
  const { cluster, clock, heard } = await romeoAndJuliet();
  await using _ = cluster;
  cluster.stores.befriend("nurse@localhost", "romeo@localhost");
  const { router } = cluster.node(0);
  router.onLeaseLost();
  Object.assign(cluster.losses, { request: 1, inARowMax: Number.POSITIVE_INFINITY });
  const nurse = await cluster.online(2, "nurse");
  await cluster.settle();
  Object.assign(cluster.losses, { request: 0, inARowMax: 1 });
  cluster.stores.fail("rosters", new Unavailable("store-timeout", "Cannot read: no answer"));
  router.onLeaseRegained();
  await cluster.settle();
  expect(await heard()).toEqual([]);
  cluster.stores.fail("rosters", undefined);
  await passTime(cluster, clock, 2_000);
  expect(await heard()).toContain(`available ${nurse.address}`);
});

test.each([
  ["", {}],
  [
    ", when rosters can be read",
    { fault: new Unavailable("store-timeout", "Cannot read: no answer") },
  ],
  [", though that node is back", { isBack: true }],
])(
  "who went or came while a session had no node is seen by it afterwards%s",
  async (_about, story) => {
    const { fault, isBack = false } = story as { fault?: Unavailable; isBack?: boolean };
    const { cluster, clock, romeo, juliet } = await romeoAndJuliet();
    await using _ = cluster;
    cluster.stores.befriend("nurse@localhost", "juliet@localhost");
    cluster.kill(1);
    juliet.client.destroy();
    cluster.shared.expire("node-2");
    romeo.client.send("<presence type='unavailable'/>");
    const nurse = await cluster.online(2, "nurse");
    await cluster.settle();
    cluster.stores.fail("rosters", fault);
    const dead = cluster.node(0).routes.nodes.get("node-2");
    cluster.expire(1);
    if (dead === undefined) throw new Error("the node is known");
    if (isBack) for (const at of [0, 2]) cluster.node(at).router.onNodeUp(dead);
    await passTime(cluster, clock, GRACE_MS + 1_000);
    cluster.stores.fail("rosters", undefined);
    if (fault !== undefined) await passTime(cluster, clock, GRACE_MS + 2_000);
    const { client, answer } = await cluster.resume(2, "juliet", juliet.id, 2);
    expect(answer).toContain("<resumed");
    await cluster.settle();
    client.send("<iq type='get' id='end'><query xmlns='jabber:iq:version'/></iq>");
    const seen = presences(await client.read(/<iq[^>]*id='end'(?:.|\n)*?<\/iq>/));
    expect(seen).toContain(`unavailable ${romeo.address}`);
    expect(seen).toContain(`available ${nurse.address}`);
  },
);

test("who comes online at a node that is back sees and is seen where that is known later", async () => {
  const { cluster, clock, romeo, heard } = await romeoAndJuliet();
  await using _ = cluster;
  cluster.stores.befriend("nurse@localhost", "romeo@localhost");
  const { router } = cluster.node(0);
  router.onNodeDown(record("node-3"));
  const nurse = await cluster.online(2, "nurse");
  await cluster.settle();
  expect(await heard()).toEqual([]);
  router.onNodeUp(record("node-3"));
  await passTime(cluster, clock, UNTOLD_MS);
  expect(await heard()).toContain(`available ${nurse.address}`);
  expect(await heard(nurse.client)).toContain(`available ${romeo.address}`);
});

test("whoever saw a session go does not see it again when others are told at last", async () => {
  const { cluster, clock, juliet, heard } = await romeoAndJuliet();
  await using _ = cluster;
  const phone = await cluster.online(2, "romeo", "phone");
  await phone.client.read(/<presence[^>]*from='juliet@localhost\/device'[^>]*>/);
  await heard();
  const { router } = cluster.node(1);
  router.onNodeDown(record("node-3"));
  juliet.client.send("</stream:stream>");
  await juliet.client.read("</stream:stream>");
  await cluster.settle();
  expect(await heard()).toEqual([`unavailable ${JULIET}`]);
  router.onNodeUp(record("node-3"));
  await passTime(cluster, clock, UNTOLD_MS);
  expect(await heard(phone.client)).toContain(`unavailable ${JULIET}`);
  expect(await heard()).toEqual([]);
});

test("each of two devices sees a session go that one of them does not know the place of", async () => {
  const { cluster, juliet, heard } = await romeoAndJuliet();
  await using _ = cluster;
  const phone = await cluster.online(0, "romeo", "phone");
  await phone.client.read(/<presence[^>]*from='juliet@localhost\/device'[^>]*>/);
  // Two nodes have said that she is there.
  const device = cluster.node(0).kit.door.sessions.get("romeo@localhost/device");
  if (device !== undefined) knownState(device)?.seen?.set(JULIET, "");
  const { routes } = cluster.node(0);
  const read = routes.read.bind(routes);
  const { promise: hasAnswered, resolve } = Promise.withResolvers<void>();
  routes.read = (user) => hasAnswered.then(() => read(user));
  juliet.client.send("</stream:stream>");
  await juliet.client.read("</stream:stream>");
  await cluster.settle();
  expect(await heard(phone.client)).toContain(`unavailable ${JULIET}`);
  resolve();
  await cluster.settle();
  expect(await heard()).toContain(`unavailable ${JULIET}`);
});

test("whom a client was shown just before its node died is known to the node that goes on", async () => {
  const { cluster, juliet } = await romeoAndJuliet();
  await using _ = cluster;
  cluster.stores.befriend("nurse@localhost", "juliet@localhost");
  const nurse = await cluster.online(2, "nurse");
  await juliet.client.read(/<presence[^>]*from='nurse@localhost\/device'[^>]*>/);
  cluster.kill(1);
  juliet.client.destroy();
  cluster.expire(1);
  await cluster.settle();
  const sessions = cluster.nodes
    .filter(({ isAlive }) => isAlive)
    .flatMap(({ kit }) => kit.door.sessions.get(JULIET) ?? []);
  expect(sessions.map((one) => knownState(one)?.seen?.get(nurse.address))).toEqual(["node-3"]);
});

test("presence that waits for the store goes along when its node dies, and is shown then", async () => {
  const { cluster, clock, heard } = await romeoAndJuliet();
  await using _ = cluster;
  cluster.stores.befriend("nurse@localhost", "romeo@localhost");
  const nurse = await cluster.bound(1, "nurse");
  cluster.stores.fail("rosters", new Unavailable("store-timeout", "Cannot read: no answer"));
  nurse.client.send("<presence/>");
  await passTime(cluster, clock, 2_000);
  cluster.kill(1);
  nurse.client.destroy();
  cluster.expire(1);
  await passTime(cluster, clock, GRACE_MS + 1_000);
  cluster.stores.fail("rosters", undefined);
  await passTime(cluster, clock, 2_000);
  expect(await heard()).toContain(`available ${nurse.address}`);
});

test("whose contacts could not be asked asks them at the node that it goes on at", async () => {
  const { cluster, clock, romeo } = await romeoAndJuliet();
  await using _ = cluster;
  cluster.stores.befriend("nurse@localhost", "romeo@localhost");
  const { router } = cluster.node(2);
  router.onNodeDown(record("node-1"));
  const nurse = await cluster.online(2, "nurse");
  await cluster.settle();
  nurse.client.destroy();
  await cluster.settle();
  const { client, answer } = await cluster.resume(1, "nurse", nurse.id, 1);
  expect(answer).toContain("<resumed");
  await passTime(cluster, clock, GRACE_MS + UNTOLD_MS);
  client.send("<iq type='get' id='end'><query xmlns='jabber:iq:version'/></iq>");
  const seen = presences(await client.read(/<iq[^>]*id='end'(?:.|\n)*?<\/iq>/));
  expect(seen).toContain(`available ${romeo.address}`);
});
