import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { idOf, originOf } from "./offline-id.ts";
import type { TestSession } from "./testing/client.ts";
import type { TestNode } from "./testing/cluster.ts";
import { Cluster, DOMAIN } from "./testing/cluster.ts";
import { conditionOf, one, take } from "./testing/read.ts";
import { record } from "./testing/shared-routes.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;

function newCluster(nodes = 2, options: Record<string, unknown> = {}, losses = {}) {
  const cluster = new Cluster({ nodes, options: { offline: options }, losses });
  cluster.stores.addUser(ROMEO);
  cluster.stores.addUser(JULIET);
  return cluster;
}

const message = (id: string | number, extra = "<body>hi</body>", type = "chat") =>
  `<message to='${JULIET}' type='${type}' id='${id}'>${extra}</message>`;

test("messages for a user who is away arrive once, in order, with the time they were sent", async () => {
  const cluster = newCluster();
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const romeo = await first.login(`${ROMEO}/desk`);
  for (let id = 0; id < 45; id += 1) await first.send(romeo, message(id));
  expect(cluster.stores.storedFor(JULIET)).toHaveLength(45);
  cluster.clock.advance(60_000);
  const juliet = await second.login(`${JULIET}/balcony`);
  void second.send(juliet, "<presence/>");
  for (let rounds = 0; rounds < 5; rounds += 1) {
    await cluster.settle();
    juliet.acknowledge();
  }
  const messages = take(juliet, "message");
  expect(messages.map(({ attrs }) => Number(attrs.id))).toEqual([...Array(45).keys()]);
  const delay = messages[0]?.getChild("delay", "urn:xmpp:delay");
  expect(delay?.attrs).toEqual({
    xmlns: "urn:xmpp:delay",
    from: DOMAIN,
    stamp: new Date(cluster.clock.startMs).toISOString(),
  });
  expect(cluster.stores.storedFor(JULIET)).toEqual([]);
});

test("live messages come behind the stored ones, and wait for no acknowledgement", async () => {
  const cluster = newCluster();
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const romeo = await first.login(`${ROMEO}/desk`);
  await first.send(romeo, message("stored"));
  const juliet = await second.login(`${JULIET}/balcony`);
  void second.send(juliet, "<presence/>");
  await cluster.settle();
  await first.send(romeo, message("live"));
  await cluster.settle();
  expect(take(juliet, "message").map(({ attrs }) => attrs.id)).toEqual(["stored", "live"]);
  expect(cluster.stores.storedFor(JULIET)).toHaveLength(1);
  juliet.acknowledge();
  await cluster.settle();
  expect(cluster.stores.storedFor(JULIET)).toEqual([]);
});

test("what is sent again because a node died stays stored as of when it was first", async () => {
  const cluster = newCluster();
  const romeo = await cluster.node(0).login(`${ROMEO}/desk`);
  await cluster.node(0).send(romeo, message("m1"));
  const stored = [...cluster.stores.storedFor(JULIET)];
  cluster.clock.advance(2_000);
  Object.assign(romeo, { sent: 0, mayRepeat: true });
  await cluster.node(1).send(romeo, message("m1"));
  expect(cluster.stores.storedFor(JULIET)).toEqual(stored);
  await cluster.node(1).send(romeo, message("m2"));
  expect(cluster.stores.storedFor(JULIET)).toHaveLength(2);
});

test("a client that counts one stanza too few still gets what comes after the stored messages", async () => {
  const cluster = newCluster(2, { acknowledgeSeconds: 10 });
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const romeo = await first.login(`${ROMEO}/desk`);
  for (const id of ["a", "b"]) await first.send(romeo, message(id));
  const juliet = await second.login(`${JULIET}/balcony`);
  void second.send(juliet, "<presence/>");
  await cluster.settle();
  // Its own presence and one message: the second stays open for ever.
  juliet.acknowledge(2);
  await cluster.settle();
  expect(cluster.stores.storedFor(JULIET)).toHaveLength(1);
  for (let round = 0; round < 5; round += 1) {
    cluster.clock.advance(11_000);
    await cluster.settle();
    await first.send(romeo, message(`live${round}`));
    await cluster.settle();
  }
  const ids = take(juliet, "message").map(({ attrs }) => attrs.id);
  expect(ids).toEqual(["a", "b", "live0", "live1", "live2", "live3", "live4"]);
});

test("a client that acknowledges nothing gets a hundred stored messages, then live ones", async () => {
  const cluster = newCluster(1);
  const node = cluster.node(0);
  const romeo = await node.login(`${ROMEO}/desk`);
  for (let id = 0; id < 130; id += 1) await node.send(romeo, message(id));
  const juliet = await node.login(`${JULIET}/balcony`);
  void node.send(juliet, "<presence/>");
  await cluster.settle();
  expect(take(juliet, "message").map(({ attrs }) => Number(attrs.id))).toEqual([
    ...Array(100).keys(),
  ]);
  for (let round = 0; round < 20; round += 1) {
    juliet.acknowledge();
    cluster.clock.advance(1_000);
    await cluster.settle();
  }
  expect(take(juliet, "message").map(({ attrs }) => Number(attrs.id))).toEqual(
    Array.from({ length: 30 }, (_, index) => 100 + index),
  );
  expect(cluster.stores.storedFor(JULIET)).toEqual([]);
});

test("what a client did not acknowledge is kept for its next session", async () => {
  const cluster = newCluster();
  const first = cluster.node(0);
  const romeo = await first.login(`${ROMEO}/desk`);
  for (const id of ["a", "b", "c"]) await first.send(romeo, message(id));
  const one = await first.login(`${JULIET}/balcony`);
  void first.send(one, "<presence/>");
  await cluster.settle();
  // Its own presence, then one of the three.
  one.acknowledge(2);
  await first.drop(one);
  await cluster.settle();
  const next = await first.login(`${JULIET}/balcony`);
  void first.send(next, "<presence/>");
  await cluster.settle();
  const ids = take(next, "message").map(({ attrs }) => attrs.id);
  expect([...one.messages(), ...ids]).toEqual(["a", "b", "c"]);
});

test("a resource of negative priority gets nothing that was stored", async () => {
  const cluster = newCluster();
  const first = cluster.node(0);
  const romeo = await first.login(`${ROMEO}/desk`);
  await first.send(romeo, message("a"));
  const bot = await first.login(`${JULIET}/bot`);
  await first.send(bot, "<presence><priority>-1</priority></presence>");
  await cluster.settle();
  expect(take(bot, "message")).toEqual([]);
  void first.send(bot, "<presence><priority>0</priority></presence>");
  await cluster.settle();
  expect(take(bot, "message")).toHaveLength(1);
});

describe("what is stored", () => {
  const CHAT_STATE = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
  const FOR_A_WHILE = "<no-permanent-store xmlns='urn:xmpp:hints'/>";
  const NO_STORE = "<no-store xmlns='urn:xmpp:hints'/>";
  test.each([
    ["a chat message", message(1), 1, undefined],
    ["a normal message", message(1, "<body/>", "normal"), 1, undefined],
    ["a chat message without a body", message(1, "<x xmlns='encrypted'/>"), 1, undefined],
    ["not a chat state", message(1, CHAT_STATE), 0, undefined],
    ["a chat state with a body", message(1, `${CHAT_STATE}<body/>`), 1, undefined],
    ["not a headline", message(1, "<body/>", "headline"), 0, undefined],
    ["not a room's message", message(1, "<body/>", "groupchat"), 0, "service-unavailable"],
    ["not an error", message(1, "<body/>", "error"), 0, undefined],
    ["what may be for a while", message(1, `<body/>${FOR_A_WHILE}`), 1, undefined],
    ["not what must not be", message(1, `<body/>${NO_STORE}`), 0, "service-unavailable"],
  ])("%s", async (_, xml, stored, condition) => {
    const cluster = newCluster(1);
    const romeo = await cluster.node(0).login(`${ROMEO}/desk`);
    await cluster.node(0).send(romeo, xml);
    expect(cluster.stores.storedFor(JULIET)).toHaveLength(stored);
    if (condition === undefined) expect(take(romeo)).toEqual([]);
    else expect(conditionOf(one(romeo, "message"))).toBe(condition);
  });
});

test("when the store is full, messages come back", async () => {
  const cluster = newCluster(1, { messagesMax: 2 });
  const romeo = await cluster.node(0).login(`${ROMEO}/desk`);
  for (const id of ["a", "b", "c"]) await cluster.node(0).send(romeo, message(id));
  const refusal = one(romeo, "message");
  expect(refusal.attrs.id).toBe("c");
  expect(conditionOf(refusal)).toBe("service-unavailable");
});

test("a claim that a dead node held is waited for, and nothing is stuck", async () => {
  const cluster = newCluster();
  const [doomed, second] = [cluster.node(0), cluster.node(1)];
  const romeo = await second.login(`${ROMEO}/desk`);
  await second.send(romeo, message("a"));
  const lost = await doomed.login(`${JULIET}/balcony`);
  void doomed.send(lost, "<presence/>");
  await cluster.settle();
  cluster.kill(doomed);
  const juliet = await second.login(`${JULIET}/balcony`);
  void second.send(juliet, "<presence/>");
  await cluster.settle();
  expect(take(juliet, "message")).toEqual([]);
  cluster.expire(doomed);
  cluster.clock.advance(1_000);
  await cluster.settle();
  expect(take(juliet, "message").map(({ attrs }) => attrs.id)).toEqual(["a"]);
});

test("drains and writers at the same time hand every message over exactly once", async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 0, max: 2 ** 31 }), async (seed) => {
      const cluster = new Cluster({ nodes: 3, seed, isCalm: false });
      cluster.stores.addUser(ROMEO);
      cluster.stores.addUser(JULIET);
      const { weather } = cluster;
      const sessions: Awaited<ReturnType<typeof arrive>>[] = [];
      async function arrive(index: number) {
        const node = cluster.node(index % 3);
        const session = await node.login(`${JULIET}/device${index}`);
        void node.send(session, "<presence/>");
        return session;
      }
      const romeo = cluster.node(0).login(`${ROMEO}/desk`);
      await cluster.settle();
      for (let id = 0; id < 30; id += 1) {
        void cluster.node(0).send(await romeo, message(id));
        if (id % 10 === 5) void arrive(id).then((session) => sessions.push(session));
        for (let left = Math.floor(weather.fraction() * 20); left > 0; left -= 1) {
          await weather.step();
        }
        weather.pick(sessions)?.acknowledge(1);
      }
      for (let rounds = 0; rounds < 20; rounds += 1) {
        await cluster.settle();
        for (const session of sessions) session.acknowledge();
        cluster.clock.advance(1_000);
      }
      // Stored messages go to one resource; live ones to every resource that is there by then.
      const all = sessions.flatMap((session) => session.messages());
      expect(new Set(all).size).toBe(30);
      for (const session of sessions) {
        expect(new Set(session.messages()).size).toBe(session.messages().length);
      }
      expect(cluster.stores.storedFor(JULIET)).toEqual([]);
    }),
    { numRuns: 30, endOnFailure: true },
  );
});

test("a stored message's name sorts by arrival and gives its origin back", () => {
  const origin = { session: "a-b_c", count: 41 };
  expect(originOf(idOf(1_767_225_600_000, origin))).toEqual(origin);
  const early = idOf(1_767_225_600_000, { session: "z", count: 2 });
  const late = idOf(1_767_225_600_001, { session: "a", count: 1 });
  expect(early < late).toBe(true);
  expect(idOf(1, { session: "a", count: 9 }) < idOf(1, { session: "a", count: 10 })).toBe(true);
  expect(originOf("nonsense")).toBeUndefined();
});

/** Juliet is at the second node, and what Romeo writes at the first one does not get there. */
async function unheard(onNotice: (user: string, second: TestNode) => void = () => {}) {
  const cluster = newCluster(2, {}, { inARowMax: 100 });
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const juliet = await second.login(`${JULIET}/balcony`);
  void second.send(juliet, "<presence/>");
  const romeo = await first.login(`${ROMEO}/desk`);
  await cluster.settle();
  first.routes.onNotice = (user) => onNotice(user, second);
  cluster.losses.request = 1;
  await first.send(romeo, message("in doubt"));
  await cluster.settle();
  return { cluster, juliet };
}

test("what is stored for somebody online is handed over once their node can be told", async () => {
  const { cluster, juliet } = await unheard();
  expect(cluster.stores.storedFor(JULIET)).toHaveLength(1);
  cluster.clock.advance(1_000);
  await cluster.settle();
  expect(take(juliet, "message")).toEqual([]);
  cluster.losses.request = 0;
  for (let second = 0; second < 3; second += 1) {
    cluster.clock.advance(1_000);
    await cluster.settle();
  }
  expect(take(juliet, "message").map(({ attrs }) => attrs.id)).toEqual(["in doubt"]);
});

test("what is stored for somebody online is handed over though their node cannot be reached", async () => {
  const { juliet } = await unheard((user, second) => second.router.onNotice(user));
  expect(take(juliet, "message").map(({ attrs }) => attrs.id)).toEqual(["in doubt"]);
});

/** Juliet is at the second node, whose routes go as Romeo, at the first one, writes "stored". */
async function withoutRoutes(cluster: Cluster) {
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const juliet = await second.login(`${JULIET}/balcony`);
  await second.send(juliet, "<presence/>");
  const romeo = await first.login(`${ROMEO}/desk`);
  await cluster.settle();
  cluster.shared.expire(second.name);
  first.routes.forget(second.name);
  await first.send(romeo, message("stored"));
  const giveBack = () => {
    cluster.shared.put(juliet.route);
    second.router.onLeaseRegained();
  };
  const given = () => take(juliet, "message").map(({ attrs }) => attrs.id);
  return { first, second, romeo, juliet, giveBack, given };
}

test("what was stored while a node's routes were gone is handed over when they are back", async () => {
  const cluster = newCluster();
  const { giveBack, given } = await withoutRoutes(cluster);
  await cluster.settle();
  expect(given()).toEqual([]);
  giveBack();
  await cluster.settle();
  expect(given()).toEqual(["stored"]);
});

test("it goes first to a session whose client is away", async () => {
  const cluster = newCluster();
  const { first, second, romeo, juliet, giveBack, given } = await withoutRoutes(cluster);
  second.detach(juliet);
  first.routes.nodes.set(second.name, record(second.name));
  giveBack();
  await cluster.settle();
  await first.send(romeo, message("live"));
  await cluster.settle();
  second.resume(juliet);
  await cluster.settle();
  expect(given()).toEqual(["stored", "live"]);
});

test("live messages wait for it until it is their user's turn", async () => {
  const cluster = newCluster();
  const second = cluster.node(1);
  const nurses: TestSession[] = [];
  for (let count = 1; count <= 120; count += 1) {
    cluster.stores.addUser(`nurse-${count}@${DOMAIN}`);
    const nurse = await second.login(`nurse-${count}@${DOMAIN}/desk`);
    await second.send(nurse, "<presence/>");
    nurses.push(nurse);
  }
  const { giveBack, given } = await withoutRoutes(cluster);
  giveBack();
  await second.send(nurses[0] as TestSession, message("live"));
  await cluster.settle();
  expect(given()).toEqual(["stored", "live"]);
});

test("a message is stored when routes cannot be read again, though some were known", async () => {
  const cluster = newCluster(1);
  const node = cluster.node(0);
  const juliet = await node.login(`${JULIET}/balcony`); // Connected, and not available.
  const romeo = await node.login(`${ROMEO}/desk`);
  await cluster.settle();
  cluster.shared.isAway = true;
  await node.send(romeo, message("kept"));
  expect(take(romeo, "message")).toEqual([]);
  expect(cluster.stores.storedFor(JULIET)).toHaveLength(1);
  cluster.shared.isAway = false;
  await node.send(juliet, "<presence/>");
  await cluster.settle();
  expect(take(juliet, "message").map(({ attrs }) => attrs.id)).toEqual(["kept"]);
});

test("what follows a message that nobody could be told of comes behind it", async () => {
  const cluster = newCluster(2);
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const juliet = await second.login(`${JULIET}/balcony`);
  await second.send(juliet, "<presence/>");
  const romeo = await first.login(`${ROMEO}/desk`);
  await cluster.settle();
  cluster.shared.isAway = true;
  await first.send(romeo, message("stored"));
  expect(cluster.stores.storedFor(JULIET)).toHaveLength(1);
  cluster.shared.isAway = false;
  for (const id of ["next", "last"]) await first.send(romeo, message(id));
  await cluster.settle();
  expect(take(juliet, "message").map(({ attrs }) => attrs.id)).toEqual(["stored", "next", "last"]);
});

test("live messages wait for stored ones that a node knows of and cannot read yet", async () => {
  const cluster = newCluster(1);
  const node = cluster.node(0);
  const juliet = await node.login(`${JULIET}/balcony`);
  await node.send(juliet, "<presence/>");
  const romeo = await node.login(`${ROMEO}/desk`);
  await cluster.settle();
  cluster.stores.fail("offline", new Unavailable("store-timeout", "Cannot read: no answer"));
  await node.router.wake(JULIET);
  await cluster.settle();
  await node.send(romeo, message("live"));
  await cluster.settle();
  expect(take(juliet, "message")).toEqual([]);
  cluster.stores.fail("offline", undefined);
  cluster.clock.advance(1_000);
  await cluster.settle();
  expect(take(juliet, "message").map(({ attrs }) => attrs.id)).toEqual(["live"]);
});

test("what is stored is given without a claim while etcd is away, and live messages wait for it", async () => {
  const cluster = newCluster(1);
  const node = cluster.node(0);
  const romeo = await node.login(`${ROMEO}/desk`);
  await node.send(romeo, message("a"));
  const juliet = await node.login(`${JULIET}/balcony`);
  void node.send(juliet, "<presence/>");
  await cluster.settle();
  expect(take(juliet, "message").map(({ attrs }) => attrs.id)).toEqual(["a"]);
  cluster.shared.expire(node.name);
  cluster.shared.put(juliet.route);
  cluster.shared.isAway = true;
  const receivedMs = cluster.clock.nowMs();
  const id = idOf(receivedMs, { session: "elsewhere", count: 1 });
  const stanza = message("stored").replace(" ", ` xmlns='jabber:client' from='${romeo.jid.full}' `);
  const bytes = Buffer.from(stanza);
  cluster.stores.offline.get(JULIET)?.set(id, { id, receivedMs, bytes });
  node.router.onLeaseRegained(); // Each user's store is looked into.
  await node.send(romeo, message("live"));
  await cluster.settle();
  expect(take(juliet, "message").map(({ attrs }) => attrs.id)).toEqual(["stored", "live"]);
  cluster.shared.isAway = false;
  node.router.onLeaseRegained();
  await cluster.settle();
  expect(take(juliet, "message")).toEqual([]);
});

test("what is stored and cannot be read does not keep live messages for long", async () => {
  const cluster = newCluster(1);
  const node = cluster.node(0);
  const juliet = await node.login(`${JULIET}/balcony`);
  await node.send(juliet, "<presence/>");
  const romeo = await node.login(`${ROMEO}/desk`);
  await cluster.settle();
  cluster.stores.fail("offline", new Unavailable("store-timeout", "Cannot read: no answer"));
  await node.router.wake(JULIET);
  await node.send(romeo, message("live"));
  for (let second = 0; second < 15; second += 1) {
    await cluster.settle();
    cluster.clock.advance(1_000);
  }
  await cluster.settle();
  expect(take(juliet, "message").map(({ attrs }) => attrs.id)).toEqual(["live"]);
});

test("what a session leaves behind is stored as soon as the store answers again", async () => {
  const cluster = newCluster(1);
  const node = cluster.node(0);
  const juliet = await node.login(`${JULIET}/balcony`);
  await node.send(juliet, "<presence/>");
  const romeo = await node.login(`${ROMEO}/desk`);
  await cluster.settle();
  await node.send(romeo, message("left"));
  cluster.stores.fail("offline", new Unavailable("store-timeout", "Cannot store: no answer"));
  void node.drop(juliet);
  await cluster.settle();
  expect(take(romeo, "message")).toEqual([]);
  cluster.stores.fail("offline", undefined);
  cluster.clock.advance(1_000);
  await cluster.settle();
  expect(cluster.stores.storedFor(JULIET)).toHaveLength(1);
  expect(take(romeo, "message")).toEqual([]);
});
