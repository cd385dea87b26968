import { expect, test } from "vitest";
import { Element } from "../xml/element.ts";
import { createAccount } from "./account.ts";
import { Cluster, DOMAIN } from "./testing/cluster.ts";
import { brief, conditionOf, one, take } from "./testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;

async function online(options: Record<string, unknown> = {}) {
  const cluster = new Cluster({ nodes: 2, options });
  cluster.stores.addUser(ROMEO);
  cluster.stores.addUser(JULIET);
  const node = cluster.node(0);
  const romeo = await node.login(`${ROMEO}/desk`);
  const ask = async (to: string | undefined, type: string, payload: string) => {
    const address = to === undefined ? "" : ` to='${to}'`;
    await node.send(romeo, `<iq${address} type='${type}' id='q'>${payload}</iq>`);
    return one(romeo, "iq");
  };
  return { cluster, node, romeo, ask };
}

test("ping is answered by the server and on behalf of one's own account", async () => {
  const { ask } = await online();
  const ping = "<ping xmlns='urn:xmpp:ping'/>";
  for (const to of [DOMAIN, ROMEO, undefined]) {
    expect((await ask(to, "get", ping)).attrs.type).toBe("result");
  }
  expect(conditionOf(await ask(JULIET, "get", ping))).toBe("service-unavailable");
});

test("version and time", async () => {
  const { ask, cluster } = await online();
  const version = await ask(DOMAIN, "get", "<query xmlns='jabber:iq:version'/>");
  expect(version.getChild("query")?.getChildText("name")).toBe("Zonda");
  const time = await ask(DOMAIN, "get", "<time xmlns='urn:xmpp:time'/>");
  expect(time.getChild("time")?.getChildText("utc")).toBe(
    new Date(cluster.clock.startMs).toISOString(),
  );
});

test("service discovery lists the features of all modules", async () => {
  const { ask } = await online();
  const info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
  const query = (await ask(DOMAIN, "get", info)).getChild("query");
  expect(query?.getChild("identity")?.attrs).toMatchObject({ category: "server", type: "im" });
  const features = query?.getChildren("feature").map(({ attrs }) => attrs.var);
  expect(features).toEqual(
    expect.arrayContaining(["urn:xmpp:ping", "msgoffline", "jabber:iq:register"]),
  );
  const items = "<query xmlns='http://jabber.org/protocol/disco#items'/>";
  expect((await ask(DOMAIN, "get", items)).getChild("query")?.children).toEqual([]);
  const node = "<query xmlns='http://jabber.org/protocol/disco#info' node='x'/>";
  expect(conditionOf(await ask(DOMAIN, "get", node))).toBe("item-not-found");
});

test("an account is described to its owner and to those who see its presence", async () => {
  const { ask, cluster } = await online();
  const info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
  expect((await ask(ROMEO, "get", info)).getChild("query")?.getChild("identity")?.attrs).toEqual({
    category: "account",
    type: "registered",
  });
  expect(conditionOf(await ask(JULIET, "get", info))).toBe("service-unavailable");
  cluster.stores.befriend(ROMEO, JULIET);
  expect((await ask(JULIET, "get", info)).attrs.type).toBe("result");
});

const REGISTER = "jabber:iq:register";
const change = (username: string, password: string) =>
  `<query xmlns='${REGISTER}'><username>${username}</username><password>${password}</password></query>`;

test("a user changes their own password and nobody else's", async () => {
  const { ask, cluster } = await online();
  expect((await ask(DOMAIN, "set", change("romeo", "new"))).attrs.type).toBe("result");
  expect(cluster.stores.users.get(ROMEO)).toEqual({ password: "new" });
  for (const [name, password] of [
    ["Romeo", "newer"],
    ["ｒｏｍｅｏ", "newest"],
  ] as const) {
    expect((await ask(DOMAIN, "set", change(name, password))).attrs.type).toBe("result");
    expect(cluster.stores.users.get(ROMEO)).toEqual({ password });
  }
  for (const name of ["juliet", "ro meo", ""]) {
    expect(conditionOf(await ask(DOMAIN, "set", change(name, "new")))).toBe("not-allowed");
  }
  expect(cluster.stores.users.get(JULIET)).toEqual({});
  const half = `<query xmlns='${REGISTER}'><username>romeo</username></query>`;
  expect(conditionOf(await ask(DOMAIN, "set", half))).toBe("bad-request");
});

test("an account that is deleted takes its subscriptions and sessions along", async () => {
  const { ask, cluster, node, romeo } = await online();
  cluster.stores.befriend(ROMEO, JULIET);
  const second = cluster.node(1);
  const juliet = await second.login(`${JULIET}/balcony`);
  const phone = await second.login(`${ROMEO}/phone`);
  const roster = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>";
  await second.send(juliet, roster);
  await second.send(juliet, "<presence/>");
  await node.send(romeo, "<presence/>");
  await cluster.settle();
  take(romeo);
  take(juliet);
  const removal = `<query xmlns='${REGISTER}'><remove/></query>`;
  expect((await ask(DOMAIN, "set", removal)).attrs.type).toBe("result");
  await cluster.settle();
  expect(romeo.closedWith).toBe("not-authorized");
  expect(phone.closedWith).toBe("not-authorized");
  expect(cluster.stores.users.has(ROMEO)).toBe(false);
  expect(take(juliet).map(brief)).toEqual(
    expect.arrayContaining([
      `presence unsubscribed ${ROMEO}`,
      `presence unavailable ${ROMEO}/desk`,
    ]),
  );
});

test("what the configuration forbids is not allowed", async () => {
  const { ask } = await online({ register: { passwordChange: false, removal: false } });
  expect(conditionOf(await ask(DOMAIN, "set", change("romeo", "new")))).toBe("not-allowed");
  const removal = `<query xmlns='${REGISTER}'><remove/></query>`;
  expect(conditionOf(await ask(DOMAIN, "set", removal))).toBe("not-allowed");
});

test("an account is made once, and not with a password nobody may have", async () => {
  const cluster = new Cluster({ nodes: 1 });
  const { accounts } = cluster.stores.of(() => true);
  const credentialsFor = async (password: string) => {
    if (password === "") {
      throw Object.assign(new Error("Cannot make credentials: empty"), {
        code: "password-refused",
      });
    }
    return {} as never;
  };
  const make = (password: string) => createAccount({ accounts, credentialsFor }, ROMEO, password);
  expect(await make("secret")).toBe("created");
  expect(await make("secret")).toBe("exists");
  await expect(make("")).rejects.toMatchObject({ condition: "not-acceptable" });
});

test("a result that nobody asked for changes nothing", async () => {
  const { node, romeo } = await online();
  await node.send(romeo, "<iq type='result' id='push-1'/>");
  await node.send(romeo, `<iq to='${DOMAIN}' type='error' id='push-1'/>`);
  expect(romeo.received.filter((one) => one instanceof Element)).toEqual([]);
});
