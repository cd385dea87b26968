/** What is told again, because nobody can be sure that it was heard, and what is not. */
import { expect, test } from "vitest";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { brief, take } from "../testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const NURSE = `nurse@${DOMAIN}`;
/** The least that can be set. */
const SEEN_MAX = 100;

function newCluster(presence = {}) {
  const cluster = new Cluster({ nodes: 2, options: { presence } });
  for (const user of [ROMEO, JULIET, NURSE]) cluster.stores.addUser(user);
  cluster.stores.befriend(ROMEO, JULIET);
  cluster.stores.befriend(ROMEO, NURSE);
  return { cluster, first: cluster.node(0), second: cluster.node(1) };
}

test("who came, changed or went while nodes could not reach each other is told when they can", async () => {
  const { cluster, first, second } = newCluster();
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await second.login(`${JULIET}/balcony`);
  const phone = await second.login(`${JULIET}/phone`);
  for (const session of [juliet, phone]) await second.send(session, "<presence/>");
  await first.send(romeo, "<presence/>");
  await cluster.settle();
  for (const session of [romeo, juliet, phone]) take(session);
  Object.assign(cluster.losses, { request: 1, inARowMax: Number.POSITIVE_INFINITY });
  const nurse = await second.login(`${NURSE}/home`);
  await second.send(nurse, "<presence/>");
  await second.send(juliet, "<presence><show>dnd</show></presence>");
  await second.drop(phone);
  await cluster.settle();
  expect(take(romeo)).toEqual([]);
  expect(take(nurse).map(brief)).toEqual([`presence  ${NURSE}/home`]);
  // It is tried in vain, and then not.
  cluster.clock.advance(5_000);
  await cluster.settle();
  expect(take(romeo)).toEqual([]);
  cluster.losses.request = 0;
  cluster.clock.advance(10_000);
  await cluster.settle();
  expect(take(romeo).map(brief).sort()).toEqual([
    `presence  ${JULIET}/balcony`,
    `presence  ${NURSE}/home`,
    `presence unavailable ${JULIET}/phone`,
  ]);
  expect(take(nurse).map(brief)).toEqual([`presence  ${ROMEO}/orchard`]);
  cluster.clock.advance(60_000);
  await cluster.settle();
  expect(take(romeo)).toEqual([]);
});

test("who was not shown a session does not see it go", async () => {
  const { cluster, first, second } = newCluster();
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await second.login(`${JULIET}/balcony`);
  await first.send(romeo, "<presence/>");
  await second.send(juliet, "<presence/>");
  await cluster.settle();
  await second.drop(juliet);
  expect(take(romeo).map(brief)).toContain(`presence unavailable ${JULIET}/balcony`);
  Object.assign(cluster.losses, { request: 1, inARowMax: Number.POSITIVE_INFINITY });
  const unheard = await second.login(`${JULIET}/balcony`);
  await second.send(unheard, "<presence/>");
  await cluster.settle();
  cluster.losses.request = 0;
  await second.drop(unheard);
  cluster.clock.advance(60_000);
  await cluster.settle();
  expect(take(romeo)).toEqual([]);
  // What its client itself says to somebody goes there as it is.
  const shy = await second.login(`${JULIET}/balcony`);
  await second.send(shy, `<presence to='${ROMEO}/orchard' type='unavailable'/>`);
  expect(take(romeo).map(brief)).toEqual([`presence unavailable ${JULIET}/balcony`]);
});

test("of whom more is seen than is remembered, each is seen to go", async () => {
  const { cluster, first, second } = newCluster({ seenMax: SEEN_MAX });
  const juliet = await second.login(`${JULIET}/balcony`);
  await second.send(juliet, "<presence/>");
  const sessions = [];
  for (let place = 0; place <= SEEN_MAX; place += 1) {
    const session = await first.login(`${ROMEO}/${place}`);
    await first.send(session, "<presence/>");
    sessions.push(session);
  }
  await cluster.settle();
  take(juliet);
  for (const session of sessions) await first.drop(session);
  await cluster.settle();
  const gone = sessions.map((_, place) => `presence unavailable ${ROMEO}/${place}`);
  expect(take(juliet).map(brief).sort()).toEqual(gone.sort());
});

test("no more is remembered of what others may have missed than allowed", async () => {
  const { cluster, first, second } = newCluster({ untoldMax: 1 });
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await second.login(`${JULIET}/balcony`);
  const nurse = await second.login(`${NURSE}/home`);
  for (const session of [juliet, nurse]) await second.send(session, "<presence/>");
  await first.send(romeo, "<presence/>");
  await cluster.settle();
  take(romeo);
  Object.assign(cluster.losses, { request: 1, inARowMax: Number.POSITIVE_INFINITY });
  await second.drop(juliet);
  await second.drop(nurse);
  cluster.losses.request = 0;
  cluster.clock.advance(5_000);
  await cluster.settle();
  expect(take(romeo).map(brief)).toHaveLength(1);
});
