import { describe, expect, test } from "vitest";
import { Unavailable } from "../../base/errors.ts";
import type { TestSession } from "../testing/client.ts";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { brief, conditionOf, one, take } from "../testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const NURSE = `nurse@${DOMAIN}`;
const NS = "urn:xmpp:blocking";
const items = (...jids: string[]) => jids.map((jid) => `<item jid='${jid}'/>`).join("");
const block = (...jids: string[]) => `<block xmlns='${NS}'>${items(...jids)}</block>`;
const unblock = (...jids: string[]) => `<unblock xmlns='${NS}'>${items(...jids)}</unblock>`;

/** Romeo and Juliet, contacts of each other, on the first and the last of the nodes. */
async function scene(nodes: number, options: Record<string, unknown> = {}) {
  const cluster = new Cluster({ nodes, options });
  for (const user of [ROMEO, JULIET, NURSE]) cluster.stores.addUser(user);
  cluster.stores.befriend(ROMEO, JULIET);
  const [first, last] = [cluster.node(0), cluster.node(nodes - 1)];
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await last.login(`${JULIET}/balcony`);
  const sends = async (session: TestSession, xml: string) => {
    await (session === romeo ? first : last).send(session, xml);
    await cluster.settle();
  };
  const asks = async (session: TestSession, type: string, payload: string) => {
    await sends(session, `<iq type='${type}' id='q'>${payload}</iq>`);
    const answers = session.received.filter(({ attrs }) => attrs.id === "q");
    for (const answer of answers) session.received.splice(session.received.indexOf(answer), 1);
    if (answers.length !== 1) throw new Error(`Got ${answers.length} answers`);
    return answers[0] as (typeof session.received)[number];
  };
  await sends(romeo, "<presence/>");
  await sends(juliet, "<presence/>");
  const quiet = () => [romeo, juliet].map((session) => take(session));
  quiet();
  return { cluster, first, last, romeo, juliet, sends, asks, quiet };
}

describe.each([1, 3])("blocking on %i node(s)", (nodes) => {
  test("a blocked contact sees the user go, and come back when unblocked", async () => {
    const { romeo, juliet, asks } = await scene(nodes);
    expect((await asks(juliet, "set", block(ROMEO))).attrs.type).toBe("result");
    expect(take(romeo).map(brief)).toEqual([`presence unavailable ${JULIET}/balcony`]);
    await asks(juliet, "set", unblock(ROMEO));
    expect(take(romeo).map(brief)).toEqual([`presence  ${JULIET}/balcony`]);
    // And the user learns what it missed.
    expect(take(juliet).map(brief)).toEqual([`presence  ${ROMEO}/orchard`]);
  });

  test("nothing of a blocked contact arrives, and what asks is refused", async () => {
    const { romeo, juliet, asks, sends, quiet, cluster } = await scene(nodes);
    await asks(juliet, "set", block(ROMEO));
    quiet();
    await sends(romeo, "<presence><show>away</show></presence>");
    await sends(romeo, `<presence to='${JULIET}'/>`);
    await sends(romeo, `<presence to='${JULIET}' type='subscribe'/>`);
    expect(take(romeo, "presence").map(brief)).toEqual([`presence  ${ROMEO}/orchard`]);
    for (const to of [JULIET, `${JULIET}/balcony`, `${JULIET}/gone`]) {
      await sends(romeo, `<message to='${to}' type='chat' id='m'><body>hi</body></message>`);
      expect(conditionOf(one(romeo, "message"))).toBe("service-unavailable");
      await sends(romeo, `<iq to='${to}' type='get' id='i'><ping xmlns='urn:xmpp:ping'/></iq>`);
      expect(conditionOf(one(romeo, "iq"))).toBe("service-unavailable");
    }
    await sends(romeo, `<message to='${JULIET}' type='error' id='e'/>`);
    await sends(romeo, `<message to='${JULIET}' type='groupchat' id='g'><body>x</body></message>`);
    expect(conditionOf(one(romeo, "message"))).toBe("service-unavailable");
    expect(take(juliet)).toEqual([]);
    expect(take(romeo)).toEqual([]);
    expect(cluster.stores.storedFor(JULIET)).toEqual([]);
  });

  test("the user cannot write to whom they block, and is told why", async () => {
    const { romeo, juliet, asks, sends, quiet } = await scene(nodes);
    await asks(juliet, "set", block(ROMEO));
    quiet();
    await sends(juliet, `<message to='${ROMEO}/orchard' id='m'><body>hi</body></message>`);
    const refusal = one(juliet, "message");
    expect(conditionOf(refusal)).toBe("not-acceptable");
    expect(
      refusal.getChild("error")?.getChild("blocked", "urn:xmpp:blocking:errors"),
    ).toBeDefined();
    await sends(juliet, `<presence to='${ROMEO}'/>`);
    await sends(juliet, "<presence><show>away</show></presence>");
    expect(take(romeo)).toEqual([]);
  });

  test("a user who is away is not reached either, nor is the store", async () => {
    const { romeo, juliet, asks, sends, cluster, last } = await scene(nodes);
    await asks(juliet, "set", block(ROMEO));
    await last.drop(juliet);
    await cluster.settle();
    take(romeo);
    await sends(romeo, `<message to='${JULIET}' type='chat' id='m'><body>hi</body></message>`);
    expect(conditionOf(one(romeo, "message"))).toBe("service-unavailable");
    expect(cluster.stores.storedFor(JULIET)).toEqual([]);
    // The list holds for the next session, and the other way round.
    const again = await last.login(`${JULIET}/chamber`);
    await last.send(again, "<presence/>");
    await cluster.settle();
    expect(take(again).map(brief)).toEqual([`presence  ${JULIET}/chamber`]);
    expect(take(romeo)).toEqual([]);
  });

  test("every resource that asked for the list is told of changes, without reports", async () => {
    const { romeo, juliet, asks, first, cluster } = await scene(nodes);
    const phone = await first.login(`${JULIET}/phone`);
    const silent = await first.login(`${JULIET}/silent`);
    await first.send(phone, `<iq type='get' id='l'><blocklist xmlns='${NS}'/></iq>`);
    await cluster.settle();
    expect(one(phone, "iq").getChild("blocklist")?.children).toEqual([]);
    const report = "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:spam'/>";
    const item = `<item jid='${NURSE}'>${report}</item>`;
    await asks(juliet, "set", `<block xmlns='${NS}'>${item}</block>`);
    const push = one(phone, "iq");
    expect(push.attrs).toMatchObject({ type: "set", from: JULIET, to: `${JULIET}/phone` });
    expect(push.getChild("block")?.getChild("item")?.attrs).toEqual({ jid: NURSE });
    expect(push.getChild("block")?.getChild("item")?.children).toEqual([]);
    const listed = await asks(juliet, "get", `<blocklist xmlns='${NS}'/>`);
    expect(
      listed
        .getChild("blocklist")
        ?.getChildren("item")
        .map(({ attrs }) => attrs.jid),
    ).toEqual([NURSE]);
    await asks(juliet, "set", unblock());
    expect(one(phone, "iq").getChild("unblock")?.children).toEqual([]);
    expect(one(juliet, "iq").getChild("unblock")).toBeDefined(); // It asked, too.
    expect(take(silent)).toEqual([]);
    expect(take(romeo)).toEqual([]);
  });

  test("a whole domain is blocked, but not the server itself or one's own account", async () => {
    const { romeo, juliet, asks, sends, quiet, last, cluster } = await scene(nodes);
    await asks(juliet, "set", block(DOMAIN));
    quiet();
    await sends(romeo, `<message to='${JULIET}' type='chat' id='m'><body>hi</body></message>`);
    expect(conditionOf(one(romeo, "message"))).toBe("service-unavailable");
    await sends(juliet, `<iq to='${DOMAIN}' type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>`);
    expect(one(juliet, "iq").attrs.type).toBe("result");
    const phone = await last.login(`${JULIET}/phone`);
    await last.send(phone, "<presence/>");
    await sends(juliet, `<message to='${JULIET}/phone' id='m2'><body>hi</body></message>`);
    await cluster.settle();
    expect(one(phone, "message").attrs.id).toBe("m2");
    await asks(juliet, "set", unblock(DOMAIN));
    expect(take(romeo, "presence").map(brief)).toEqual(
      expect.arrayContaining([`presence  ${JULIET}/balcony`]),
    );
  });

  test("one resource is blocked, the others are not", async () => {
    const { romeo, juliet, asks, sends, quiet, first, cluster } = await scene(nodes);
    await asks(juliet, "set", block(`${ROMEO}/orchard`));
    const garden = await first.login(`${ROMEO}/garden`);
    await first.send(garden, "<presence/>");
    await cluster.settle();
    quiet();
    await sends(romeo, `<message to='${JULIET}' type='chat' id='m1'><body>hi</body></message>`);
    expect(conditionOf(one(romeo, "message"))).toBe("service-unavailable");
    await first.send(
      garden,
      `<message to='${JULIET}' type='chat' id='m2'><body>hi</body></message>`,
    );
    await cluster.settle();
    expect(one(juliet, "message").attrs.id).toBe("m2");
  });
});

test.each([
  ["no item", `<block xmlns='${NS}'/>`, "bad-request"],
  [
    "an item of another namespace",
    `<block xmlns='${NS}'><item xmlns='x' jid='a@b.c'/></block>`,
    "bad-request",
  ],
  ["an item without an address", `<block xmlns='${NS}'><item/></block>`, "jid-malformed"],
  ["an address that is none", block("@nobody"), "jid-malformed"],
  ["one good and one bad address", block(ROMEO, "a@b@c/"), "jid-malformed"],
  ["a bad address to unblock", unblock("@nobody"), "jid-malformed"],
  [
    "a report without a reason",
    `<block xmlns='${NS}'><item jid='${ROMEO}'><report xmlns='urn:xmpp:reporting:1'/></item></block>`,
    "bad-request",
  ],
  ["too many addresses", block("a@x.example", "b@x.example", "c@x.example"), "resource-constraint"],
])("blocking refuses %s, and blocks nothing", async (_what, payload, condition) => {
  const { juliet, asks, cluster } = await scene(1, { blocking: { itemsMax: 2 } });
  expect(conditionOf(await asks(juliet, "set", payload))).toBe(condition);
  expect(cluster.stores.documents.get(JULIET)?.size ?? 0).toBe(0);
});

test("nobody reads or changes another's list", async () => {
  const { romeo, sends } = await scene(1);
  await sends(romeo, `<iq to='${JULIET}' type='get' id='q'><blocklist xmlns='${NS}'/></iq>`);
  expect(conditionOf(one(romeo, "iq"))).toBe("service-unavailable");
  await sends(romeo, `<iq to='${JULIET}' type='set' id='q'>${block(NURSE)}</iq>`);
  expect(conditionOf(one(romeo, "iq"))).toBe("service-unavailable");
});

test("blocking again, and unblocking what is not blocked, changes nothing and succeeds", async () => {
  const { juliet, asks } = await scene(1, { blocking: { itemsMax: 1 } });
  for (const payload of [
    block(ROMEO, ROMEO),
    block(ROMEO),
    unblock(NURSE),
    unblock(ROMEO),
    unblock(),
  ]) {
    expect((await asks(juliet, "set", payload)).attrs.type).toBe("result");
  }
});

test("a node remembers the list of a user who is away for a bounded time", async () => {
  const { cluster, romeo, juliet, sends, first, last } = await scene(2);
  await last.drop(juliet);
  await cluster.settle();
  const hello = `<message to='${JULIET}' type='chat' id='m'><body>hi</body></message>`;
  await sends(romeo, hello);
  take(romeo);
  expect(cluster.stores.storedFor(JULIET)).toHaveLength(1);
  // Another node changes the list, and no session of the user is there to be told.
  const { documents } = cluster.stores.of(() => true);
  await documents.change(JULIET, "blocked", new Map([[ROMEO, Buffer.alloc(0)]]));
  await sends(romeo, hello);
  expect(take(romeo)).toEqual([]);
  cluster.clock.advance(30_000);
  await first.send(romeo, hello);
  await cluster.settle();
  expect(conditionOf(one(romeo, "message"))).toBe("service-unavailable");
});

test("what a node lets through because its store is away is stopped at the session", async () => {
  const { cluster, romeo, juliet, asks, sends } = await scene(3);
  await asks(juliet, "set", block(ROMEO));
  take(romeo);
  take(juliet);
  cluster.stores.fail(
    "documents",
    new Unavailable("store-timeout", "Cannot read documents: no answer"),
  );
  await sends(
    romeo,
    `<message to='${JULIET}/balcony' type='chat' id='m'><body>hi</body></message>`,
  );
  expect(conditionOf(one(romeo, "message"))).toBe("service-unavailable");
  expect(take(juliet)).toEqual([]);
});

test("a store that did not answer is asked again after five seconds, not for every message", async () => {
  const { cluster, romeo, sends } = await scene(1);
  const away = new Unavailable("store-timeout", "Cannot read documents: no answer");
  const hello = `<message to='${NURSE}' type='chat' id='m'><body>hi</body></message>`;
  cluster.stores.fail("documents", away);
  await sends(romeo, hello);
  const { documents } = cluster.stores.of(() => true);
  cluster.stores.fail("documents", undefined);
  await documents.change(NURSE, "blocked", new Map([[ROMEO, Buffer.alloc(0)]]));
  await sends(romeo, hello);
  expect(cluster.stores.storedFor(NURSE)).toHaveLength(2);
  cluster.clock.advance(5_000);
  await sends(romeo, hello);
  expect(conditionOf(one(romeo, "message"))).toBe("service-unavailable");
  expect(cluster.stores.storedFor(NURSE)).toHaveLength(2);
});

test("a report is counted and sent to whom the configuration names", async () => {
  const { cluster, juliet, romeo, asks, quiet } = await scene(1, {
    blocking: { reportsTo: ROMEO },
  });
  quiet();
  const report =
    "<report xmlns='urn:xmpp:reporting:1' reason='urn:xmpp:reporting:abuse'>" +
    `<stanza-id xmlns='urn:xmpp:sid:0' by='${JULIET}' id='7'/><text>Sold me poison</text></report>`;
  await asks(juliet, "set", `<block xmlns='${NS}'><item jid='${NURSE}'>${report}</item></block>`);
  await cluster.settle();
  const told = one(romeo, "message");
  expect(told.attrs.from).toBe(DOMAIN);
  expect(told.getChildText("body")).toBe(
    `${JULIET} reports ${NURSE}: urn:xmpp:reporting:abuse\nSold me poison`,
  );
  expect(
    told.getChild("report", "urn:xmpp:reporting:1")?.getChild("stanza-id")?.attrs,
  ).toMatchObject({
    id: "7",
    by: JULIET,
  });
});
