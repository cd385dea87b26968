import { expect, test } from "vitest";
import type { Element } from "../xml/element.ts";
import type { Client } from "./pubsub/scene.fixture.ts";
import { bare, form, idsIn, options, outcome, Scene } from "./pubsub/scene.fixture.ts";

const NODE = "urn:xmpp:bookmarks:1";
const ROOM = "balcony@rooms.example.org";

const conference = (content = "", attributes = "") =>
  `<conference xmlns='${NODE}' ${attributes}>${content}</conference>`;
const publish = (client: Client, room: string, payload: string, more = "") =>
  client.set(`<publish node='${NODE}'><item id='${room}'>${payload}</item></publish>${more}`);
const storage = (content: string) => `<storage xmlns='storage:bookmarks'>${content}</storage>`;
const setOld = (client: Client, content: string) =>
  client.ask("set", `<query xmlns='jabber:iq:private'>${storage(content)}</query>`);
const old = async (client: Client): Promise<string[]> => {
  const query = `<query xmlns='jabber:iq:private'>${storage("")}</query>`;
  const found = (await client.ask("get", query)).getChild("query")?.getChild("storage");
  return (found?.children ?? []).map((one) => brief(one as Element));
};
const brief = ({ name, attrs, children }: Element): string =>
  [
    name,
    ...Object.keys(attrs)
      .filter((key) => key !== "xmlns")
      .toSorted()
      .map((key) => `${key}=${attrs[key]}`),
    ...(children as Element[]).map((one) => `${one.name}:${one.getText()}`),
  ].join(" ");
const items = async (client: Client): Promise<string[]> => {
  const answer = await client.get(`<items node='${NODE}'/>`);
  const found = answer.getChild("pubsub")?.getChild("items")?.getChildElements() ?? [];
  return found.map(({ attrs, children }) => `${attrs.id} ${brief(children[0] as Element)}`);
};

async function newScene() {
  const scene = new Scene({ nodes: 2 });
  scene.friends("romeo", "juliet");
  const romeo = await scene.client("romeo/desk", 0);
  const phone = await scene.client("romeo/phone", 1);
  await phone.wants(NODE);
  return { scene, romeo, phone };
}

test("bookmarks are as private and as many as XEP-0402 wants, without a client saying so", async () => {
  const { scene, romeo, phone } = await newScene();
  const juliet = await scene.client("juliet", 1);
  await juliet.wants(NODE);
  await publish(romeo, ROOM, conference());
  await publish(romeo, "other@rooms.example.org", conference());
  expect(juliet.events()).toEqual([]);
  expect(phone.events()).toHaveLength(2);
  expect(outcome(await juliet.get(`<items node='${NODE}'/>`, bare("romeo")))).toBe(
    "not-allowed closed-node (cancel)",
  );
  const wanted = options({
    "pubsub#persist_items": "true",
    "pubsub#max_items": "max",
    "pubsub#send_last_published_item": "never",
    "pubsub#access_model": "whitelist",
    "pubsub#notify_retract": "true",
    "pubsub#notify_delete": "true",
  });
  expect(outcome(await publish(romeo, ROOM, conference(), wanted))).toBe("result");
  expect(await items(romeo)).toHaveLength(2);
});

test("the old list in private storage is made of the bookmarks", async () => {
  const { romeo } = await newScene();
  expect(await old(romeo)).toEqual([]);
  const content =
    "<nick>Romeo</nick><password>rose</password><extensions><x xmlns='urn:x'/></extensions>";
  await publish(romeo, ROOM, conference(content, "name='Balcony' autojoin='1'"));
  await publish(romeo, "tomb@rooms.example.org", conference());
  expect(await old(romeo)).toEqual([
    `conference autojoin=true jid=${ROOM} name=Balcony nick:Romeo password:rose`,
    "conference autojoin=false jid=tomb@rooms.example.org",
  ]);
});

test("an old list that is set is taken apart: new, changed and gone, each told once; the rest stays", async () => {
  const { romeo, phone } = await newScene();
  const extensions = "<nick>R</nick><extensions><x xmlns='urn:x'/></extensions>";
  await publish(romeo, ROOM, conference(extensions, "autojoin='true'"));
  await publish(romeo, "gone@rooms.example.org", conference());
  await publish(romeo, "same@rooms.example.org", conference("", "name='Same'"));
  phone.events();
  const list =
    `<conference jid='${ROOM}' autojoin='1'><nick>Romeo</nick></conference>` +
    "<conference jid='same@rooms.example.org' name='Same'/>" +
    "<conference jid='NEW@rooms.example.org/ignored' name='New'/>" +
    "<conference jid='@' name='No address'/><url url='http://example.org' name='Page'/>";
  expect(outcome(await setOld(romeo, list))).toBe("result");
  expect(phone.events()).toEqual([
    `romeo ${NODE}: item ${ROOM} <conference>`,
    `romeo ${NODE}: item new@rooms.example.org <conference>`,
    `romeo ${NODE}: retract gone@rooms.example.org`,
  ]);
  expect((await items(romeo)).toSorted()).toEqual([
    `${ROOM} conference autojoin=true nick:Romeo extensions:`,
    "new@rooms.example.org conference autojoin=false name=New",
    "same@rooms.example.org conference name=Same",
  ]);
  expect((await old(romeo)).toSorted()).toEqual([
    "conference autojoin=false jid=new@rooms.example.org name=New",
    "conference autojoin=false jid=same@rooms.example.org name=Same",
    `conference autojoin=true jid=${ROOM} nick:Romeo`,
    "url name=Page url=http://example.org",
  ]);
  await setOld(romeo, list);
  expect(phone.events()).toEqual([]);
});

test("the node with the old list says the same, once a client has made it", async () => {
  const { romeo, phone } = await newScene();
  await phone.wants(NODE, "storage:bookmarks");
  await publish(romeo, ROOM, conference());
  phone.events();
  const list = storage("<conference jid='old@rooms.example.org' autojoin='true'/>");
  await romeo.set(`<publish node='storage:bookmarks'><item id='current'>${list}</item></publish>`);
  expect((await items(romeo)).map((item) => item.split(" ")[0])).toEqual(["old@rooms.example.org"]);
  phone.events();
  await publish(romeo, "new@rooms.example.org", conference());
  expect(phone.events().toSorted()).toEqual([
    "romeo storage:bookmarks: item current <storage>",
    `romeo ${NODE}: item new@rooms.example.org <conference>`,
  ]);
  const answer = await romeo.get("<items node='storage:bookmarks'/>");
  expect(idsIn(answer)).toEqual(["current"]);
  const shown = answer.getChild("pubsub")?.getChild("items")?.getChild("item")?.getChild("storage");
  expect(shown?.getChildren("conference").map(({ attrs }) => attrs.jid)).toEqual([
    "old@rooms.example.org",
    "new@rooms.example.org",
  ]);
  const node = form("http://jabber.org/protocol/pubsub#node_config", {});
  expect(
    outcome(await romeo.ownerSet(`<configure node='storage:bookmarks'>${node}</configure>`)),
  ).toBe("result");
});

test("what private storage kept before there were bookmarks is shown until there are", async () => {
  const { scene, romeo } = await newScene();
  const kept = storage("<conference jid='old@rooms.example.org'/>");
  const documents = new Map([["private storage:bookmarks storage", Buffer.from(kept)]]);
  scene.cluster.stores.documents.set(bare("romeo"), documents);
  expect(await old(romeo)).toEqual(["conference jid=old@rooms.example.org"]);
});

test("other elements of private storage are kept as they are", async () => {
  const { romeo } = await newScene();
  const query = (content: string) => `<query xmlns='jabber:iq:private'>${content}</query>`;
  await romeo.ask("set", query("<roster xmlns='roster:delimiter'>::</roster>"));
  const answer = await romeo.ask("get", query("<roster xmlns='roster:delimiter'/>"));
  expect(answer.getChild("query")?.getChildText("roster")).toBe("::");
});
