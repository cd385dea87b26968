import { hash } from "node:crypto";
import { expect, test } from "vitest";
import type { Element } from "../xml/element.ts";
import type { Client } from "./pubsub/scene.fixture.ts";
import { bare, idsIn, Scene } from "./pubsub/scene.fixture.ts";
import { take } from "./testing/read.ts";

const DATA = "urn:xmpp:avatar:data";
const METADATA = "urn:xmpp:avatar:metadata";
const PNG = Buffer.from("\u0089PNG not really", "latin1");
const OTHER = Buffer.from("GIF89a nor this");
const idOf = (bytes: Buffer) => hash("sha1", bytes);

const publish = async (client: Client, bytes: Buffer, type = "image/png") => {
  const id = idOf(bytes);
  const data = `<data xmlns='${DATA}'>${bytes.toString("base64")}</data>`;
  await client.set(`<publish node='${DATA}'><item id='${id}'>${data}</item></publish>`);
  const info = `<info bytes='${bytes.length}' id='${id}' type='${type}'/>`;
  await publishMetadata(client, info, id);
};
const publishMetadata = (client: Client, infos: string, id = "x") =>
  client.set(
    `<publish node='${METADATA}'><item id='${id}'><metadata xmlns='${METADATA}'>${infos}</metadata></item></publish>`,
  );
const setCard = (client: Client, content: string) =>
  client.ask("set", `<vCard xmlns='vcard-temp'>${content}</vCard>`);
const cardOf = async (client: Client, of: string) =>
  (await client.ask("get", "<vCard xmlns='vcard-temp'/>", bare(of))).getChild("vCard");
const photo = (bytes: Buffer) => `<PHOTO><BINVAL>${bytes.toString("base64")}</BINVAL></PHOTO>`;
/** The picture's hash that the last presence said; undefined when it said nothing. */
const hashSeen = (client: Client, of: string) => {
  const seen = take(client.session, "presence").filter(({ attrs }) =>
    String(attrs.from).startsWith(`${bare(of)}/`),
  );
  return hashIn(seen.at(-1));
};
const hashIn = (presence: Element | undefined) => {
  const updates = presence?.getChildren("x", "vcard-temp:x:update") ?? [];
  expect(updates.length).toBeLessThan(2);
  return updates[0]?.getChildText("photo") ?? undefined;
};

async function newScene() {
  const scene = new Scene({ nodes: 3 });
  scene.friends("romeo", "juliet");
  const romeo = await scene.client("romeo/desk", 0);
  const phone = await scene.client("romeo/phone", 1);
  const juliet = await scene.client("juliet", 2);
  await juliet.wants(METADATA);
  return { scene, romeo, phone, juliet };
}

test("a published avatar is the vCard's picture, and everything else in the card stays", async () => {
  const { romeo, juliet } = await newScene();
  await setCard(romeo, "<FN>Romeo</FN>");
  await publish(romeo, PNG);
  const card = await cardOf(juliet, "romeo");
  expect(card?.getChildText("FN")).toBe("Romeo");
  const picture = card?.getChild("PHOTO");
  expect(picture?.getChildText("TYPE")).toBe("image/png");
  expect(picture?.getChildText("BINVAL")).toBe(PNG.toString("base64"));
  await publish(romeo, OTHER, "image/gif");
  const pictures = (await cardOf(juliet, "romeo"))?.getChildren("PHOTO");
  expect(pictures?.map((one) => one.getChildText("TYPE"))).toEqual(["image/gif"]);
  await publishMetadata(romeo, "");
  expect((await cardOf(juliet, "romeo"))?.getChild("PHOTO")).toBeUndefined();
  expect((await cardOf(juliet, "romeo"))?.getChildText("FN")).toBe("Romeo");
});

test("a vCard's picture is published as an avatar, and told of once", async () => {
  const { romeo, juliet } = await newScene();
  juliet.events();
  await setCard(romeo, `<FN>Romeo</FN>${photo(OTHER)}`);
  const id = idOf(OTHER);
  expect(juliet.events()).toEqual([`romeo ${METADATA}: item ${id} <metadata>`]);
  const answer = await juliet.get(`<items node='${METADATA}'/>`, bare("romeo"));
  const item = answer.getChild("pubsub")?.getChild("items")?.getChild("item");
  expect(item?.getChild("metadata")?.getChild("info")?.attrs).toEqual({
    id,
    bytes: String(OTHER.length),
    type: "image/gif",
  });
  expect(idsIn(await juliet.get(`<items node='${DATA}'/>`, bare("romeo")))).toEqual([id]);
  await setCard(romeo, "<FN>Romeo</FN>");
  expect(juliet.events()).toEqual([`romeo ${METADATA}: item none <metadata>`]);
  await setCard(romeo, "<FN>R</FN>");
  expect(juliet.events()).toEqual([]);
});

test("presence of every client has the hash, whatever the client said, and changes with it", async () => {
  const { romeo, phone, juliet } = await newScene();
  await romeo.send("<presence/>");
  expect(hashSeen(juliet, "romeo")).toBeUndefined();
  await phone.send("<presence><x xmlns='vcard-temp:x:update'><photo>mine</photo></x></presence>");
  expect(hashSeen(juliet, "romeo")).toBe("");
  await publish(romeo, PNG);
  const seen = take(juliet.session, "presence");
  expect(seen.map(({ attrs }) => String(attrs.from).split("/")[1]).toSorted()).toEqual([
    "desk",
    "phone",
  ]);
  expect(seen.map(hashIn)).toEqual([idOf(PNG), idOf(PNG)]);
  await phone.send("<presence><show>away</show></presence>");
  expect(hashSeen(juliet, "romeo")).toBe(idOf(PNG));
  await setCard(phone, "<FN>Romeo</FN>");
  expect(take(juliet.session, "presence").map(hashIn)).toEqual(["", ""]);
  await publish(romeo, OTHER);
  expect(take(juliet.session, "presence").map(hashIn)).toEqual([idOf(OTHER), idOf(OTHER)]);
});

test("a client that says there is no picture is believed, until it says something else", async () => {
  const { romeo, phone, juliet } = await newScene();
  const none = "<x xmlns='vcard-temp:x:update'><photo/></x>";
  await publish(romeo, PNG);
  await romeo.send("<presence/>");
  await phone.send(`<presence>${none}</presence>`);
  expect(hashSeen(juliet, "romeo")).toBe("");
  await publish(romeo, OTHER, "image/gif");
  const renewed = take(juliet.session, "presence");
  expect(renewed.map(({ attrs }) => String(attrs.from).split("/")[1])).toEqual(["desk"]);
  const directed = `to='${juliet.session.jid.full}'`;
  await phone.send(`<presence ${directed}/>`);
  expect(hashSeen(juliet, "romeo")).toBe(idOf(OTHER));
  await romeo.send(`<presence ${directed}>${none}</presence>`);
  expect(hashSeen(juliet, "romeo")).toBe("");
  await publish(romeo, PNG);
  expect(take(juliet.session, "presence").map(hashIn)).toEqual([idOf(PNG)]);
  await phone.send("<presence><x xmlns='vcard-temp:x:update'/></presence>");
  expect(hashSeen(juliet, "romeo")).toBe(idOf(PNG));
});

test("a client that comes later is told the hash at once, and directed presence has it too", async () => {
  const { scene, romeo } = await newScene();
  await romeo.send("<presence/>");
  await publish(romeo, PNG);
  const late = await scene.client("juliet/late", 1);
  await late.wants();
  expect(hashSeen(late, "romeo")).toBe(idOf(PNG));
  const tybalt = await scene.client("tybalt", 1);
  await romeo.send(`<presence to='${tybalt.session.jid.full}'/>`);
  expect(hashSeen(tybalt, "romeo")).toBe(idOf(PNG));
});

test("an avatar that is somewhere else, or whose data is missing, changes no vCard", async () => {
  const { romeo, juliet } = await newScene();
  await setCard(romeo, photo(PNG));
  const url = `<info bytes='1' id='abc' type='image/png' url='http://example.org/a.png'/>`;
  await publishMetadata(romeo, url);
  await publishMetadata(romeo, "<info bytes='1' id='abc' type='image/png'/>");
  const card = await cardOf(juliet, "romeo");
  expect(card?.getChild("PHOTO")?.getChildText("BINVAL")).toBe(PNG.toString("base64"));
});

test("an avatar that lies about its hash ends as what it is", async () => {
  const { romeo, juliet } = await newScene();
  const data = `<data xmlns='${DATA}'>${PNG.toString("base64")}</data>`;
  await romeo.set(`<publish node='${DATA}'><item id='abc'>${data}</item></publish>`);
  await publishMetadata(romeo, "<info bytes='1' id='abc' type='image/png'/>");
  const answer = await juliet.get(`<items node='${METADATA}'/>`, bare("romeo"));
  const item = answer.getChild("pubsub")?.getChild("items")?.getChild("item");
  expect(item?.getChild("metadata")?.getChild("info")?.attrs.id).toBe(idOf(PNG));
});
