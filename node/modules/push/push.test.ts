import { describe, expect, test } from "vitest";
import type { Element } from "../../xml/element.ts";
import type { TestSession } from "../testing/client.ts";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { conditionOf, one, take } from "../testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const SERVICE = `push@${DOMAIN}`;
const NS = "urn:xmpp:push:0";
const PUBSUB = "http://jabber.org/protocol/pubsub";

/** Juliet enables notifications at a push service, which is a session here and answers nothing. */
async function scene(options: Record<string, unknown> = {}, nodes = 3) {
  const cluster = new Cluster({ nodes, options: { push: options } });
  for (const user of [ROMEO, JULIET, SERVICE]) cluster.stores.addUser(user);
  const [first, second, third] = [
    cluster.node(0),
    cluster.node(nodes > 1 ? 1 : 0),
    cluster.node(nodes - 1),
  ];
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await second.login(`${JULIET}/balcony`);
  const service = await third.login(`${SERVICE}/service`);
  const places = new Map([
    [romeo, first],
    [juliet, second],
    [service, third],
  ]);
  const sends = async (session: TestSession, xml: string) => {
    await places.get(session)?.send(session, xml);
    await cluster.settle();
  };
  const asks = async (payload: string) => {
    await sends(juliet, `<iq type='set' id='q'>${payload}</iq>`);
    return one(juliet, "iq");
  };
  const enable = (more = " node='n1'", content = "", jid = `${SERVICE}/service`) =>
    asks(`<enable xmlns='${NS}' jid='${jid}'${more}>${content}</enable>`);
  // The service may be asked: it showed itself to Juliet.
  await sends(service, `<presence to='${JULIET}/balcony'/>`);
  await sends(service, `<presence to='${JULIET}'/>`);
  const leaves = async () => {
    await second.drop(juliet);
    await cluster.settle();
  };
  const writes = (id = "m", content = "<body>Wherefore?</body>") =>
    sends(romeo, `<message to='${JULIET}' type='chat' id='${id}'>${content}</message>`);
  const kept = () =>
    [...(cluster.stores.documents.get(JULIET)?.keys() ?? [])].filter((key) =>
      key.startsWith("push "),
    );
  take(juliet);
  return { cluster, second, romeo, juliet, service, sends, asks, enable, leaves, writes, kept };
}

const published = (iq: Element) => iq.getChild("pubsub", PUBSUB)?.getChild("publish");
const summary = (iq: Element) =>
  Object.fromEntries(
    (
      published(iq)
        ?.getChild("item")
        ?.getChild("notification", NS)
        ?.getChild("x")
        ?.getChildren("field") ?? []
    ).map((field) => [field.attrs.var, field.getChildText("value")]),
  );

describe.each([1, 3])("push on %i node(s)", (nodes) => {
  test("a message for a user who is away is told to the service, and not what it says", async () => {
    const { enable, leaves, writes, service, cluster } = await scene({}, nodes);
    const field = (name: string, value: string) =>
      `<field var='${name}'><value>${value}</value></field>`;
    const formType = field("FORM_TYPE", "http://jabber.org/protocol/pubsub#publish-options");
    const options = `<x xmlns='jabber:x:data' type='submit'>${formType}${field("secret", "42")}</x>`;
    expect((await enable(" node='n1'", options)).attrs.type).toBe("result");
    await leaves();
    await writes();
    const told = one(service, "iq");
    expect(told.attrs).toMatchObject({ type: "set", from: JULIET, to: `${SERVICE}/service` });
    expect(published(told)?.attrs.node).toBe("n1");
    expect(summary(told)).toEqual({
      FORM_TYPE: "urn:xmpp:push:summary",
      "message-count": "1",
      "last-message-body": "New message",
    });
    const sent = told.getChild("pubsub", PUBSUB)?.getChild("publish-options")?.getChild("x");
    const carried = sent?.getChildren("field").map((one) => one.attrs.var as string);
    expect(carried).toEqual(["FORM_TYPE", "secret"]);
    expect(cluster.stores.storedFor(JULIET)).toHaveLength(1);
  });

  test("a client that looks is not notified, one that does not is", async () => {
    const { enable, sends, juliet, service, writes, second } = await scene({}, nodes);
    await sends(juliet, "<presence/>");
    await enable();
    take(service);
    await writes("m1");
    expect(take(service, "iq")).toEqual([]);
    second.router.onClientState(juliet, false);
    await writes("m2");
    expect(take(service, "iq")).toHaveLength(1);
    second.router.onClientState(juliet, true);
    await writes("m3");
    expect(take(service, "iq")).toEqual([]);
  });
});

test("a client whose stream broke is notified until it is back", async () => {
  const { enable, sends, juliet, service, writes } = await scene();
  await sends(juliet, "<presence/>");
  await enable();
  take(service);
  juliet.isDetached = true;
  await writes("m1");
  expect(take(service, "iq")).toHaveLength(1);
  juliet.isDetached = false;
  await writes("m2");
  expect(take(service, "iq")).toEqual([]);
});

test("a message that a client had not acknowledged when its stream broke is told", async () => {
  const { enable, sends, juliet, service, writes, second, cluster } = await scene();
  await sends(juliet, "<presence/>");
  await enable();
  juliet.acknowledge();
  take(service);
  const breaks = async () => {
    second.router.onDetached(juliet);
    await cluster.settle();
  };
  await writes("m1");
  juliet.acknowledge();
  await breaks();
  expect(take(service, "iq")).toEqual([]);
  await writes("m2");
  expect(take(service, "iq")).toEqual([]);
  await breaks();
  expect(take(service, "iq")).toHaveLength(1);
});

test("a copy of what another resource got is told as what it is", async () => {
  const { enable, sends, juliet, service, romeo, second, cluster } = await scene({
    withSender: true,
  });
  const desk = await second.login(`${JULIET}/desk`);
  await second.send(desk, "<presence/>");
  await sends(juliet, "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>");
  await sends(juliet, "<presence/>");
  take(juliet);
  await enable();
  take(service);
  second.router.onClientState(juliet, false);
  await sends(romeo, `<message to='${JULIET}/desk' type='chat'><body>hi</body></message>`);
  await cluster.settle();
  expect(take(desk, "message")).toHaveLength(1);
  expect(summary(one(service, "iq"))["last-message-sender"]).toBe(`${ROMEO}/orchard`);
  // What the user wrote elsewhere is no news.
  await second.send(desk, `<message to='${ROMEO}/orchard' type='chat'><body>ho</body></message>`);
  await cluster.settle();
  expect(take(service, "iq")).toEqual([]);
});

test("sender and words are told where the configuration says so", async () => {
  const { enable, leaves, writes, service } = await scene({ withSender: true, withBody: true });
  await enable();
  await leaves();
  await writes();
  expect(summary(one(service, "iq"))).toMatchObject({
    "last-message-sender": `${ROMEO}/orchard`,
    "last-message-body": "Wherefore?",
  });
});

test.each([
  ["a chat state", "<composing xmlns='http://jabber.org/protocol/chatstates'/>"],
  ["a receipt", "<received xmlns='urn:xmpp:receipts' id='1'/>"],
  ["a message not to be stored", "<body>x</body><no-store xmlns='urn:xmpp:hints'/>"],
])("%s wakes nobody", async (_what, content) => {
  const { enable, leaves, writes, service } = await scene();
  await enable();
  await leaves();
  await writes("m", content);
  expect(take(service, "iq")).toEqual([]);
});

test("an encrypted message wakes", async () => {
  const { enable, leaves, writes, service } = await scene();
  await enable();
  await leaves();
  await writes("m", "<encrypted xmlns='urn:xmpp:omemo:2'/>");
  expect(take(service, "iq")).toHaveLength(1);
});

test("one node is disabled, or all of a service", async () => {
  const { enable, asks, kept } = await scene();
  for (const node of ["n1", "n2", "n3"]) await enable(` node='${node}'`);
  expect(kept()).toHaveLength(3);
  await asks(`<disable xmlns='${NS}' jid='${SERVICE}/service' node='n1'/>`);
  expect(kept()).toHaveLength(2);
  await asks(`<disable xmlns='${NS}' jid='other.example'/>`);
  expect(kept()).toHaveLength(2);
  await asks(`<disable xmlns='${NS}' jid='${SERVICE}/service'/>`);
  expect(kept()).toEqual([]);
});

test.each([
  ["no address", `<enable xmlns='${NS}' node='n'/>`, "bad-request"],
  ["an address that is none", `<enable xmlns='${NS}' jid='@' node='n'/>`, "jid-malformed"],
  [
    "a node that is too long",
    `<enable xmlns='${NS}' jid='a.example' node='${"n".repeat(1_024)}'/>`,
    "bad-request",
  ],
  ["nothing to disable", `<disable xmlns='${NS}'/>`, "bad-request"],
])("%s is refused", async (_what, payload, condition) => {
  const { asks, kept } = await scene();
  expect(conditionOf(await asks(payload))).toBe(condition);
  expect(kept()).toEqual([]);
});

test("a user has so many services and no more; the same one again is no other", async () => {
  const { enable, kept } = await scene({ targetsMax: 1 });
  await enable(" node='n1'");
  expect((await enable(" node='n1'")).attrs.type).toBe("result");
  expect(conditionOf(await enable(" node='n2'"))).toBe("resource-constraint");
  expect(kept()).toHaveLength(1);
});

test("services that a user's clients name at the same moment count each other", async () => {
  const { cluster, second, juliet, kept } = await scene({ targetsMax: 1 });
  const desk = await second.login(`${JULIET}/desk`);
  const enable = (node: string) =>
    `<iq type='set' id='q'><enable xmlns='${NS}' jid='${SERVICE}/service' node='${node}'/></iq>`;
  await Promise.all([second.send(juliet, enable("n1")), second.send(desk, enable("n2"))]);
  await cluster.settle();
  const types = [one(juliet, "iq"), one(desk, "iq")].map(({ attrs }) => attrs.type);
  expect(types.toSorted()).toEqual(["error", "result"]);
  expect(kept()).toHaveLength(1);
});

const refusal = (to: string, id: string, condition: string) =>
  `<iq type='error' to='${to}' id='${id}'><error type='cancel'>` +
  `<${condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>`;

test("a service that refuses for good is forgotten at once, and only that node of it", async () => {
  const { enable, leaves, writes, service, sends, kept } = await scene();
  await enable(" node='n1'");
  await enable(" node='n2'");
  await leaves();
  await writes();
  const asked = take(service, "iq").find((iq) => published(iq)?.attrs.node === "n1") as Element;
  await sends(service, refusal(JULIET, asked.attrs.id, "item-not-found"));
  expect(kept()).toEqual([`push ${SERVICE}/service\nn2`]);
});

test("a service that cannot just now is forgotten after many failures, but not after an answer", async () => {
  const { enable, leaves, writes, service, sends, kept } = await scene({ failuresMax: 2 });
  await enable();
  await leaves();
  const fails = async () => {
    await writes();
    await sends(service, refusal(JULIET, one(service, "iq").attrs.id, "resource-constraint"));
  };
  await fails();
  await writes();
  await sends(service, `<iq type='result' to='${JULIET}' id='${one(service, "iq").attrs.id}'/>`);
  await fails();
  expect(kept()).toHaveLength(1);
  await fails();
  expect(kept()).toEqual([]);
});

test("nobody else can disable a registration by an error", async () => {
  const { enable, leaves, writes, service, sends, romeo, kept } = await scene();
  await enable();
  await leaves();
  await writes();
  await sends(romeo, refusal(JULIET, one(service, "iq").attrs.id, "item-not-found"));
  expect(kept()).toHaveLength(1);
});

test("a service at a domain that cannot be reached does not disturb the message", async () => {
  const { enable, leaves, writes, cluster, kept, romeo } = await scene();
  await enable(" node='n'", "", "push.elsewhere.example");
  await leaves();
  await writes();
  expect(cluster.stores.storedFor(JULIET)).toHaveLength(1);
  expect(take(romeo)).toEqual([]);
  expect(kept()).toHaveLength(1);
});

test("notifications are announced with the account", async () => {
  const { sends, juliet } = await scene();
  const info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
  await sends(juliet, `<iq type='get' to='${JULIET}' id='q'>${info}</iq>`);
  const features = one(juliet, "iq").getChild("query")?.getChildren("feature");
  expect(features?.map(({ attrs }) => attrs.var)).toContain(NS);
});
