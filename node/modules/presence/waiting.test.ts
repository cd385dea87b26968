/** Presence of who arrives, or goes, while etcd or the store is away. */
import { expect, test } from "vitest";
import { Unavailable } from "../../base/errors.ts";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { brief, conditionOf, one, take } from "../testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const NURSE = `nurse@${DOMAIN}`;

/** Romeo and his contact Juliet, who sees whom she is shown; he is logged in, and has said nothing. */
async function romeoArrives() {
  const cluster = new Cluster({ nodes: 2 });
  for (const user of [ROMEO, JULIET, NURSE]) cluster.stores.addUser(user);
  cluster.stores.befriend(ROMEO, JULIET);
  const [first, last] = [cluster.node(0), cluster.node(1)];
  const juliet = await last.login(`${JULIET}/balcony`);
  await last.send(juliet, "<presence/>");
  const romeo = await first.login(`${ROMEO}/orchard`);
  await cluster.settle();
  take(juliet);
  const pass = async (ms: number) => {
    cluster.clock.advance(ms);
    await cluster.settle();
  };
  const away = new Unavailable("store-timeout", "Cannot read the roster: no answer");
  return { cluster, first, last, romeo, juliet, pass, away };
}

test("presence that cannot be published is, as soon as etcd answers again", async () => {
  const { cluster, first, romeo, juliet, pass } = await romeoArrives();
  cluster.shared.isAway = true;
  await first.send(romeo, "<presence><show>away</show></presence>");
  await pass(1_000);
  expect(romeo.closedWith).toBeUndefined();
  expect(take(juliet)).toEqual([]);
  cluster.shared.isAway = false;
  await pass(1_000);
  expect(one(juliet, "presence").getChildText("show")).toBe("away");
  expect(take(romeo, "presence").map(brief).sort()).toEqual([
    `presence  ${JULIET}/balcony`,
    `presence  ${ROMEO}/orchard`,
  ]);
  await pass(60_000);
  expect([...take(romeo), ...take(juliet)]).toEqual([]);
});

test("who arrives while no roster can be read may write, and is written to afterwards", async () => {
  const { cluster, first, last, romeo, juliet, pass, away } = await romeoArrives();
  cluster.stores.fail("rosters", away);
  await first.send(romeo, "<presence/>");
  await first.send(romeo, `<message to='${JULIET}' type='chat'><body>Soft!</body></message>`);
  await cluster.settle();
  expect(one(juliet, "message").getChildText("body")).toBe("Soft!");
  await last.send(juliet, `<message to='${ROMEO}' type='chat'><body>Ay me!</body></message>`);
  await pass(1_000);
  expect(take(romeo)).toEqual([]); // Whom he has blocked is not known yet.
  cluster.stores.fail("rosters", undefined);
  await pass(1_000);
  expect(take(romeo, "message").map((got) => got.getChildText("body"))).toEqual(["Ay me!"]);
  expect(one(juliet, "presence").attrs.from).toBe(`${ROMEO}/orchard`);
});

test("of presence that waits for the store the last word counts", async () => {
  const { cluster, first, romeo, juliet, pass, away } = await romeoArrives();
  cluster.stores.fail("rosters", away);
  await first.send(romeo, "<presence><show>away</show></presence>");
  await first.send(romeo, "<presence><show>dnd</show></presence>");
  await pass(500);
  cluster.stores.fail("rosters", undefined);
  await pass(3_000);
  expect(one(juliet, "presence").getChildText("show")).toBe("dnd");

  cluster.shared.isAway = true;
  await first.send(romeo, "<presence type='unavailable'/>");
  await pass(1_000);
  cluster.shared.isAway = false;
  await pass(1_000);
  expect(one(juliet, "presence").attrs.type).toBe("unavailable");
  expect(cluster.shared.snapshot(ROMEO).routes).toMatchObject([{ available: false }]);
});

test("who goes unavailable before the store is back was never seen", async () => {
  const { cluster, first, last, romeo, juliet, pass, away } = await romeoArrives();
  cluster.stores.fail("rosters", away);
  await first.send(romeo, "<presence/>");
  await first.send(romeo, "<presence type='unavailable'/>");
  cluster.stores.fail("rosters", undefined);
  await pass(3_000);
  expect(take(juliet)).toEqual([]);
  const to = romeo.jid.full;
  await last.send(juliet, `<message to='${to}' type='chat'><body>Ay me!</body></message>`);
  await cluster.settle();
  expect(one(romeo, "message").getChildText("body")).toBe("Ay me!");
});

test("who asks to see somebody while the store is away is told to ask later", async () => {
  const { cluster, first, romeo, away } = await romeoArrives();
  cluster.stores.fail("rosters", away);
  await first.send(romeo, `<presence to='${NURSE}' type='subscribe' id='s'/>`);
  await cluster.settle();
  expect(conditionOf(one(romeo, "presence"))).toBe("resource-constraint");
});

test("a request that was lost before the contact had it is made again at the next arrival", async () => {
  const { cluster, first, last } = await romeoArrives();
  const nurse = await last.login(`${NURSE}/chamber`);
  await last.send(nurse, "<presence/>");
  await cluster.settle();
  take(nurse);
  const about = { contact: NURSE, name: "", groups: [], pendingIn: undefined, listed: true };
  const asked = { ...about, to: false, from: false, ask: true, approved: false };
  cluster.stores.rosters.get(ROMEO)?.set(NURSE, asked);
  for (const resource of ["garden", "cell"]) {
    await first.send(await first.login(`${ROMEO}/${resource}`), "<presence/>");
    await cluster.settle();
  }
  const [request, ...others] = take(nurse);
  expect(request?.attrs).toMatchObject({ type: "subscribe", from: ROMEO });
  expect(others).toEqual([]);
});
