import { expect, test } from "vitest";
import { Cluster, DOMAIN, GUESTS } from "./testing/cluster.ts";
import { conditionOf, one, take } from "./testing/read.ts";

const JULIET = `juliet@${DOMAIN}`;
const GUEST = `a1b2@${GUESTS}`;

async function scene() {
  const cluster = new Cluster({ nodes: 2 });
  cluster.stores.addUser(JULIET);
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const guest = await first.login(`${GUEST}/x`);
  const juliet = await second.login(`${JULIET}/balcony`);
  await first.send(guest, "<presence/>");
  await second.send(juliet, "<presence/>");
  await cluster.settle();
  const says = async (xml: string) => {
    take(guest);
    take(juliet);
    await first.send(guest, xml);
    await cluster.settle();
  };
  return { cluster, first, second, guest, juliet, says };
}

test.each([
  ["a contact", "<query xmlns='jabber:iq:roster'><item jid='juliet@capulet.example'/></query>"],
  ["a block", "<block xmlns='urn:xmpp:blocking'><item jid='juliet@capulet.example'/></block>"],
  ["private data", "<query xmlns='jabber:iq:private'><x xmlns='urn:x'/></query>"],
  ["a card", "<vCard xmlns='vcard-temp'><FN>Guest</FN></vCard>"],
  [
    "an event",
    "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='n'><item/></publish></pubsub>",
  ],
])("what a guest would keep is refused: %s", async (_, payload) => {
  const { cluster, guest, says } = await scene();
  for (const to of ["", ` to='${GUEST}'`]) {
    await says(`<iq type='set' id='q'${to}>${payload}</iq>`);
    expect(conditionOf(one(guest, "iq"))).toBe("not-allowed");
  }
  expect(cluster.stores.rosters.get(GUEST)).toBeUndefined();
  expect([...(cluster.stores.documents.get(GUEST) ?? [])]).toEqual([]);
});

test("a guest reads an empty roster, and speaks and hears like anybody", async () => {
  const { guest, juliet, second, cluster, says } = await scene();
  await says("<iq type='get' id='q'><query xmlns='jabber:iq:roster'/></iq>");
  expect(one(guest, "iq").getChild("query")?.children).toEqual([]);
  await says(`<message to='${JULIET}' type='chat'><body>Hello</body></message>`);
  expect(one(juliet, "message").getChildText("body")).toBe("Hello");
  await second.send(juliet, `<message to='${GUEST}/x' type='chat'><body>Hi</body></message>`);
  await cluster.settle();
  expect(one(guest, "message").getChildText("body")).toBe("Hi");
});

test("nobody becomes a guest's contact, from either side", async () => {
  const { cluster, juliet, guest, second, says } = await scene();
  await says(`<presence type='subscribe' to='${JULIET}'/>`);
  expect(take(juliet)).toEqual([]);
  await second.send(juliet, `<presence type='subscribe' to='${GUEST}'/>`);
  await cluster.settle();
  expect(take(guest)).toEqual([]);
  expect(cluster.stores.rosters.get(GUEST)).toBeUndefined();
  expect(cluster.stores.rosters.get(JULIET)?.get(GUEST)?.pendingIn).toBeUndefined();
});

test("nothing waits for a guest who is not there or does not listen, and nothing is left of one who leaves", async () => {
  const { cluster, juliet, guest, first, second, says } = await scene();
  const message = `<message to='${GUEST}' type='chat'><body>Hi</body></message>`;
  await says("<presence><priority>-1</priority></presence>");
  await second.send(juliet, message);
  await cluster.settle();
  expect(conditionOf(one(juliet, "message"))).toBe("service-unavailable");
  await first.drop(guest);
  await cluster.settle();
  await second.send(juliet, message);
  await cluster.settle();
  expect(conditionOf(one(juliet, "message"))).toBe("service-unavailable");
  expect(cluster.stores.storedFor(GUEST)).toEqual([]);
  expect([...(cluster.stores.documents.get(GUEST) ?? [])]).toEqual([]);
});
