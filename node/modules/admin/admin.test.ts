import { expect, test } from "vitest";
import type { Element } from "../../xml/element.ts";
import type { TestSession } from "../testing/client.ts";
import { Cluster, DOMAIN } from "../testing/cluster.ts";
import { conditionOf, one, take } from "../testing/read.ts";

const BARD = `bard@${DOMAIN}`;
const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const NS = "http://jabber.org/protocol/commands";
const ADMIN = "http://jabber.org/protocol/admin";
const INFO = "http://jabber.org/protocol/disco#info";
const ITEMS = "http://jabber.org/protocol/disco#items";

type Fields = Readonly<Record<string, string | readonly string[]>>;

const form = (fields: Fields) =>
  `<x xmlns='jabber:x:data' type='submit'>${Object.entries(fields)
    .map(([name, values]) => {
      const said = [values].flat().map((value) => `<value>${value}</value>`);
      return `<field var='${name}'>${said.join("")}</field>`;
    })
    .join("")}</x>`;

/** The bard is an administrator and Romeo is not; Juliet is on another node. */
async function scene() {
  const options = { adhoc: { admins: [BARD.toUpperCase()] } };
  const cluster = new Cluster({ nodes: 2, options });
  for (const user of [BARD, ROMEO, JULIET]) cluster.stores.addUser(user);
  const [first, second] = [cluster.node(0), cluster.node(1)];
  const bard = await first.login(`${BARD}/globe`);
  const romeo = await first.login(`${ROMEO}/orchard`);
  const juliet = await second.login(`${JULIET}/balcony`);
  await second.send(juliet, "<presence/>");
  await cluster.settle();
  take(juliet);
  const asks = async (type: string, payload: string, session: TestSession = bard) => {
    await first.send(session, `<iq to='${DOMAIN}' type='${type}' id='q'>${payload}</iq>`);
    await cluster.settle();
    return one(session, "iq");
  };
  const says = (node: string, more = "", content = "", session = bard) =>
    asks(
      "set",
      `<command xmlns='${NS}' node='${ADMIN}#${node}'${more}>${content}</command>`,
      session,
    );
  /** Begins the command and fills in its form. */
  const runs = async (node: string, fields: Fields) => {
    const begun = (await says(node)).getChild("command", NS) as Element;
    expect(begun.attrs.status).toBe("executing");
    return says(node, ` sessionid='${begun.attrs.sessionid}'`, form(fields));
  };
  return { cluster, bard, romeo, juliet, first, second, asks, says, runs };
}

const statusOf = (answer: Element) => answer.getChild("command", NS)?.attrs.status;
const valuesOf = (answer: Element, name: string) =>
  answer
    .getChild("command", NS)
    ?.getChild("x", "jabber:x:data")
    ?.getChildren("field")
    .find(({ attrs }) => attrs.var === name)
    ?.getChildren("value")
    .map((value) => value.text());

test("an administrator sees the commands, others see none and are refused", async () => {
  const { asks, says, romeo } = await scene();
  const items = `<query xmlns='${ITEMS}' node='${NS}'/>`;
  const nodes = (answer: Element) =>
    answer
      .getChild("query")
      ?.getChildren("item")
      .map(({ attrs }) => attrs.node);
  expect(nodes(await asks("get", items))).toContain(`${ADMIN}#add-user`);
  expect(nodes(await asks("get", items, romeo))).toEqual([]);
  const info = `<query xmlns='${INFO}' node='${ADMIN}#add-user'/>`;
  expect((await asks("get", info)).getChild("query")?.getChild("identity")?.attrs).toMatchObject({
    category: "automation",
    type: "command-node",
  });
  expect(conditionOf(await asks("get", info, romeo))).toBe("item-not-found");
  expect(conditionOf(await says("add-user", "", "", romeo))).toBe("forbidden");
  expect(conditionOf(await says("no-such-command"))).toBe("item-not-found");
});

test("a user is added once, with a password typed twice", async () => {
  const { runs, cluster } = await scene();
  const fields = { accountjid: `nurse@${DOMAIN}`, password: "secret", "password-verify": "secret" };
  const differing = { ...fields, "password-verify": "other" };
  expect(conditionOf(await runs("add-user", differing))).toBe("not-acceptable");
  expect(statusOf(await runs("add-user", fields))).toBe("completed");
  expect(cluster.stores.users.get(`nurse@${DOMAIN}`)).toEqual({ password: "secret" });
  expect(conditionOf(await runs("add-user", fields))).toBe("conflict");
});

test("a user is deleted, and their sessions end", async () => {
  const { runs, cluster, juliet } = await scene();
  expect(statusOf(await runs("delete-user", { accountjids: JULIET }))).toBe("completed");
  expect(cluster.stores.users.has(JULIET)).toBe(false);
  expect(juliet.closedWith).toBe("not-authorized");
  expect(conditionOf(await runs("delete-user", { accountjids: JULIET }))).toBe("item-not-found");
});

test("a disabled user is thrown out and cannot log in until enabled again", async () => {
  const { runs, cluster, juliet } = await scene();
  const { accounts } = cluster.stores.of(() => true);
  expect(statusOf(await runs("disable-user", { accountjids: [JULIET] }))).toBe("completed");
  expect(juliet.closedWith).toBe("not-authorized");
  expect(await accounts.credentials(JULIET)).toBeUndefined();
  expect(await accounts.exists(JULIET)).toBe(true);
  expect(statusOf(await runs("reenable-user", { accountjids: [JULIET] }))).toBe("completed");
  expect(await accounts.credentials(JULIET)).toBeDefined();
});

test("one session of a user is ended, or all of them", async () => {
  const { runs, cluster, juliet } = await scene();
  const phone = await cluster.node(0).login(`${JULIET}/phone`);
  await runs("end-user-session", { accountjids: `${JULIET}/phone` });
  expect([phone.closedWith, juliet.closedWith]).toEqual(["policy-violation", undefined]);
  await runs("end-user-session", { accountjids: JULIET });
  expect(juliet.closedWith).toBe("policy-violation");
});

test("a password is changed", async () => {
  const { runs, cluster } = await scene();
  const fields = { accountjid: JULIET, password: "new" };
  expect(statusOf(await runs("change-user-password", fields))).toBe("completed");
  expect(cluster.stores.users.get(JULIET)).toEqual({ password: "new" });
  const nobody = { accountjid: `nobody@${DOMAIN}`, password: "new" };
  expect(conditionOf(await runs("change-user-password", nobody))).toBe("item-not-found");
});

test("accounts and users online are counted and listed, on all nodes", async () => {
  const { says } = await scene();
  expect(valuesOf(await says("get-registered-users-num"), "registeredusersnum")).toEqual(["3"]);
  expect(valuesOf(await says("get-online-users-num"), "onlineusersnum")).toEqual(["3"]);
  const listed = valuesOf(await says("get-online-users-list"), "onlineuserjids");
  expect(listed?.toSorted()).toEqual([BARD, JULIET, ROMEO]);
  const registered = valuesOf(await says("get-registered-users-list"), "registereduserjids");
  expect(registered?.toSorted()).toEqual([BARD, JULIET, ROMEO]);
});

test("the nodes of the cluster are listed with what they have to do, and who does not answer", async () => {
  const { cluster, asks, second } = await scene();
  for (const { router } of cluster.nodes) router.start();
  await cluster.settle();
  const command = `<command xmlns='${NS}' node='urn:zonda:admin#nodes'/>`;
  cluster.clock.advance(61_000);
  const all = await asks("set", command);
  const about = (name: string, senior = "") => `${name} (zone test, version 0.0.0-test${senior})`;
  const first = `${about("node-1", ", senior")}: 2 sessions, up 61 s`;
  expect(valuesOf(all, "nodes")).toEqual([first, `${about("node-2")}: 1 sessions, up 61 s`]);
  expect(valuesOf(all, "sessions")).toEqual(["3"]);
  expect(valuesOf(all, "unanswered")).toEqual([]);
  expect(all.getChild("command", NS)?.getChild("note")).toBeUndefined();
  cluster.kill(second);
  const left = await asks("set", command);
  expect(valuesOf(left, "nodes")).toEqual([first, `${about("node-2")}: mesh-down`]);
  expect(valuesOf(left, "sessions")).toEqual(["2"]);
  expect(valuesOf(left, "unanswered")).toEqual(["node-2"]);
  const note = left.getChild("command", NS)?.getChildText("note");
  expect(note).toBe("Without node-2: no answer.");
});

test("an announcement reaches everybody who is available, on every node", async () => {
  const { runs, juliet, romeo } = await scene();
  expect(statusOf(await runs("announce", { announcement: ["Curtain", "falls"] }))).toBe(
    "completed",
  );
  const told = one(juliet, "message");
  expect(told.attrs).toMatchObject({ type: "headline", from: DOMAIN, to: `${JULIET}/balcony` });
  expect(told.getChildText("body")).toBe("Curtain\nfalls");
  expect(take(romeo)).toEqual([]); // It has not announced itself.
});

test.each([
  ["nothing", "", "bad-request"],
  ["a form that is not for submission", "<x xmlns='jabber:x:data' type='form'/>", "bad-request"],
  ["a form without what is required", form({}), "bad-request"],
  ["an empty field", form({ accountjids: " " }), "bad-request"],
  ["no address", form({ accountjids: "@" }), "jid-malformed"],
  ["a domain", form({ accountjids: DOMAIN }), "not-acceptable"],
  ["somebody else's account", form({ accountjids: "a@elsewhere.example" }), "not-acceptable"],
  [
    "too many",
    form({ accountjids: Array.from({ length: 101 }, (_, i) => `u${i}@${DOMAIN}`) }),
    "not-acceptable",
  ],
])("a form of %s is refused", async (_what, content, condition) => {
  const { says, cluster } = await scene();
  const begun = (await says("delete-user")).getChild("command", NS) as Element;
  const answer = await says("delete-user", ` sessionid='${begun.attrs.sessionid}'`, content);
  expect(conditionOf(answer)).toBe(condition);
  expect(cluster.stores.users.size).toBe(3);
});

test.each([
  ["an action there is none", " action='dance'", "bad-request"],
  ["a step forward before the first", " action='next'", "bad-request"],
  ["a session that was never begun", " sessionid='never'", "bad-request"],
])("%s is refused", async (_what, more, condition) => {
  const { says } = await scene();
  expect(conditionOf(await says("delete-user", more))).toBe(condition);
});

test("what was begun is cancelled, belongs to who began it, and expires", async () => {
  const { says, cluster } = await scene();
  const begin = async () => (await says("delete-user")).getChild("command", NS)?.attrs.sessionid;
  const sent = form({ accountjids: JULIET });
  const first = await begin();
  expect(statusOf(await says("delete-user", ` sessionid='${first}' action='cancel'`))).toBe(
    "canceled",
  );
  expect(conditionOf(await says("delete-user", ` sessionid='${first}'`, sent))).toBe("bad-request");
  const second = await begin();
  expect(conditionOf(await says("add-user", ` sessionid='${second}'`, sent))).toBe("bad-request");
  cluster.clock.advance(901_000);
  expect(conditionOf(await says("delete-user", ` sessionid='${second}'`, sent))).toBe(
    "not-allowed",
  );
  expect(cluster.stores.users.has(JULIET)).toBe(true);
});

test("an administrator whose address is none keeps the node from starting", () => {
  expect(() => new Cluster({ nodes: 1, options: { adhoc: { admins: ["@"] } } })).toThrow(
    /modules.adhoc.admins/,
  );
});
