import { describe, expect, test } from "vitest";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { brief, conditionOf, one, take } from "../testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const NURSE = `nurse@${DOMAIN}`;

function newCluster(nodes = 2) {
  const cluster = new Cluster({ nodes });
  for (const user of [ROMEO, JULIET, NURSE]) cluster.stores.addUser(user);
  return cluster;
}

/** Romeo on the first node and Juliet on the other have shown themselves to each other. */
async function friendsOnTwoNodes() {
  const cluster = newCluster(2);
  cluster.stores.befriend(ROMEO, JULIET);
  const [first, doomed] = [cluster.node(0), cluster.node(1)];
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await doomed.login(`${JULIET}/balcony`);
  await first.send(romeo, "<presence/>");
  await doomed.send(juliet, "<presence/>");
  return { cluster, first, doomed, romeo };
}

test("presence and probe of one arrival share their lookups", async () => {
  const cluster = newCluster();
  for (const contact of [JULIET, NURSE]) cluster.stores.befriend(ROMEO, contact);
  const node = cluster.node(0);
  const lookups: string[] = [];
  const { routes } = node;
  const lookup = routes.lookup.bind(routes);
  routes.lookup = (user) => {
    if (lookups.push(user) === 1) setImmediate(() => lookups.push("the turn is over"));
    return lookup(user);
  };
  await node.send(await node.login(`${ROMEO}/orchard`), "<presence/>");
  await cluster.settle();
  const users = [ROMEO, JULIET, NURSE];
  expect(lookups).toEqual([...users, ...users, "the turn is over"]);
});

test("alone, a user's resources see each other, and no routes are read twice for that", async () => {
  const cluster = newCluster(1);
  const node = cluster.node(0);
  Object.assign(node.routes, { isAlone: true });
  const orchard = await node.login(`${ROMEO}/orchard`);
  await node.send(orchard, "<presence/>");
  const street = await node.login(`${ROMEO}/street`);
  await node.send(street, "<presence/>");
  await cluster.settle();
  for (const session of [orchard, street]) {
    const seen = new Set(take(session, "presence").map(brief));
    expect(seen).toEqual(new Set([`presence  ${ROMEO}/orchard`, `presence  ${ROMEO}/street`]));
  }
  await node.drop(street);
  await cluster.settle();
  expect(take(orchard).map(brief)).toEqual([`presence unavailable ${ROMEO}/street`]);
  await node.drop(orchard);
  await cluster.settle();
  expect(node.router.counters.routesReread).toBe(0);
});

describe.each([1, 2])("on %i node(s)", (nodes) => {
  test("contacts see each other come, change and go, and everybody sees themselves", async () => {
    const cluster = newCluster(nodes);
    cluster.stores.befriend(ROMEO, JULIET);
    const [first, last] = [cluster.node(0), cluster.node(nodes - 1)];
    const romeo = await first.login(`${ROMEO}/orchard`);
    await first.send(romeo, "<presence><show>away</show></presence>");
    await cluster.settle();
    expect(take(romeo).map(brief)).toEqual([`presence  ${ROMEO}/orchard`]);

    const juliet = await last.login(`${JULIET}/balcony`);
    await last.send(juliet, "<presence><priority>3</priority></presence>");
    await cluster.settle();
    const seen = take(juliet, "presence");
    expect(seen.map(({ attrs }) => attrs.from).sort()).toEqual([
      `${JULIET}/balcony`,
      `${ROMEO}/orchard`,
    ]);
    expect(seen.find(({ attrs }) => attrs.from === `${ROMEO}/orchard`)?.getChildText("show")).toBe(
      "away",
    );
    expect(one(romeo, "presence").attrs).toMatchObject({
      from: `${JULIET}/balcony`,
      to: `${ROMEO}/orchard`,
    });
    expect(cluster.shared.snapshot(JULIET).routes).toMatchObject([
      { available: true, priority: 3 },
    ]);

    await last.send(juliet, "<presence type='unavailable'><status>good night</status></presence>");
    await cluster.settle();
    const farewell = one(romeo, "presence");
    expect(farewell.attrs.type).toBe("unavailable");
    expect(farewell.getChildText("status")).toBe("good night");
    expect(cluster.shared.snapshot(JULIET).routes).toMatchObject([{ available: false }]);
  });

  test("a session that ends before its first presence is published shows nobody any", async () => {
    const cluster = newCluster(nodes);
    cluster.stores.befriend(ROMEO, JULIET);
    const [first, last] = [cluster.node(0), cluster.node(nodes - 1)];
    const romeo = await first.login(`${ROMEO}/orchard`);
    const juliet = await last.login(`${JULIET}/balcony`);
    await first.send(romeo, "<presence/>");
    await cluster.settle();
    take(romeo);
    void last.send(juliet, "<presence/>");
    await last.drop(juliet);
    await cluster.settle();
    expect(take(romeo).map(brief)).toEqual([]);
    expect(cluster.shared.snapshot(JULIET).routes).toEqual([]);
  });

  test("a connection that breaks makes the user unavailable once, and unbinds", async () => {
    const cluster = newCluster(nodes);
    cluster.stores.befriend(ROMEO, JULIET);
    const [first, last] = [cluster.node(0), cluster.node(nodes - 1)];
    const romeo = await first.login(`${ROMEO}/orchard`);
    const juliet = await last.login(`${JULIET}/balcony`);
    await first.send(romeo, "<presence/>");
    await last.send(juliet, "<presence/>");
    await cluster.settle();
    take(romeo);
    await last.drop(juliet);
    await cluster.settle();
    expect(take(romeo).map(brief)).toEqual([`presence unavailable ${JULIET}/balcony`]);
    expect(cluster.shared.snapshot(JULIET).routes).toEqual([]);
  });

  test("one's own resources see each other", async () => {
    const cluster = newCluster(nodes);
    const [first, last] = [cluster.node(0), cluster.node(nodes - 1)];
    const phone = await first.login(`${ROMEO}/phone`);
    await first.send(phone, "<presence/>");
    await cluster.settle();
    take(phone);
    const desk = await last.login(`${ROMEO}/desk`);
    await last.send(desk, "<presence/>");
    await cluster.settle();
    expect(take(phone).map(brief)).toEqual([`presence  ${ROMEO}/desk`]);
    expect(take(desk).map(brief).sort()).toEqual([
      `presence  ${ROMEO}/desk`,
      `presence  ${ROMEO}/phone`,
    ]);
  });

  test("a whole subscription: asked, kept until login, answered, seen, ended", async () => {
    const cluster = newCluster(nodes);
    const [first, last] = [cluster.node(0), cluster.node(nodes - 1)];
    const romeo = await first.login(`${ROMEO}/orchard`);
    await first.send(romeo, "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    await first.send(romeo, "<presence/>");
    await cluster.settle();
    take(romeo);

    await first.send(romeo, `<presence to='${JULIET}/x' type='subscribe' id='s'/>`);
    await cluster.settle();
    expect(one(romeo, "iq").getChild("query")?.getChild("item")?.attrs).toMatchObject({
      jid: JULIET,
      subscription: "none",
      ask: "subscribe",
    });

    const juliet = await last.login(`${JULIET}/balcony`);
    await last.send(juliet, "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
    expect(one(juliet, "iq").getChild("query")?.children).toEqual([]);
    await last.send(juliet, "<presence/>");
    await cluster.settle();
    const request = take(juliet, "presence").find(({ attrs }) => attrs.type === "subscribe");
    expect(request?.attrs).toMatchObject({ from: ROMEO, to: JULIET });

    await last.send(juliet, `<presence to='${ROMEO}' type='subscribed'/>`);
    await cluster.settle();
    expect(take(romeo).map(brief)).toEqual([
      `presence subscribed ${JULIET}`,
      expect.stringMatching(/^iq set /),
      `presence  ${JULIET}/balcony`,
    ]);
    expect(one(juliet, "iq").getChild("query")?.getChild("item")?.attrs).toMatchObject({
      jid: ROMEO,
      subscription: "from",
    });

    await last.send(juliet, `<presence to='${ROMEO}' type='unsubscribed'/>`);
    await cluster.settle();
    const stanzas = take(romeo).map(brief);
    expect(stanzas).toContain(`presence unsubscribed ${JULIET}`);
    expect(stanzas).toContain(`presence unavailable ${JULIET}/balcony`);
    await last.send(juliet, "<presence><show>dnd</show></presence>");
    await cluster.settle();
    expect(take(romeo)).toEqual([]);
  });

  test("directed presence reaches a stranger, who hears of the end", async () => {
    const cluster = newCluster(nodes);
    const [first, last] = [cluster.node(0), cluster.node(nodes - 1)];
    const romeo = await first.login(`${ROMEO}/orchard`);
    const nurse = await last.login(`${NURSE}/home`);
    await first.send(romeo, "<presence/>");
    await last.send(nurse, "<presence/>");
    await cluster.settle();
    take(nurse);
    await first.send(romeo, `<presence to='${NURSE}/home'/>`);
    expect(one(nurse, "presence").attrs.from).toBe(`${ROMEO}/orchard`);
    await first.send(romeo, "<presence><show>away</show></presence>");
    await cluster.settle();
    expect(take(nurse)).toEqual([]);
    await first.drop(romeo);
    await cluster.settle();
    expect(take(nurse).map(brief)).toEqual([`presence unavailable ${ROMEO}/orchard`]);
  });

  test("a client's probe is answered to subscribers only", async () => {
    const cluster = newCluster(nodes);
    cluster.stores.befriend(ROMEO, JULIET);
    const [first, last] = [cluster.node(0), cluster.node(nodes - 1)];
    const juliet = await last.login(`${JULIET}/balcony`);
    const romeo = await first.login(`${ROMEO}/orchard`);
    const nurse = await first.login(`${NURSE}/home`);
    await last.send(juliet, "<presence/>");
    await cluster.settle();
    await first.send(romeo, `<presence to='${JULIET}' type='probe'/>`);
    await first.send(nurse, `<presence to='${JULIET}' type='probe'/>`);
    await cluster.settle();
    expect(take(romeo).map(brief)).toEqual([`presence  ${JULIET}/balcony`]);
    expect(take(nurse).map(brief)).toEqual([`presence unsubscribed ${JULIET}`]);
  });
});

test("presence of a type that is none is answered to the one who made the mistake", async () => {
  const cluster = newCluster(1);
  const romeo = await cluster.node(0).login(`${ROMEO}/orchard`);
  await cluster.node(0).send(romeo, `<presence to='${JULIET}' type='asleep' id='1'/>`);
  expect(conditionOf(one(romeo, "presence"))).toBe("bad-request");
});

test("a broadcast to many contacts on one node is one frame, and so is a probe", async () => {
  const cluster = newCluster(2);
  const [first, last] = [cluster.node(0), cluster.node(1)];
  const friends = [];
  for (let index = 0; index < 20; index += 1) {
    const friend = `friend${index}@${DOMAIN}`;
    cluster.stores.addUser(friend);
    cluster.stores.befriend(ROMEO, friend);
    const session = await last.login(`${friend}/home`);
    await last.send(session, "<presence/>");
    friends.push(session);
  }
  const romeo = await first.login(`${ROMEO}/orchard`);
  // In etcd they would be looked up together, too.
  await Promise.all(friends.map(({ jid }) => first.routes.lookup(jid.bare)));
  const arriving = first.mesh.frames;
  await first.send(romeo, "<presence/>");
  await cluster.settle();
  expect(first.mesh.frames - arriving).toBe(2); // His presence, and a probe.
  expect(take(romeo, "presence")).toHaveLength(21);
  for (const friend of friends) take(friend);
  const before = first.mesh.frames;
  await first.send(romeo, "<presence><show>away</show></presence>");
  await cluster.settle();
  expect(first.mesh.frames - before).toBe(1);
  for (const friend of friends) expect(one(friend, "presence").attrs.to).toBe(friend.jid.full);
});

test("when a node dies, its sessions go unavailable for all who saw them, exactly once", async () => {
  const cluster = newCluster(3);
  cluster.stores.befriend(ROMEO, JULIET);
  const [first, doomed, third] = [cluster.node(0), cluster.node(1), cluster.node(2)];
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await doomed.login(`${JULIET}/balcony`);
  const phone = await third.login(`${JULIET}/phone`);
  await first.send(romeo, "<presence/>");
  await doomed.send(juliet, "<presence/>");
  await third.send(phone, "<presence/>");
  await cluster.settle();
  take(romeo);
  take(phone);
  cluster.kill(doomed);
  cluster.expire(doomed);
  await cluster.settle();
  // They may go on elsewhere for a while.
  cluster.clock.advance(3_999);
  await cluster.settle();
  expect([...take(romeo), ...take(phone)]).toEqual([]);
  cluster.clock.advance(1);
  await cluster.settle();
  expect(take(romeo).map(brief)).toEqual([`presence unavailable ${JULIET}/balcony`]);
  expect(take(phone).map(brief)).toEqual([`presence unavailable ${JULIET}/balcony`]);
  cluster.expire(doomed);
  cluster.clock.advance(4_000);
  await cluster.settle();
  expect(take(romeo)).toEqual([]);
});

test("who said that he is gone, or is back, before the end of the grace is not told gone", async () => {
  const { cluster, first, doomed, romeo } = await friendsOnTwoNodes();
  await cluster.settle();
  take(romeo);
  cluster.kill(doomed);
  cluster.expire(doomed);
  const back = await first.login(`${JULIET}/balcony`);
  await first.send(back, "<presence><show>chat</show></presence>");
  cluster.clock.advance(4_000);
  await cluster.settle();
  expect(take(romeo).map(brief)).toEqual([`presence  ${JULIET}/balcony`]);
});

test("routes that cannot be read at the end of the grace are read later", async () => {
  const { cluster, doomed, romeo } = await friendsOnTwoNodes();
  await cluster.settle();
  take(romeo);
  cluster.kill(doomed);
  cluster.expire(doomed);
  cluster.shared.isAway = true;
  cluster.clock.advance(4_000);
  await cluster.settle();
  expect(take(romeo)).toEqual([]);
  cluster.shared.isAway = false;
  cluster.clock.advance(1_000);
  await cluster.settle();
  expect(take(romeo).map(brief)).toEqual([`presence unavailable ${JULIET}/balcony`]);
});

test("a session that says nothing of it sees no ghost when it comes back to itself", async () => {
  const { cluster, first, doomed, romeo } = await friendsOnTwoNodes();
  await first.send(romeo, "<presence type='unavailable'/>");
  await cluster.settle();
  take(romeo);
  cluster.kill(doomed);
  cluster.expire(doomed);
  cluster.clock.advance(4_000);
  await cluster.settle();
  expect(take(romeo)).toEqual([]);
});

test("a node taken for dead that comes back shows its sessions again", async () => {
  const cluster = newCluster(2);
  cluster.stores.befriend(ROMEO, JULIET);
  const [first, cut] = [cluster.node(0), cluster.node(1)];
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await cut.login(`${JULIET}/balcony`);
  await first.send(romeo, "<presence/>");
  await cut.send(juliet, "<presence/>");
  await cluster.settle();
  take(romeo);
  const record = first.routes.nodes.get(cut.name);
  if (record === undefined) throw new Error("the node is known");
  first.routes.forget(cut.name);
  // Nobody goes on with its sessions: their routes are gone with its lease.
  const { routes } = cluster.shared.snapshot(JULIET);
  cluster.shared.expire(cut.name);
  first.router.onNodeDown(record);
  cluster.clock.advance(4_000);
  await cluster.settle();
  expect(one(romeo, "presence").attrs.type).toBe("unavailable");
  // A late word of the cut-off node makes no ghost.
  await cut.send(juliet, "<presence><show>away</show></presence>");
  await cluster.settle();
  expect(take(romeo)).toEqual([]);
  first.routes.nodes.set(cut.name, record);
  first.router.onNodeUp(record);
  for (const route of routes) cluster.shared.put(route);
  cut.router.onLeaseRegained();
  await cluster.settle();
  expect(one(romeo, "presence").getChildText("show")).toBe("away");
});

test("a priority that is none is refused, and changes nothing", async () => {
  const cluster = newCluster(1);
  const first = cluster.node(0);
  const romeo = await first.login(`${ROMEO}/orchard`);
  for (const [said, meant] of [
    ["-128", -128],
    ["127", 127],
    ["128", 127],
    [" 7 ", 7],
    ["1e1", 7],
    ["", 7],
  ] as const) {
    await first.send(romeo, `<presence><priority>${said}</priority></presence>`);
    expect(cluster.shared.snapshot(ROMEO).routes[0]?.priority).toBe(meant);
  }
});

test("more directed presence than allowed is not sent", async () => {
  const cluster = new Cluster({ nodes: 1, options: { presence: { directedMax: 1 } } });
  for (const user of [ROMEO, JULIET, NURSE]) cluster.stores.addUser(user);
  const first = cluster.node(0);
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await first.login(`${JULIET}/balcony`);
  const nurse = await first.login(`${NURSE}/home`);
  await first.send(romeo, `<presence to='${JULIET}/balcony'/>`);
  await first.send(romeo, `<presence to='${NURSE}/home'/>`);
  expect(take(juliet)).toHaveLength(1);
  expect(take(nurse)).toHaveLength(0);
  await first.send(romeo, `<presence to='${JULIET}/balcony' type='unavailable'/>`);
  await first.send(romeo, `<presence to='${NURSE}/home'/>`);
  expect(take(nurse)).toHaveLength(1);
});
