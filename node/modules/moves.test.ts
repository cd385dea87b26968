/** Sessions that their clients resume on another node. */
import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { Route } from "../routes/contract.ts";
import type { Incoming } from "../session/contract.ts";
import { until } from "../session/testing/door-kit.ts";
import type { Resumable } from "./testing/door-cluster.ts";
import { DoorCluster } from "./testing/door-cluster.ts";

const message = (to: string, id: string) =>
  `<message to='${to}' type='chat' id='${id}'><body>${id}</body></message>`;
const ASK = "<r xmlns='urn:xmpp:sm:3'/>";
const ids = (text: string) => [...text.matchAll(/<body>([^<]*)<\/body>/g)].map(([, id]) => id);

async function romeoAndJuliet(clock?: FakeClock) {
  const cluster = await DoorCluster.open(3, clock);
  await cluster.addUser("juliet");
  cluster.stores.addUser("romeo@localhost");
  cluster.stores.befriend("romeo@localhost", "juliet@localhost");
  const romeo = await cluster.online(0, "romeo");
  const juliet = await cluster.online(1, "juliet");
  await romeo.client.read(/<presence[^>]*from='juliet@localhost\/device'[^>]*>/);
  return { cluster, romeo, juliet };
}

const isDetached = (cluster: DoorCluster, index: number, { address }: Resumable) =>
  cluster.node(index).kit.door.sessions.get(address)?.isDetached === true;

test("a client resumes on another node, and nobody saw it gone", async () => {
  const { cluster, romeo, juliet } = await romeoAndJuliet();
  await using _ = cluster;
  romeo.client.send(message("juliet@localhost", "m1") + message(juliet.address, "m2"));
  const seen = await juliet.client.read("m2</body>");
  expect(ids(seen)).toEqual(["m1", "m2"]);
  juliet.client.destroy();
  await until(() => isDetached(cluster, 1, juliet), "detached");
  romeo.client.send(message("juliet@localhost", "m3"));
  await cluster.settle();
  // Her own presence, romeo's, and the first message.
  const { client, answer } = await cluster.resume(2, "juliet", juliet.id, 3);
  expect(answer).toContain(`previd='${juliet.id}' h='1'`);
  expect(ids(await client.read("m3</body>"))).toEqual(["m2", "m3"]);
  expect(cluster.node(1).kit.door.sessions.size).toBe(0);
  romeo.client.send(message("juliet@localhost", "m4") + message(juliet.address, "m5"));
  expect(ids(await client.read("m5</body>"))).toEqual(["m4", "m5"]);
  client.send(message(romeo.address, "j1"));
  const heard = await romeo.client.read("j1</body>");
  expect(heard).not.toContain("unavailable");
  const { routes } = await cluster.node(0).routes.read("juliet@localhost");
  expect(routes).toMatchObject([{ node: "node-3", session: juliet.id, available: true }]);
  expect(cluster.node(2).kit.door.stats).toMatchObject({ sessionsMovedIn: 1, sessionsResumed: 1 });
  expect(cluster.node(1).kit.door.stats).toMatchObject({ sessionsMovedOut: 1, sessionsEnded: 0 });
  client.send("</stream:stream>");
  await romeo.client.read(/<presence[^>]*type='unavailable'[^>]*>/);
});

test.each([
  ["lives", false],
  ["has died", true],
])(
  "a session is resumed along with the login at another node while its own %s",
  async (_is, isDead) => {
    const { cluster, romeo, juliet } = await romeoAndJuliet();
    await using _ = cluster;
    romeo.client.send(message("juliet@localhost", "m1"));
    await juliet.client.read("m1</body>");
    juliet.client.destroy();
    await until(() => isDetached(cluster, 1, juliet), "detached");
    romeo.client.send(message("juliet@localhost", "m2") + ASK);
    await romeo.client.read(/<a [^>]*h='3'/);
    if (isDead) {
      cluster.kill(1);
      cluster.expire(1);
    }
    const client = await cluster.node(2).kit.connect();
    await client.open();
    const resume = `<resume xmlns='urn:xmpp:sm:3' previd='${juliet.id}' h='3'/>`;
    const answer = await client.plain2("juliet", "secret", resume);
    expect(answer).toContain(
      `<authorization-identifier>${juliet.address}</authorization-identifier>` +
        `<resumed xmlns='urn:xmpp:sm:3' previd='${juliet.id}' h='1'/></success>`,
    );
    romeo.client.send(message("juliet@localhost", "m3"));
    expect(ids(await client.read("m3</body>"))).toEqual(["m2", "m3"]);
    client.send(message(romeo.address, "j1"));
    expect(await romeo.client.read("j1</body>")).not.toContain("unavailable");
  },
);

test("what a client sends again because its node died is in both archives once", async () => {
  const clock = new FakeClock();
  const { cluster, romeo, juliet } = await romeoAndJuliet(clock);
  await using _ = cluster;
  const archived = () =>
    ["romeo", "juliet"].map((name) =>
      cluster.stores.archived(`${name}@localhost`).map(({ bytes }) => ids(bytes.toString())[0]),
    );
  const { mesh } = cluster.node(0);
  const request = mesh.request.bind(mesh);
  // His shadow hears of nothing any more.
  mesh.request = (peer, kind, payload) =>
    kind === FrameKind.mirror ? new Promise(() => {}) : request(peer, kind, payload);
  romeo.client.send(message("juliet@localhost", "m1"));
  await juliet.client.read("m1</body>");
  await until(() => archived().flat().length === 2, "archived");
  cluster.kill(0);
  cluster.expire(0);
  await cluster.settle();
  clock.advance(2_000);
  const { client, answer } = await cluster.resume(2, "romeo", romeo.id, 2);
  expect(answer).toContain(`previd='${romeo.id}' h='1'`);
  client.send(message("juliet@localhost", "m1") + message("juliet@localhost", "m2"));
  expect(ids(await juliet.client.read("m2</body>"))).toEqual(["m2"]);
  await until(() => archived().flat().includes("m2"), "archived");
  await cluster.settle();
  expect(archived()).toEqual([
    ["m1", "m2"],
    ["m1", "m2"],
  ]);
});

test.each([
  ["lives", false],
  ["has died", true],
])(
  "what a client says at another node comes after what is stored, though nobody was told and the first %s",
  async (_is, isDead) => {
    const clock = new FakeClock();
    const { cluster, romeo, juliet } = await romeoAndJuliet(clock);
    await using _ = cluster;
    let isTold = false;
    // The first node does not reach hers, and no node can tell it.
    for (const { name, mesh } of cluster.nodes) {
      const request = mesh.request.bind(mesh);
      mesh.request = (peer, kind, payload) => {
        const isOver =
          kind === FrameKind.offline || (kind === FrameKind.deliver && name === "node-1");
        return isOver && peer === "node-2" && !isTold
          ? Promise.reject(new Unavailable("mesh-timeout", "Cannot reach node: the test says so"))
          : request(peer, kind, payload);
      };
    }
    romeo.client.send(message("juliet@localhost", "m1") + ASK);
    await romeo.client.read(/<a [^>]*h='2'/);
    expect(cluster.stores.storedFor("juliet@localhost")).toHaveLength(1);
    if (isDead) {
      cluster.kill(0);
      cluster.expire(0);
    }
    const { client } = await cluster.resume(2, "romeo", romeo.id, 2);
    client.send(message("juliet@localhost", "m2") + ASK);
    await client.read(/<a [^>]*h='3'/);
    isTold = true;
    const heard = juliet.client.read("m2</body>");
    clock.advance(60_000);
    expect(ids(await heard)).toEqual(["m1", "m2"]);
  },
);

test("a stream that is still open on the other node ends with conflict", async () => {
  const { cluster, juliet } = await romeoAndJuliet();
  await using _ = cluster;
  const { answer } = await cluster.resume(2, "juliet", juliet.id, 2);
  expect(answer).toContain("<resumed");
  expect(await juliet.client.readToEnd()).toContain("<conflict xmlns");
});

test("a session goes from node to node and back, with all it has", async () => {
  const { cluster, romeo, juliet } = await romeoAndJuliet();
  await using _ = cluster;
  juliet.client.destroy();
  for (const [turn, index] of [2, 0, 1, 0, 2].entries()) {
    romeo.client.send(message("juliet@localhost", `m${turn}`));
    await cluster.settle();
    const { client, answer } = await cluster.resume(index, "juliet", juliet.id, 2);
    expect(answer).toContain("<resumed");
    const all = await client.read(`m${turn}</body>`);
    expect(ids(all)).toEqual(Array.from({ length: turn + 1 }, (_one, n) => `m${n}`));
    client.destroy();
    await until(() => isDetached(cluster, index, juliet), "detached");
  }
});

test("messages sent while the session moves arrive once and in order", async () => {
  const { cluster, romeo, juliet } = await romeoAndJuliet();
  await using _ = cluster;
  let sent = 0;
  const timer = setInterval(() => {
    romeo.client.send(message("juliet@localhost", `m${sent}`));
    sent += 1;
  }, 1);
  let client = juliet.client;
  let received: (string | undefined)[] = [];
  let h = 2;
  for (const index of [2, 0, 1, 2]) {
    await client.read(/<\/message>/);
    client.destroy();
    // What came before the break was handled; the rest must come again.
    const next = await cluster.resume(index, "juliet", juliet.id, h);
    expect(next.answer).toContain("<resumed");
    client = next.client;
    const part = ids(await client.read(/<\/message>(?:.|\n)*<\/message>/));
    received = [...received, ...part];
    h += part.length;
  }
  clearInterval(timer);
  await cluster.settle();
  romeo.client.send(message("juliet@localhost", "last"));
  received = [...received, ...ids(await client.read("last</body>"))];
  const expected = [...Array.from({ length: sent }, (_one, n) => `m${n}`), "last"];
  expect(received).toEqual(expected);
});

test("what another node never commits is given back to the node that had it", async () => {
  const clock = new FakeClock();
  const { cluster, romeo, juliet } = await romeoAndJuliet(clock);
  await using _ = cluster;
  juliet.client.destroy();
  await until(() => isDetached(cluster, 1, juliet), "detached");
  const { routes } = await cluster.node(2).routes.read("juliet@localhost");
  const [route] = routes;
  if (route === undefined) throw new Error("she has a route");
  expect(await cluster.node(2).router.fetchSession(route)).toMatchObject({
    state: { received: 1, route },
  });
  romeo.client.send(message("juliet@localhost", "m1"));
  await cluster.settle();
  expect(isDetached(cluster, 1, juliet)).toBe(false);
  clock.advance(12_000);
  await until(() => isDetached(cluster, 1, juliet), "it stays");
  await expect(
    cluster.node(2).routes.takeOver({ ...route, node: "node-3" }, { revision: 1, routes }),
  ).rejects.toMatchObject({ code: "routes-moved" });
  const { client, answer } = await cluster.resume(1, "juliet", juliet.id, 2);
  expect(answer).toContain("<resumed");
  await client.read("m1</body>");
});

test("what another node took before it died is its shadow's, and not passed on by who gave it", async () => {
  const { cluster, romeo, juliet } = await romeoAndJuliet();
  await using _ = cluster;
  juliet.client.destroy();
  await until(() => isDetached(cluster, 1, juliet), "detached");
  romeo.client.send(message("juliet@localhost", "m1"));
  await cluster.settle();
  const { router, routes } = cluster.node(2);
  const [route] = (await routes.read("juliet@localhost")).routes;
  if (route === undefined) throw new Error("she has a route");
  await router.fetchSession(route);
  cluster.shared.put({ ...route, node: "node-3" }); // It is committed, and nobody hears of it.
  cluster.shared.expire("node-3");
  await cluster.node(1).routes.read("juliet@localhost");
  await cluster.settle();
  expect(cluster.node(1).kit.door.sessions.get(juliet.address)).toBeUndefined();
  expect(cluster.stores.storedFor("juliet@localhost")).toEqual([]);
});

test("what is said of a session's stanzas goes along with it, and stays with a node that keeps it", async () => {
  const { cluster, romeo, juliet } = await romeoAndJuliet();
  await using _ = cluster;
  const remembered = () => cluster.nodes.map(({ router }) => router.stats().repeatsRemembered);
  romeo.client.send(message("juliet@localhost", "m1"));
  await juliet.client.read("m1</body>");
  juliet.client.destroy();
  await until(() => isDetached(cluster, 1, juliet), "detached");
  const { kit, router, routes } = cluster.node(2);
  const [route] = (await routes.read("juliet@localhost")).routes;
  const incoming = await router.fetchSession(route as Route);
  const seenBefore = { revision: 0, routes: [route as Route] };
  const before = remembered();
  expect(await kit.door.adopt(incoming as Incoming, seenBefore)).toBe("again");
  expect(remembered()).toEqual(before);
  const [, ofHers = 0, ofOthers = 0] = before;
  const { client } = await cluster.resume(2, "juliet", juliet.id, 2);
  await client.read("m1</body>");
  await until(() => cluster.node(1).kit.door.sessions.size === 0, "it has gone");
  expect(remembered().slice(1)).toEqual([ofHers - 1, ofOthers + 1]);
});

test("stored messages that were given before the move are not given again after it", async () => {
  const cluster = await DoorCluster.open(2);
  await using _ = cluster;
  await cluster.addUser("juliet");
  cluster.stores.addUser("romeo@localhost");
  const romeo = await cluster.online(0, "romeo");
  for (const id of ["m1", "m2", "m3"]) romeo.client.send(message("juliet@localhost", id));
  await until(() => cluster.stores.storedFor("juliet@localhost").length === 3, "stored");
  const juliet = await cluster.online(0, "juliet");
  await juliet.client.read("m3</body>");
  juliet.client.destroy();
  await until(() => isDetached(cluster, 0, juliet), "detached");
  const { client } = await cluster.resume(1, "juliet", juliet.id, 2);
  expect(ids(await client.read("m3</body>"))).toEqual(["m2", "m3"]);
  await client.read("<r xmlns='urn:xmpp:sm:3'/>");
  client.send("<a xmlns='urn:xmpp:sm:3' h='4'/>");
  await until(() => cluster.stores.storedFor("juliet@localhost").length === 0, "removed");
  romeo.client.send(message("juliet@localhost", "m4"));
  expect(ids(await client.read("m4</body>"))).toEqual(["m4"]);
});

test("a drained node keeps its sessions until they are resumed elsewhere", async () => {
  const { cluster, romeo, juliet } = await romeoAndJuliet();
  await using _ = cluster;
  romeo.client.send(message("juliet@localhost", "m1"));
  await juliet.client.read("m1</body>");
  let isDrained = false;
  const drained = cluster
    .node(1)
    .kit.door.drain({ perSecond: 1_000, deadlineMs: 60_000 })
    .then(() => {
      isDrained = true;
    });
  await juliet.client.read(/<system-shutdown xmlns/);
  juliet.client.send("</stream:stream>");
  await juliet.client.closed();
  romeo.client.send(message("juliet@localhost", "m2"));
  await cluster.settle();
  expect(isDrained).toBe(false);
  const { client } = await cluster.resume(2, "juliet", juliet.id, 3);
  expect(ids(await client.read("m2</body>"))).toEqual(["m2"]);
  await drained;
  expect(cluster.node(1).kit.complaints).toEqual([]);
  client.send(message(romeo.address, "j1"));
  expect(await romeo.client.read("j1</body>")).not.toContain("unavailable");
});

/** Juliet is away, and a message for her waits on the first of some nodes; another has its copy. */
async function julietAway(nodes = 2) {
  const clock = new FakeClock();
  const cluster = await DoorCluster.open(nodes, clock);
  await cluster.addUser("juliet");
  cluster.stores.addUser("romeo@localhost");
  const juliet = await cluster.online(0, "juliet");
  const romeo = await cluster.online(1, "romeo");
  juliet.client.destroy();
  await until(() => isDetached(cluster, 0, juliet), "detached");
  romeo.client.send(message("juliet@localhost", "m1"));
  await cluster.settle();
  let drained = 0;
  const drain = (index: number) => {
    const { door } = cluster.node(index).kit;
    void door.drain({ perSecond: 1_000, deadlineMs: 60_000 }).then(() => {
      drained += 1;
    });
  };
  const pass = (isSo: () => boolean, what: string) =>
    until(() => {
      clock.advance(50);
      return isSo();
    }, what);
  const stored = () => cluster.stores.storedFor("juliet@localhost").length;
  return { cluster, juliet, romeo, drain, pass, stored, drained: () => drained };
}

test("a node that drains leaves nothing to a shadow without a lease if another takes it", async () => {
  const { cluster, juliet, romeo, drain, pass, drained } = await julietAway(3);
  await using _ = cluster;
  romeo.client.send("</stream:stream>");
  await romeo.client.closed();
  await cluster.settle();
  const [shadow, other] = [1, 2].toSorted(
    (one, two) => copiesAt(cluster, two) - copiesAt(cluster, one),
  ) as [number, number];
  expect(copiesAt(cluster, shadow)).toBe(1);
  cluster.node(shadow).router.onLeaseLost();
  drain(0);
  await pass(() => drained() === 1, "it has gone");
  const { client } = await cluster.resume(other, "juliet", juliet.id, 1);
  expect(ids(await client.read("m1</body>"))).toEqual(["m1"]);
  expect(cluster.node(0).kit.complaints).toEqual([]);
});

test("what nobody can take is left to a shadow, though it has no lease at the moment", async () => {
  const { cluster, juliet, romeo, drain, pass, stored, drained } = await julietAway();
  await using _ = cluster;
  romeo.client.send("</stream:stream>");
  await romeo.client.closed();
  const { router } = cluster.node(1);
  router.onLeaseLost();
  drain(0);
  await pass(() => drained() === 1, "it has gone");
  cluster.kill(0);
  router.onLeaseRegained();
  cluster.expire(0);
  await cluster.settle();
  expect(stored()).toBe(0);
  const { client } = await cluster.resume(1, "juliet", juliet.id, 1);
  expect(ids(await client.read("m1</body>"))).toEqual(["m1"]);
});

const copiesAt = (cluster: DoorCluster, index: number) =>
  cluster.node(index).router.stats().copies ?? 0;

test("a node that drains leaves nothing to another that is about to go", async () => {
  const { cluster, romeo, drain, pass, stored, drained } = await julietAway();
  await using _ = cluster;
  romeo.client.send("</stream:stream>");
  await romeo.client.closed();
  drain(1);
  await pass(() => drained() === 1, "the other has gone");
  drain(0);
  await pass(() => drained() === 2, "both have gone");
  expect(stored()).toBe(1);
});

test("a node that is about to go passes on what a dead one left to it", async () => {
  const { cluster, romeo, drain, pass, stored, drained } = await julietAway();
  await using _ = cluster;
  romeo.client.send("</stream:stream>");
  await romeo.client.closed();
  const { door } = cluster.node(1).kit;
  cluster.kill(0);
  // It seems to be alone already, and has not begun to take over.
  cluster.node(1).routes.forget("node-1");
  drain(1);
  cluster.expire(0);
  await pass(() => drained() === 1, "it has gone");
  expect(stored()).toBe(1);
  expect(door.sessions.size).toBe(0);
});
