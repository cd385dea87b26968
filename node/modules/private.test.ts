import { expect, test } from "vitest";
import { Cluster, DOMAIN } from "./testing/cluster.ts";
import { conditionOf, one } from "./testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const JULIET = `juliet@${DOMAIN}`;
const NS = "jabber:iq:private";
const query = (content: string) => `<query xmlns='${NS}'>${content}</query>`;

async function scene(options: Record<string, unknown> = {}) {
  const cluster = new Cluster({ nodes: 2, options });
  for (const user of [ROMEO, JULIET]) cluster.stores.addUser(user);
  const romeo = await cluster.node(0).login(`${ROMEO}/desk`);
  const phone = await cluster.node(1).login(`${ROMEO}/phone`);
  const asks = async (type: string, content: string, session = romeo, to = "") => {
    const node = cluster.node(session === romeo ? 0 : 1);
    const address = to === "" ? "" : ` to='${to}'`;
    await node.send(session, `<iq type='${type}'${address} id='q'>${query(content)}</iq>`);
    return one(session, "iq");
  };
  return { cluster, romeo, phone, asks };
}

test("what one client keeps, another of the same user reads on another node", async () => {
  const { asks, phone } = await scene();
  expect((await asks("set", "<p xmlns='urn:x'><q>é &amp; ü</q></p>")).attrs.type).toBe("result");
  const answer = await asks("get", "<p xmlns='urn:x'/>", phone);
  expect(answer.getChild("query")?.getChild("p", "urn:x")?.getChildText("q")).toBe("é & ü");
});

test("what was never kept comes back as it was asked for", async () => {
  const { asks } = await scene();
  const found = (await asks("get", "<p xmlns='urn:x'/>")).getChild("query")?.getChild("p", "urn:x");
  expect(found?.children).toEqual([]);
});

test("elements of one name are told apart by namespace, and replaced", async () => {
  const { asks } = await scene();
  await asks("set", "<p xmlns='urn:x'>1</p><p xmlns='urn:y'>2</p>");
  await asks("set", "<p xmlns='urn:x'>3</p>");
  const read = async (ns: string) =>
    (await asks("get", `<p xmlns='${ns}'/>`)).getChild("query")?.getChildText("p");
  expect([await read("urn:x"), await read("urn:y")]).toEqual(["3", "2"]);
});

test("an element keeps the namespaces it was given from outside", async () => {
  const { asks, cluster, romeo } = await scene();
  const xml = `<iq type='set' id='q' xmlns:a='urn:a'><query xmlns='${NS}'><a:p><a:q/></a:p></query></iq>`;
  await cluster.node(0).send(romeo, xml);
  expect(one(romeo, "iq").attrs.type).toBe("result");
  const [kept] = (await asks("get", "<p xmlns='urn:a'/>")).getChild("query")?.children ?? [];
  expect(String(kept)).toContain("urn:a");
});

test.each([
  ["set", "nothing", "", "not-acceptable"],
  ["get", "nothing", "", "not-acceptable"],
  ["set", "an element without a namespace of its own", "<p/>", "not-acceptable"],
  ["set", "an element in no namespace", "<p xmlns=''/>", "not-acceptable"],
  ["get", "two elements", "<p xmlns='urn:x'/><q xmlns='urn:x'/>", "not-acceptable"],
  ["set", "one element twice", "<p xmlns='urn:x'/><p xmlns='urn:x'/>", "not-acceptable"],
  ["set", "too much", `<p xmlns='urn:x'>${"x".repeat(1_100)}</p>`, "resource-constraint"],
])("a %s of %s is refused", async (type, _what, content, condition) => {
  const { asks, cluster } = await scene({ private: { bytesMax: 1_024 } });
  expect(conditionOf(await asks(type, content))).toBe(condition);
  expect(cluster.stores.documents.get(ROMEO)?.size ?? 0).toBe(0);
});

test("what is replaced makes room", async () => {
  const { asks } = await scene({ private: { bytesMax: 1_024 } });
  const half = (name: string) => `<${name} xmlns='urn:x'>${"x".repeat(600)}</${name}>`;
  expect((await asks("set", half("p"))).attrs.type).toBe("result");
  expect((await asks("set", half("p"))).attrs.type).toBe("result");
  expect(conditionOf(await asks("set", half("q")))).toBe("resource-constraint");
});

test("nobody reads or changes another's", async () => {
  const { asks, romeo } = await scene();
  expect(conditionOf(await asks("get", "<p xmlns='urn:x'/>", romeo, JULIET))).toBe("forbidden");
  expect(conditionOf(await asks("set", "<p xmlns='urn:x'/>", romeo, JULIET))).toBe("forbidden");
});
