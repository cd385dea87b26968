import { expect, test } from "vitest";
import type { Element } from "../xml/element.ts";
import type { Uploads } from "./contract.ts";
import { Cluster, DOMAIN, GUESTS } from "./testing/cluster.ts";
import { conditionOf, one } from "./testing/read.ts";

const ROMEO = `romeo@${DOMAIN}`;
const NS = "urn:xmpp:http:upload:0";

/** An engine that keeps nothing; `use` says that a slot's file has arrived. */
class TestUploads implements Uploads {
  readonly limits = { fileBytesMax: 1_000, userBytesMax: 2_500, userFilesMax: 4 };
  readonly path = undefined;
  tellsOfFiles = true;
  made = 0;
  readonly removed: string[] = [];
  failure: Error | undefined;
  use: (user: string, id: string) => Promise<void> = () => Promise.resolve();
  nowMs = () => 0;

  async slot({ name, type }: { name: string; type: string }) {
    this.made += 1;
    const id = `id${this.made}`;
    const url = `https://files.example/${id}/${name}`;
    const [slotUntilMs, fileUntilMs] = [this.nowMs() + 60_000, this.nowMs() + 86_400_000];
    const putHeaders = type === "" ? {} : { Authorization: type };
    return { id, putUrl: `${url}?put`, putHeaders, getUrl: url, slotUntilMs, fileUntilMs };
  }

  async remove(ids: readonly string[]): Promise<void> {
    if (this.failure !== undefined) throw this.failure;
    this.removed.push(...ids);
  }

  watch(stored: (user: string, id: string) => Promise<void>): void {
    this.use = stored;
  }

  async [Symbol.asyncDispose]() {}
}

async function scene(uploads: TestUploads | undefined = new TestUploads()) {
  const cluster = new Cluster({ nodes: 1, uploads });
  if (uploads !== undefined) uploads.nowMs = () => cluster.clock.nowMs();
  cluster.stores.addUser(ROMEO);
  const romeo = await cluster.node(0).login(`${ROMEO}/orchard`);
  const ask = async (payload: string, type = "get") => {
    await cluster.node(0).send(romeo, `<iq to='${DOMAIN}' type='${type}' id='q'>${payload}</iq>`);
    await cluster.settle();
    return one(romeo, "iq");
  };
  const request = (size: number | string, name = "a.png", type = "") =>
    ask(`<request xmlns='${NS}' filename='${name}' size='${size}' content-type='${type}'/>`);
  const info = async () =>
    (await ask("<query xmlns='http://jabber.org/protocol/disco#info'/>")).getChild("query");
  return { cluster, ask, request, info, uploads: uploads as TestUploads };
}

const urls = (answer: Element) => {
  const slot = answer.getChild("slot", NS);
  const put = slot?.getChild("put");
  const headers = put?.getChildren("header").map((one) => [one.attrs.name, one.text()]);
  return [put?.attrs.url, headers, slot?.getChild("get")?.attrs.url];
};

test("a slot has two URLs and the headers to send", async () => {
  const { request } = await scene();
  expect(urls(await request(7, "a.png", "image/png"))).toEqual([
    "https://files.example/id1/a.png?put",
    [["Authorization", "image/png"]],
    "https://files.example/id1/a.png",
  ]);
});

test("the server says that it takes files, and how large ones", async () => {
  const query = await (await scene()).info();
  expect(query?.getChildren("identity").map(({ attrs }) => attrs.type)).toContain("file");
  expect(query?.getChildren("feature").map(({ attrs }) => attrs.var)).toContain(NS);
  const fields = query?.getChild("x", "jabber:x:data")?.getChildren("field");
  expect(fields?.map((field) => [field.attrs.var, field.getChildText("value")])).toEqual([
    ["FORM_TYPE", NS],
    ["max-file-size", "1000"],
  ]);
});

test("a node that takes no files says nothing of it and gives no slots", async () => {
  const cluster = new Cluster({ nodes: 1 });
  cluster.stores.addUser(ROMEO);
  const romeo = await cluster.node(0).login(`${ROMEO}/orchard`);
  const request = `<request xmlns='${NS}' filename='a' size='1'/>`;
  await cluster.node(0).send(romeo, `<iq to='${DOMAIN}' type='get' id='q'>${request}</iq>`);
  expect(conditionOf(one(romeo, "iq"))).toBe("service-unavailable");
});

test("a file that is too large is refused with the limit", async () => {
  const { request } = await scene();
  const refused = await request(1_001);
  expect(conditionOf(refused)).toBe("not-acceptable");
  const limit = refused.getChild("error")?.getChild("file-too-large", NS);
  expect(limit?.getChildText("max-file-size")).toBe("1000");
});

test.each([
  ["no name", `<request xmlns='${NS}' size='1'/>`, "bad-request"],
  ["an empty name", `<request xmlns='${NS}' filename='' size='1'/>`, "bad-request"],
  ["no size", `<request xmlns='${NS}' filename='a'/>`, "bad-request"],
  ["a size of nothing", `<request xmlns='${NS}' filename='a' size='0'/>`, "bad-request"],
  ["a negative size", `<request xmlns='${NS}' filename='a' size='-1'/>`, "bad-request"],
  ["a size in words", `<request xmlns='${NS}' filename='a' size='1e3'/>`, "bad-request"],
  [
    "a name too long",
    `<request xmlns='${NS}' filename='${"a".repeat(1_024)}' size='1'/>`,
    "not-acceptable",
  ],
])("%s is refused", async (_what, payload, condition) => {
  const { ask, uploads } = await scene();
  expect(conditionOf(await ask(payload))).toBe(condition);
  expect(uploads.made).toBe(0);
});

test("guests, of whom nothing is kept, get no slots", async () => {
  const { cluster, uploads } = await scene();
  const guest = await cluster.node(0).login(`a1b2@${GUESTS}/x`);
  const request = `<request xmlns='${NS}' filename='a' size='1'/>`;
  await cluster.node(0).send(guest, `<iq to='${DOMAIN}' type='get' id='q'>${request}</iq>`);
  expect(conditionOf(one(guest, "iq"))).toBe("not-allowed");
  expect(uploads.made).toBe(0);
});

test("files count until they go, slots that nobody used only for a while", async () => {
  const { request, uploads, cluster } = await scene();
  await request(1_000);
  await request(1_000);
  await uploads.use(ROMEO, "id1");
  const refused = await request(1_000);
  expect(conditionOf(refused)).toBe("resource-constraint");
  const retry = refused.getChild("error")?.getChild("retry", NS);
  expect(retry?.attrs.stamp).toBe(new Date(cluster.clock.nowMs() + 60_000).toISOString());
  cluster.clock.advance(60_001);
  expect((await request(1_000)).attrs.type).toBe("result"); // The second slot is over.
  expect(conditionOf(await request(1_000))).toBe("resource-constraint");
  cluster.clock.advance(86_400_000);
  expect((await request(1_000)).attrs.type).toBe("result");
  expect([...(cluster.stores.documents.get(ROMEO)?.keys() ?? [])]).toEqual(["upload id4"]);
});

test("a user has so many files and no more", async () => {
  const { request } = await scene();
  for (let count = 1; count <= 4; count += 1) {
    expect((await request(1)).attrs.type).toBe("result");
  }
  expect(conditionOf(await request(1))).toBe("resource-constraint");
});

test("where nobody tells of files, every slot counts as one", async () => {
  const uploads = new TestUploads();
  uploads.tellsOfFiles = false;
  const { request, cluster } = await scene(uploads);
  await request(1_000);
  await request(1_000);
  cluster.clock.advance(60_001);
  expect(conditionOf(await request(1_000))).toBe("resource-constraint");
});

test.each([undefined, new Error("Cannot remove a file: the bucket says 403")])(
  "an account that is deleted takes its files along, if they let it (%s)",
  async (failure) => {
    const { request, ask, uploads, cluster } = await scene();
    await request(7);
    uploads.failure = failure;
    const removal = "<query xmlns='jabber:iq:register'><remove/></query>";
    expect((await ask(removal, "set")).attrs.type).toBe("result");
    expect(uploads.removed).toEqual(failure === undefined ? ["id1"] : []);
    expect(cluster.stores.users.has(ROMEO)).toBe(false);
  },
);

test("a file that arrives when its slot is over already counts", async () => {
  const { request, uploads, cluster } = await scene();
  await request(1_000);
  cluster.clock.advance(60_001);
  await request(1_000);
  await uploads.use(ROMEO, "id1");
  expect(conditionOf(await request(1_000))).toBe("resource-constraint");
});

test("slots that a user's clients ask for at the same moment count each other", async () => {
  const { cluster, uploads } = await scene();
  const clients = await Promise.all(
    ["a", "b", "c", "d", "e"].map((name) => cluster.node(0).login(`${ROMEO}/${name}`)),
  );
  const request = `<request xmlns='${NS}' filename='a' size='900'/>`;
  const iq = `<iq to='${DOMAIN}' type='get' id='q'>${request}</iq>`;
  await Promise.all(clients.map((client) => cluster.node(0).send(client, iq)));
  await cluster.settle();
  const types = clients.map((client) => one(client, "iq").attrs.type);
  expect(types.toSorted()).toEqual(["error", "error", "error", "result", "result"]);
  expect(uploads.made).toBe(2);
});
