import { describe, expect, test } from "vitest";
import type { TestSession } from "../testing/client.ts";
import type { TestNode } from "../testing/cluster.ts";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { conditionOf, one, take } from "../testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const ENABLE = "<enable xmlns='urn:xmpp:carbons:2'/>";
const DISABLE = "<disable xmlns='urn:xmpp:carbons:2'/>";

interface Device {
  readonly node: TestNode;
  readonly session: TestSession;
}

/** Romeo with three devices and Juliet with three, one on each node, all asking for copies. */
async function sixDevices(nodes: number) {
  const cluster = new Cluster({ nodes });
  const open = async (user: string, resource: string, index: number): Promise<Device> => {
    const node = cluster.node(index % nodes);
    const session = await node.login(`${user}/${resource}`);
    await node.send(session, `<iq type='set' id='c'>${ENABLE}</iq>`);
    await node.send(session, "<presence/>");
    return { node, session };
  };
  for (const user of [ROMEO, JULIET]) cluster.stores.addUser(user);
  const devices = {
    orchard: await open(ROMEO, "orchard", 0),
    garden: await open(ROMEO, "garden", 1),
    street: await open(ROMEO, "street", 2),
    balcony: await open(JULIET, "balcony", 0),
    chamber: await open(JULIET, "chamber", 1),
    church: await open(JULIET, "church", 2),
  };
  await cluster.settle();
  for (const { session } of Object.values(devices)) take(session);
  const say = async ({ node, session }: Device, xml: string) => {
    await node.send(session, xml);
    await cluster.settle();
  };
  return { cluster, say, ...devices };
}

/** The message in a copy, as its element's name and its id. */
function copyIn({ session }: Device): string {
  const message = one(session, "message");
  const [copy] = message.getChildElements();
  expect(message.attrs).toMatchObject({ from: session.jid.bare, to: session.jid.full });
  const inner = copy?.getChild("forwarded", "urn:xmpp:forward:0")?.getChild("message");
  expect(inner?.attrs.type).toBe(message.attrs.type);
  return `${copy?.name} ${inner?.attrs.id}`;
}

describe.each([1, 3])("on %i node(s)", (nodes) => {
  test("what goes to one resource is copied to the others of both sides, to nobody twice", async () => {
    const { say, orchard, garden, street, balcony, chamber, church } = await sixDevices(nodes);
    await say(
      orchard,
      `<message to='${JULIET}/balcony' type='chat' id='1'><body>a</body></message>`,
    );
    expect(one(balcony.session, "message").attrs.id).toBe("1");
    for (const device of [garden, street]) expect(copyIn(device)).toBe("sent 1");
    for (const device of [chamber, church]) expect(copyIn(device)).toBe("received 1");
    expect(take(orchard.session)).toEqual([]);
  });

  test("what goes to all resources of the recipient needs no copies there", async () => {
    const { say, orchard, garden, street, balcony, chamber, church } = await sixDevices(nodes);
    await say(orchard, `<message to='${JULIET}' id='2'><body>a</body></message>`);
    for (const { session } of [balcony, chamber, church]) {
      expect(one(session, "message").attrs.id).toBe("2");
    }
    for (const device of [garden, street]) expect(copyIn(device)).toBe("sent 2");
  });

  test("who disabled copies, or never asked, gets none; asking twice is no error", async () => {
    const { cluster, say, orchard, garden, street, chamber, church } = await sixDevices(nodes);
    await say(garden, `<iq type='set' id='d1'>${DISABLE}</iq>`);
    await say(garden, `<iq type='set' id='d2'>${DISABLE}</iq>`);
    await say(chamber, `<iq type='set' id='e2' to='${JULIET}'>${ENABLE}</iq>`);
    expect(take(garden.session).map(({ attrs }) => attrs.type)).toEqual(["result", "result"]);
    expect(one(chamber.session, "iq").attrs.type).toBe("result");
    const silent = await cluster.node(0).login(`${ROMEO}/silent`);
    await say(
      orchard,
      `<message to='${JULIET}/church' type='chat' id='3'><body>a</body></message>`,
    );
    expect(take(garden.session)).toEqual([]);
    expect(take(silent)).toEqual([]);
    expect(copyIn(street)).toBe("sent 3");
    expect(copyIn(chamber)).toBe("received 3");
    expect(one(church.session, "message").attrs.id).toBe("3");
  });

  test("a resource of negative priority gets copies", async () => {
    const { say, orchard, balcony, chamber } = await sixDevices(nodes);
    await say(chamber, "<presence><priority>-1</priority></presence>");
    for (const { session } of [balcony, chamber]) take(session);
    await say(orchard, `<message to='${JULIET}' type='chat' id='4'><body>a</body></message>`);
    expect(one(balcony.session, "message").attrs.id).toBe("4");
    expect(copyIn(chamber)).toBe("received 4");
  });

  test("a private message is copied to nobody, and its mark does not reach the recipient", async () => {
    const { say, orchard, garden, street, balcony, chamber, church } = await sixDevices(nodes);
    const payload =
      "<body>a</body><private xmlns='urn:xmpp:carbons:2'/><no-copy xmlns='urn:xmpp:hints'/>";
    await say(orchard, `<message to='${JULIET}/balcony' type='chat' id='5'>${payload}</message>`);
    const message = one(balcony.session, "message");
    expect(message.getChildElements().map(({ name }) => name)).toEqual([
      "body",
      "no-copy",
      "stanza-id",
    ]);
    for (const { session } of [garden, street, chamber, church]) expect(take(session)).toEqual([]);
  });

  test("what a user writes to itself comes to each resource once, and not back", async () => {
    const { say, orchard, garden, street } = await sixDevices(nodes);
    await say(orchard, `<message to='${ROMEO}/garden' type='chat' id='6'><body>a</body></message>`);
    expect(one(garden.session, "message").attrs.id).toBe("6");
    expect(copyIn(street)).toBe("received 6");
    expect(take(orchard.session)).toEqual([]);
  });

  test("an error that the server answers with is copied like the message it answers", async () => {
    const { say, orchard, garden, street } = await sixDevices(nodes);
    await say(
      orchard,
      `<message to='nobody@${DOMAIN}' type='chat' id='7'><body>a</body></message>`,
    );
    expect(conditionOf(one(orchard.session, "message"))).toBe("service-unavailable");
    for (const { session } of [garden, street]) {
      const copies = take(session, "message").map((message) => message.getChildElements()[0]?.name);
      expect(copies).toEqual(["sent", "received"]);
    }
    await say(orchard, `<message to='nobody@${DOMAIN}' type='groupchat' id='8'/>`);
    expect(conditionOf(one(orchard.session, "message"))).toBe("service-unavailable");
    for (const { session } of [garden, street]) expect(take(session)).toEqual([]);
  });

  test("an error that answers a copy goes nowhere", async () => {
    const { say, orchard, garden, street } = await sixDevices(nodes);
    await say(
      garden,
      `<message to='${ROMEO}' type='error' id='9'><error type='cancel'/></message>`,
    );
    for (const { session } of [orchard, garden, street]) expect(take(session)).toEqual([]);
  });

  test("a copy that its client did not acknowledge is not passed on, the message itself is", async () => {
    const { cluster, say, orchard, balcony, chamber, church } = await sixDevices(nodes);
    for (const { session } of [balcony, chamber, church]) session.acknowledge();
    await say(
      orchard,
      `<message to='${JULIET}/balcony' type='chat' id='10'><body>a</body></message>`,
    );
    await chamber.node.drop(chamber.session);
    await cluster.settle();
    expect(copyIn(church)).toBe("received 10");
    // Church has a copy, so the message that balcony never acknowledged need not come again,
    // unless church goes without having acknowledged the copy.
    await balcony.node.drop(balcony.session);
    await cluster.settle();
    expect(take(church.session, "message")).toEqual([]);
    await church.node.drop(church.session);
    await cluster.settle();
    expect(cluster.stores.storedFor(JULIET).map(({ bytes }) => bytes.includes("id='10'"))).toEqual([
      true,
    ]);
  });
});

test("another account's copies are nobody else's business", async () => {
  const { say, orchard } = await sixDevices(1);
  for (const payload of [ENABLE, DISABLE]) {
    await say(orchard, `<iq type='set' id='x' to='${JULIET}'>${payload}</iq>`);
    expect(conditionOf(one(orchard.session, "iq"))).toBe("not-allowed");
  }
  await say(orchard, `<iq type='set' id='x'><enable xmlns='urn:xmpp:carbons:2'><a/></enable></iq>`);
  expect(conditionOf(one(orchard.session, "iq"))).toBe("bad-request");
  await say(orchard, `<iq type='get' id='x'>${ENABLE}</iq>`);
  expect(conditionOf(one(orchard.session, "iq"))).toBe("service-unavailable");
});

test("one frame goes to each node", async () => {
  const { cluster, say, orchard, garden, chamber } = await sixDevices(3);
  const more = await cluster.node(1).login(`${ROMEO}/more`);
  await garden.node.send(more, `<iq type='set' id='c'>${ENABLE}</iq>`);
  await cluster.settle();
  const framesBefore = cluster.node(0).router.counters.framesOut;
  await say(orchard, `<message to='${JULIET}/balcony' type='chat' id='1'><body>a</body></message>`);
  // Two sent copies share a frame to node 2, which gets another with Juliet's, as node 3 does.
  expect(cluster.node(0).router.counters.framesOut - framesBefore).toBe(4);
  expect(copyIn(garden)).toBe("sent 1");
  expect(copyIn(chamber)).toBe("received 1");
});
