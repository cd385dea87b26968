import { expect, test } from "vitest";
import type { Element } from "../xml/element.ts";
import type { Client } from "./pubsub/scene.fixture.ts";
import { bare, form, idsIn, options, outcome, Scene } from "./pubsub/scene.fixture.ts";

const NODE = "urn:xmpp:bookmarks:1";
const OLD = "storage:bookmarks";
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

const rooms = async (client: Client): Promise<string[]> =>
  idsIn(await client.get(`<items node='${NODE}'/>`));
const publishOld = (client: Client, list: readonly string[]) => {
  const content = list.map((jid) => `<conference jid='${jid}' autojoin='1'/>`).join("");
  return client.set(
    `<publish node='${OLD}'><item id='current'>${storage(content)}</item></publish>`,
  );
};
/** The rooms in the list at the old node: in an answer, or in an event. */
const storageIn = (around: Element | undefined): string[] => {
  const list = around?.getChild("items")?.getChild("item")?.getChild("storage");
  return (list?.getChildren("conference") ?? []).map(({ attrs }) => String(attrs.jid));
};
const oldRooms = async (client: Client): Promise<string[]> =>
  storageIn((await client.get(`<items node='${OLD}'/>`)).getChild("pubsub"));

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

test("the first bookmark makes the node with the old list, and both say the same from then on", async () => {
  const { romeo, phone } = await newScene();
  await phone.wants(NODE, OLD);
  expect(outcome(await romeo.get(`<items node='${OLD}'/>`))).toBe("item-not-found (cancel)");
  await publish(romeo, ROOM, conference("", "autojoin='true'"));
  expect(phone.events()).toEqual([
    `romeo ${NODE}: item ${ROOM} <conference>`,
    `romeo ${OLD}: item current <storage>`,
  ]);
  expect(await oldRooms(phone)).toEqual([ROOM]);
  await publishOld(phone, [ROOM, "old@rooms.example.org"]);
  expect(phone.events()).toEqual([
    `romeo ${OLD}: item current <storage>`,
    `romeo ${NODE}: item old@rooms.example.org <conference>`,
  ]);
  expect((await rooms(romeo)).toSorted()).toEqual([ROOM, "old@rooms.example.org"]);
  await publishOld(phone, ["old@rooms.example.org"]);
  expect(await rooms(romeo)).toEqual(["old@rooms.example.org"]);
  await romeo.set(`<retract node='${NODE}'><item id='old@rooms.example.org'/></retract>`);
  expect(await oldRooms(phone)).toEqual([]);
  const node = form("http://jabber.org/protocol/pubsub#node_config", {});
  expect(outcome(await romeo.ownerSet(`<configure node='${OLD}'>${node}</configure>`))).toBe(
    "result",
  );
});

test("a client that found no old list removes nothing by publishing its own, and is told the rest", async () => {
  const { scene, romeo, phone } = await newScene();
  await phone.wants(OLD);
  await publish(romeo, "Room@rooms.example.org", conference("", "name='As it was'"));
  await publish(romeo, ROOM, conference("<nick>R</nick>"));
  // What an account has that is older than the node with the old list.
  await romeo.ownerSet(`<delete node='${OLD}'/>`);
  phone.events();
  await publishOld(phone, ["old@rooms.example.org"]);
  expect((await items(romeo)).toSorted()).toEqual([
    "Room@rooms.example.org conference name=As it was",
    `${ROOM} conference nick:R`,
    "old@rooms.example.org conference autojoin=true",
  ]);
  const late = await scene.client("romeo/late", 0);
  const everything = ["Room@rooms.example.org", ROOM, "old@rooms.example.org"].toSorted();
  expect((await oldRooms(late)).toSorted()).toEqual(everything);
  // The whole list is what a client hears last.
  const told = phone.messages().map((one) => storageIn(one.getChild("event")));
  expect(told.map((rooms) => rooms.toSorted())).toEqual([["old@rooms.example.org"], everything]);
  await publishOld(phone, ["room@rooms.example.org", "old@rooms.example.org"]);
  expect((await rooms(romeo)).toSorted()).toEqual([
    "Room@rooms.example.org",
    "old@rooms.example.org",
  ]);
});

test("an account says that old lists in private storage and at the old node are safe to use", async () => {
  const { romeo } = await newScene();
  const info = "<query xmlns='http://jabber.org/protocol/disco#info'/>";
  const found = (await romeo.ask("get", info, bare("romeo"))).getChild("query");
  const features = found?.getChildren("feature").map(({ attrs }) => attrs.var);
  expect(features).toEqual(expect.arrayContaining([`${NODE}#compat`, `${NODE}#compat-pep`]));
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
