import { expect, test } from "vitest";
import { el } from "../xml/element.ts";
import type { TestSession } from "./testing/client.ts";
import { Cluster, DOMAIN } from "./testing/cluster.ts";
import { brief, take } from "./testing/read.ts";
import { seeded } from "./testing/weather.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const CHAT_STATES = "http://jabber.org/protocol/chatstates";

/** Juliet is inactive, Romeo is her contact on another node. */
async function scene(options: Record<string, unknown> = {}) {
  const cluster = new Cluster({ nodes: 2, options });
  for (const user of [ROMEO, JULIET]) cluster.stores.addUser(user);
  cluster.stores.befriend(ROMEO, JULIET);
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await second.login(`${JULIET}/balcony`);
  const say = async (xml: string, session: TestSession = romeo) => {
    await (session === romeo ? first : second).send(session, xml);
    await cluster.settle();
  };
  await say("<presence/>");
  await say("<presence/>", juliet);
  const state = (isActive: boolean) => second.router.onClientState(juliet, isActive);
  take(juliet);
  state(false);
  return { cluster, first, second, romeo, juliet, say, state };
}

const typing = (state: string, to = JULIET) =>
  `<message to='${to}' type='chat' id='${state}'><${state} xmlns='${CHAT_STATES}'/></message>`;

const event = (id: string) =>
  `<message to='${JULIET}' type='headline' id='${id}'>` +
  "<event xmlns='http://jabber.org/protocol/pubsub#event'/></message>";

test("presence and chat states wait, and only the last of each is sent", async () => {
  const { juliet, say, state } = await scene();
  await say("<presence id='p1'><show>away</show></presence>");
  await say(typing("composing"));
  await say("<presence id='p2'><show>dnd</show></presence>");
  await say(typing("paused"));
  expect(take(juliet)).toEqual([]);
  state(true);
  expect(take(juliet).map(brief)).toEqual([
    `presence  ${ROMEO}/orchard p2`,
    `message chat ${ROMEO}/orchard paused`,
  ]);
  await say("<presence id='p3'/>");
  expect(take(juliet).map(brief)).toEqual([`presence  ${ROMEO}/orchard p3`]);
});

test("what is important brings along what waited, in order, and the client stays inactive", async () => {
  const { juliet, say } = await scene();
  await say(typing("composing"));
  await say("<presence id='p1'/>");
  await say(`<message to='${JULIET}' type='chat' id='m1'><body>hi</body></message>`);
  expect(take(juliet).map(brief)).toEqual([
    `message chat ${ROMEO}/orchard composing`,
    `presence  ${ROMEO}/orchard p1`,
    `message chat ${ROMEO}/orchard m1`,
  ]);
  await say("<presence id='p2'/>");
  expect(take(juliet)).toEqual([]);
});

test.each([
  ["a request", `<iq to='${JULIET}/balcony' type='get' id='i'><ping xmlns='urn:xmpp:ping'/></iq>`],
  ["an error", `<message to='${JULIET}/balcony' type='error' id='i'/>`],
  [
    "a receipt",
    `<message to='${JULIET}' id='i'><received xmlns='urn:xmpp:receipts' id='1'/></message>`,
  ],
  [
    "a chat state with a body",
    `<message to='${JULIET}' id='i'><active xmlns='${CHAT_STATES}'/><body>x</body></message>`,
  ],
  ["an announcement", `<message to='${JULIET}' type='headline' id='i'><body>x</body></message>`],
  ["an empty message", `<message to='${JULIET}' id='i'/>`],
])("%s does not wait", async (_what, xml) => {
  const { juliet, say } = await scene();
  await say(xml);
  expect(take(juliet).map(({ attrs }) => attrs.id)).toEqual(["i"]);
});

test("events wait, every one of them; so does a carbon of a chat state", async () => {
  const { juliet, say, state } = await scene();
  const carbon = (content: string) =>
    `<message to='${JULIET}' id='c'><received xmlns='urn:xmpp:carbons:2'>` +
    `<forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client'>${content}</message>` +
    "</forwarded></received></message>";
  await say(event("h1"));
  await say(event("h2"));
  await say(carbon(`<composing xmlns='${CHAT_STATES}'/>`));
  expect(take(juliet)).toEqual([]);
  state(true);
  expect(take(juliet).map(({ attrs }) => attrs.id)).toEqual(["h1", "h2", "c"]);
  state(false);
  await say(carbon("<body>hi</body>"));
  expect(take(juliet).map(({ attrs }) => attrs.id)).toEqual(["c"]);
});

test("no more waits than the configuration allows", async () => {
  const { juliet, say } = await scene({ csi: { stanzasMax: 2 } });
  for (const id of ["h1", "h2"]) {
    await say(event(id));
  }
  expect(take(juliet)).toEqual([]);
  await say(event("h3"));
  expect(take(juliet).map(({ attrs }) => attrs.id)).toEqual(["h1", "h2", "h3"]);
});

test("no more bytes wait than the configuration allows", async () => {
  const { juliet, say } = await scene({ csi: { bytesMax: 1_024 } });
  await say(`<presence id='p'><status>${"x".repeat(2_000)}</status></presence>`);
  expect(take(juliet).map(({ attrs }) => attrs.id)).toEqual(["p"]);
});

test("a contact whose node dies is not shown as available by what waited", async () => {
  const { cluster, first, juliet, say, state } = await scene();
  await say("<presence id='p1'/>");
  cluster.kill(first);
  cluster.expire(first);
  cluster.clock.advance(4_000);
  await cluster.settle();
  expect(take(juliet)).toEqual([]);
  state(true);
  expect(take(juliet).map(brief)).toEqual([`presence unavailable ${ROMEO}/orchard`]);
});

test("saying it twice changes nothing", async () => {
  const { juliet, say, state } = await scene();
  await say("<presence id='p1'/>");
  state(false);
  state(true);
  state(true);
  expect(take(juliet).map(({ attrs }) => attrs.id)).toEqual(["p1"]);
});

test("a session may begin inactive, along with the binding of its resource", async () => {
  const { second, juliet, say, state } = await scene();
  state(true);
  const csi = second.inline.find(({ ns }) => ns === "urn:xmpp:csi:0");
  expect(await csi?.enable(juliet, el("active"))).toBeUndefined();
  await say("<presence id='p1'/>");
  expect(take(juliet).map(brief)).toEqual([`presence  ${ROMEO}/orchard p1`]);
  expect(await csi?.enable(juliet, el("inactive"))).toBeUndefined();
  await say("<presence id='p2'/>");
  expect(take(juliet)).toEqual([]);
  state(true);
  expect(take(juliet).map(brief)).toEqual([`presence  ${ROMEO}/orchard p2`]);
});

/** What a client knows when a message comes: the newest presence before it. */
function storyOf(ids: readonly string[]): string[] {
  let presence = "";
  const story: string[] = [];
  for (const id of ids) {
    if (id.startsWith("p")) presence = id;
    if (id.startsWith("m")) story.push(`${presence} ${id}`);
  }
  return [...story, presence];
}

test.each(Array.from({ length: 30 }, (_, seed) => seed + 1))(
  "whatever comes, an inactive client knows with each message what an active one would (seed %i)",
  async (seed) => {
    const { cluster, juliet, say, state } = await scene({ csi: { stanzasMax: 5 } });
    const fraction = seeded(seed);
    const sent: string[] = [];
    for (let step = 0; step < 40; step += 1) {
      const dice = fraction();
      if (dice < 0.4) {
        sent.push(`p${step}`);
        await say(`<presence id='p${step}'/>`);
      } else if (dice < 0.6) {
        sent.push(`m${step}`);
        await say(`<message to='${JULIET}' type='chat' id='m${step}'><body>x</body></message>`);
      } else if (dice < 0.8) await say(typing("composing"));
      else if (dice < 0.9) await say(event(`e${step}`));
      else state(fraction() < 0.5);
    }
    state(true);
    await cluster.settle();
    const got = take(juliet).map(({ attrs }) => String(attrs.id));
    expect(storyOf(got)).toEqual(storyOf(sent));
  },
);
