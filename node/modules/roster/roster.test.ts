import { describe, expect, test } from "vitest";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { brief, conditionOf, one, take } from "../testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const NS = "jabber:iq:roster";

function newCluster(options: Record<string, unknown> = {}) {
  const cluster = new Cluster({ nodes: 2, options: { roster: options } });
  cluster.stores.addUser(ROMEO);
  cluster.stores.addUser(JULIET);
  return cluster;
}

const get = (ver?: string) =>
  `<iq type='get' id='g'><query xmlns='${NS}'${ver === undefined ? "" : ` ver='${ver}'`}/></iq>`;
const set = (items: string) => `<iq type='set' id='s'><query xmlns='${NS}'>${items}</query></iq>`;

test("a set is pushed to interested resources on every node, and to no other", async () => {
  const cluster = newCluster();
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const desk = await first.login(`${ROMEO}/desk`);
  const phone = await second.login(`${ROMEO}/phone`);
  const bot = await second.login(`${ROMEO}/bot`);
  await first.send(desk, get());
  await second.send(phone, get());
  await cluster.settle();
  take(desk);
  take(phone);
  await first.send(
    desk,
    set(`<item jid='${JULIET}/x' name='J'><group>Loves</group><group>A&amp;B</group></item>`),
  );
  await cluster.settle();
  for (const session of [desk, phone]) {
    const push = take(session, "iq").find(({ attrs }) => attrs.type === "set");
    expect(push?.attrs).toMatchObject({ from: ROMEO, to: session.jid.full });
    const query = push?.getChild("query", NS);
    expect(query?.attrs.ver).toBe("1");
    const item = query?.getChild("item");
    expect(item?.attrs).toEqual({ jid: JULIET, name: "J", subscription: "none" });
    expect(item?.getChildren("group").map((group) => group.getText())).toEqual(["Loves", "A&B"]);
  }
  expect(take(bot)).toEqual([]);
});

test("a client that has the newest version gets an empty result, another the whole roster", async () => {
  const cluster = newCluster();
  const first = cluster.node(0);
  const romeo = await first.login(`${ROMEO}/desk`);
  await first.send(romeo, get(""));
  expect(one(romeo, "iq").getChild("query")?.attrs.ver).toBe("");
  await first.send(romeo, set(`<item jid='${JULIET}'/>`));
  await cluster.settle();
  take(romeo);
  await first.send(romeo, get("1"));
  expect(one(romeo, "iq").children).toEqual([]);
  await first.send(romeo, get("0"));
  const query = one(romeo, "iq").getChild("query");
  expect(query?.attrs.ver).toBe("1");
  expect(query?.getChildren("item")).toHaveLength(1);
});

test("removing a contact ends both subscriptions and tells the contact", async () => {
  const cluster = newCluster();
  cluster.stores.befriend(ROMEO, JULIET);
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const romeo = await first.login(`${ROMEO}/desk`);
  const juliet = await second.login(`${JULIET}/balcony`);
  for (const [node, session] of [
    [first, romeo],
    [second, juliet],
  ] as const) {
    await node.send(session, get());
    await node.send(session, "<presence/>");
  }
  await cluster.settle();
  take(romeo);
  take(juliet);
  await first.send(romeo, set(`<item jid='${JULIET}' subscription='remove'/>`));
  await cluster.settle();
  const seen = take(juliet).map(brief);
  expect(seen).toContain(`presence unsubscribe ${ROMEO}`);
  expect(seen).toContain(`presence unsubscribed ${ROMEO}`);
  expect(seen).toContain(`presence unavailable ${ROMEO}/desk`);
  expect(take(romeo).map(brief)).toContain(`presence unavailable ${JULIET}/balcony`);
  expect(cluster.stores.rosters.get(ROMEO)?.size).toBe(0);
  const item = cluster.stores.rosters.get(JULIET)?.get(ROMEO);
  expect(item).toMatchObject({ to: false, from: false, listed: true });
});

test("a request that waits for an answer is not in the roster", async () => {
  const cluster = newCluster();
  const first = cluster.node(0);
  const romeo = await first.login(`${ROMEO}/desk`);
  await first.send(romeo, `<presence to='${JULIET}' type='subscribe'/>`);
  await cluster.settle();
  expect(cluster.stores.rosters.get(JULIET)?.get(ROMEO)?.pendingIn).toBeInstanceOf(Buffer);
  const juliet = await first.login(`${JULIET}/balcony`);
  await first.send(juliet, get());
  expect(one(juliet, "iq").getChild("query")?.children).toEqual([]);
});

describe("what is refused", () => {
  const long = "x".repeat(1_100);
  test.each([
    ["no item", "", "bad-request"],
    ["two items", `<item jid='a@b'/><item jid='c@d'/>`, "bad-request"],
    ["no address", "<item/>", "bad-request"],
    ["an address that is none", "<item jid='@'/>", "bad-request"],
    ["a long name", `<item jid='a@b' name='${long}'/>`, "not-acceptable"],
    ["an empty group", "<item jid='a@b'><group/></item>", "not-acceptable"],
    ["a long group", `<item jid='a@b'><group>${long}</group></item>`, "not-acceptable"],
    ["a group twice", "<item jid='a@b'><group>g</group><group>g</group></item>", "bad-request"],
    ["oneself", `<item jid='${ROMEO}'/>`, "not-allowed"],
    ["removing a stranger", "<item jid='a@b' subscription='remove'/>", "item-not-found"],
  ])("%s", async (_, items, condition) => {
    const cluster = newCluster();
    const romeo = await cluster.node(0).login(`${ROMEO}/desk`);
    await cluster.node(0).send(romeo, set(items));
    expect(conditionOf(one(romeo, "iq"))).toBe(condition);
    expect(cluster.stores.rosters.get(ROMEO)).toBeUndefined();
  });

  test("more contacts than allowed, but not a change of one that is there", async () => {
    const cluster = newCluster({ itemsMax: 1 });
    const first = cluster.node(0);
    const romeo = await first.login(`${ROMEO}/desk`);
    await first.send(romeo, set("<item jid='a@b'/>"));
    take(romeo);
    await first.send(romeo, set("<item jid='c@d'/>"));
    expect(conditionOf(one(romeo, "iq"))).toBe("resource-constraint");
    await first.send(romeo, set("<item jid='a@b' name='again'/>"));
    expect(one(romeo, "iq").attrs.type).toBe("result");
  });

  test("somebody else's roster", async () => {
    const cluster = newCluster();
    const romeo = await cluster.node(0).login(`${ROMEO}/desk`);
    const query = `<query xmlns='${NS}'/>`;
    await cluster.node(0).send(romeo, `<iq to='${JULIET}' type='get' id='1'>${query}</iq>`);
    expect(conditionOf(one(romeo, "iq"))).toBe("forbidden");
  });
});

test("a roster push that a client makes up reaches nobody as one", async () => {
  const cluster = newCluster();
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const romeo = await first.login(`${ROMEO}/desk`);
  cluster.stores.befriend(ROMEO, JULIET);
  const juliet = await second.login(`${JULIET}/balcony`);
  await second.send(juliet, get());
  await second.send(juliet, "<presence/>");
  await cluster.settle();
  take(juliet);
  const item = `<item jid='evil@${DOMAIN}' subscription='both'/>`;
  await first.send(
    romeo,
    `<iq to='${JULIET}/balcony' from='${JULIET}' type='set' id='1'><query xmlns='${NS}'>${item}</query></iq>`,
  );
  // It arrives as what it is: a request of Romeo's, which her client refuses.
  expect(one(juliet, "iq").attrs.from).toBe(`${ROMEO}/desk`);
});
