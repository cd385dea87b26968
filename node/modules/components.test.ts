/** External components (XEP-0114) in a cluster: found from every node, and contacts like any other. */
import { describe, expect, test } from "vitest";
import type { Envelope } from "../stanza/contract.ts";
import { Cluster, DOMAIN } from "./testing/cluster.ts";
import type { TestComponent } from "./testing/component.ts";
import { conditionOf, one, take } from "./testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const ICQ = `icq.${DOMAIN}`;
const CONTACT = `1234@${ICQ}`;

const brief = ({ kind, type, from, to }: Envelope) => `${kind} ${type} ${from.full} ${to.full}`;
const takeAll = (component: TestComponent) => component.received.splice(0);
const idsOf = (component: TestComponent) => takeAll(component).map(({ id }) => id);

async function start(nodes: number) {
  const cluster = new Cluster({ nodes, components: [ICQ] });
  cluster.stores.addUser(ROMEO);
  const first = cluster.node(0);
  const last = cluster.node(nodes - 1);
  const romeo = await first.login(`${ROMEO}/orchard`);
  return { cluster, first, last, romeo };
}

/** With what came so far put aside. */
async function startConnected(nodes: number) {
  const started = await start(nodes);
  const { cluster, first, last, romeo } = started;
  const icq = await last.connect(ICQ);
  await first.send(romeo, "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>");
  await first.send(romeo, "<presence/>");
  await cluster.settle();
  take(romeo);
  takeAll(icq);
  return { ...started, icq };
}

describe.each([1, 3])("on %i node(s)", (nodes) => {
  test("every kind of stanza reaches the component, whatever address of it is meant", async () => {
    const { cluster, first, romeo, icq } = await startConnected(nodes);
    await first.send(romeo, `<message to='${ICQ}' id='1'/>`);
    await first.send(romeo, `<message to='${CONTACT}' type='chat' id='2'/>`);
    await first.send(romeo, `<iq to='${CONTACT}' type='get' id='3'><q xmlns='urn:x'/></iq>`);
    await first.send(romeo, `<iq to='${ICQ}' type='set' id='4'><q xmlns='urn:x'/></iq>`);
    await first.send(romeo, `<presence to='room@${ICQ}/nick' id='5'/>`);
    await cluster.settle();
    expect(takeAll(icq).map(brief)).toEqual([
      `message normal ${ROMEO}/orchard ${ICQ}`,
      `message chat ${ROMEO}/orchard ${CONTACT}`,
      `iq get ${ROMEO}/orchard ${CONTACT}`,
      `iq set ${ROMEO}/orchard ${ICQ}`,
      `presence available ${ROMEO}/orchard room@${ICQ}/nick`,
    ]);
    expect(romeo.received).toEqual([]);
  });

  test("what the component sends reaches users, the server and itself", async () => {
    const { cluster, last, romeo, icq } = await startConnected(nodes);
    await last.sendFrom(icq, `<message from='${CONTACT}' to='${ROMEO}' type='chat' id='1'/>`);
    expect(one(romeo, "message").attrs).toMatchObject({ from: CONTACT, to: ROMEO, id: "1" });
    await last.sendFrom(
      icq,
      `<iq from='${ICQ}' to='${DOMAIN}' type='get' id='2'><ping xmlns='urn:xmpp:ping'/></iq>`,
    );
    await cluster.settle();
    expect(takeAll(icq).map(brief)).toEqual([`iq result ${DOMAIN} ${ICQ}`]);
    await last.sendFrom(icq, `<message from='${CONTACT}' to='5678@${ICQ}' id='3'/>`);
    expect(idsOf(icq)).toEqual(["3"]);
  });

  test("a message for a user who is away is stored", async () => {
    const { cluster, first, last, icq, romeo } = await startConnected(nodes);
    await first.drop(romeo);
    await last.sendFrom(
      icq,
      `<message from='${CONTACT}' to='${ROMEO}' type='chat' id='1'><body>hi</body></message>`,
    );
    const again = await first.login(`${ROMEO}/garden`);
    await first.send(again, "<presence/>");
    await cluster.settle();
    expect(one(again, "message").attrs).toMatchObject({ from: CONTACT, id: "1" });
  });

  test("what it must not send comes back to it", async () => {
    const { cluster, last, icq } = await startConnected(nodes);
    const refusedWith = async (xml: string) => {
      await last.sendFrom(icq, xml);
      await cluster.settle();
      const [answer] = takeAll(icq);
      return answer && conditionOf(answer.element());
    };
    expect(await refusedWith(`<message from='${ICQ}' id='1'/>`)).toBe("bad-request");
    expect(await refusedWith(`<message from='${ICQ}' to='@' id='2'/>`)).toBe("jid-malformed");
    expect(await refusedWith(`<iq from='${ICQ}' to='${DOMAIN}' type='get'/>`)).toBe("bad-request");
    expect(await refusedWith(`<message from='${ICQ}' to='a@other.example' id='3'/>`)).toBe(
      "remote-server-not-found",
    );
    expect(await refusedWith(`<message from='${ICQ}' to='nobody@${DOMAIN}' id='4'/>`)).toBe(
      "service-unavailable",
    );
  });

  test("subscriptions go both ways, and presence follows", async () => {
    const { cluster, first, last, romeo, icq } = await startConnected(nodes);
    await first.send(romeo, `<presence to='${CONTACT}' type='subscribe'/>`);
    await cluster.settle();
    expect(takeAll(icq).map(brief)).toEqual([`presence subscribe ${ROMEO} ${CONTACT}`]);
    await last.sendFrom(icq, `<presence from='${CONTACT}' to='${ROMEO}' type='subscribed'/>`);
    await last.sendFrom(icq, `<presence from='${CONTACT}' to='${ROMEO}' type='subscribe'/>`);
    await cluster.settle();
    expect(take(romeo, "presence").map(({ attrs }) => attrs.type)).toEqual([
      "subscribed",
      "subscribe",
    ]);
    await first.send(romeo, `<presence to='${CONTACT}' type='subscribed'/>`);
    await cluster.settle();
    expect(takeAll(icq).map(brief)).toEqual([
      `presence subscribed ${ROMEO} ${CONTACT}`,
      `presence available ${ROMEO}/orchard ${CONTACT}`,
    ]);
    await first.drop(romeo);
    await cluster.settle();
    expect(takeAll(icq).map(brief)).toEqual([`presence unavailable ${ROMEO}/orchard ${CONTACT}`]);
  });

  test("a contact at a component is probed at login, and its own probes are answered", async () => {
    const { cluster, first, last, icq } = await startConnected(nodes);
    cluster.stores.befriend(ROMEO, CONTACT);
    const phone = await first.login(`${ROMEO}/phone`);
    await first.send(phone, "<presence><show>away</show></presence>");
    await cluster.settle();
    expect(takeAll(icq).map(brief).toSorted()).toEqual([
      `presence available ${ROMEO}/phone ${CONTACT}`,
      `presence probe ${ROMEO}/phone ${CONTACT}`,
    ]);
    await last.sendFrom(icq, `<presence from='${CONTACT}/x' to='${ROMEO}/phone' type='probe'/>`);
    await last.sendFrom(icq, `<presence from='${CONTACT}' to='${ROMEO}/phone' type='probe'/>`);
    await last.sendFrom(icq, `<presence from='9@${ICQ}' to='${ROMEO}' type='probe'/>`);
    await cluster.settle();
    // A probe is for the user, whichever resource it names.
    expect(takeAll(icq).map(brief).toSorted()).toEqual([
      `presence available ${ROMEO}/orchard ${CONTACT}`,
      `presence available ${ROMEO}/orchard ${CONTACT}/x`,
      `presence available ${ROMEO}/phone ${CONTACT}`,
      `presence available ${ROMEO}/phone ${CONTACT}/x`,
      `presence unsubscribed ${ROMEO} 9@${ICQ}`,
    ]);
  });

  test("without a connection senders are told to wait, and the server lists it all the same", async () => {
    const { cluster, first, romeo } = await start(nodes);
    await first.send(romeo, `<message to='${CONTACT}' id='1'><body>hi</body></message>`);
    const error = one(romeo, "message");
    expect(conditionOf(error)).toBe("remote-server-timeout");
    expect(error.getChild("error")?.attrs.type).toBe("wait");
    const query = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
    await first.send(romeo, `<iq to='${DOMAIN}' type='get' id='2'>${query}</iq>`);
    await cluster.settle();
    const items = one(romeo, "iq").getChild("query")?.getChildren("item");
    expect(items?.map(({ attrs }) => attrs.jid)).toEqual([ICQ]);
  });
});

describe("several connections", () => {
  test("share the senders, each of whom stays with one", async () => {
    const { cluster, first, last } = await start(3);
    const connections = [await cluster.node(1).connect(ICQ), await last.connect(ICQ)];
    const counts = [0, 0];
    for (let index = 0; index < 40; index += 1) {
      cluster.stores.addUser(`user${index}@${DOMAIN}`);
      const session = await first.login(`user${index}@${DOMAIN}/x`);
      for (const id of ["1", "2", "3"])
        await first.send(session, `<message to='${ICQ}' id='${id}'/>`);
      const got = connections.map(idsOf);
      expect(got.toSorted()).toEqual([[], ["1", "2", "3"]]);
      counts[got[0]?.length === 3 ? 0 : 1] = (counts[got[0]?.length === 3 ? 0 : 1] ?? 0) + 1;
    }
    expect(Math.min(...counts)).toBeGreaterThan(5);
  });

  test("one that goes leaves its senders, and what it was not sent, to the other", async () => {
    const { cluster, first, last, romeo } = await start(3);
    const middle = cluster.node(1);
    const [one, two] = [await middle.connect(ICQ), await last.connect(ICQ)];
    await first.send(romeo, `<message to='${ICQ}' id='1'/>`);
    const isFirst = one.received.length === 1;
    const [chosen, other, node] = isFirst ? [one, two, middle] : [two, one, last];
    const unsent = takeAll(chosen);
    await node.disconnect(chosen, unsent);
    await first.send(romeo, `<message to='${ICQ}' id='2'/>`);
    expect(idsOf(other)).toEqual(["1", "2"]);
  });

  test("what the last one was not sent comes back to its sender", async () => {
    const { cluster, first, last, romeo } = await start(3);
    const icq = await last.connect(ICQ);
    await first.send(romeo, `<message to='${ICQ}' id='1'/>`);
    await last.disconnect(icq, takeAll(icq));
    await cluster.settle();
    expect(conditionOf(one(romeo, "message"))).toBe("remote-server-timeout");
  });

  test("a node that dies takes its connection along, and the other serves on", async () => {
    const { cluster, first, last, romeo } = await start(3);
    const middle = cluster.node(1);
    await middle.connect(ICQ);
    const other = await last.connect(ICQ);
    cluster.kill(middle);
    cluster.expire(middle);
    for (const id of ["1", "2", "3"]) await first.send(romeo, `<message to='${ICQ}' id='${id}'/>`);
    expect(idsOf(other)).toEqual(["1", "2", "3"]);
  });

  test("losses between nodes neither lose nor repeat anything", async () => {
    const cluster = new Cluster({
      nodes: 3,
      components: [ICQ],
      losses: { request: 0.2, answer: 0.2 },
    });
    cluster.stores.addUser(ROMEO);
    const romeo = await cluster.node(0).login(`${ROMEO}/orchard`);
    const connections = [await cluster.node(1).connect(ICQ), await cluster.node(2).connect(ICQ)];
    const ids = Array.from({ length: 200 }, (_, index) => String(index));
    for (const id of ids) await cluster.node(0).send(romeo, `<message to='${ICQ}' id='${id}'/>`);
    await cluster.settle();
    expect(connections.map(idsOf).toSorted((a, b) => a.length - b.length)).toEqual([[], ids]);
  });
});

test("a connection whose route is lost is ended, so that it comes back and is published anew", async () => {
  const { last } = await start(1);
  const icq = await last.connect(ICQ);
  last.router.onRouteLost(icq.route, undefined);
  expect(icq.closedWith).toBe("reset");
});
