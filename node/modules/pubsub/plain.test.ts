/** What clients publish about their users by other extensions: nodes like any other. */
import { expect, test } from "vitest";
import { bare, idsIn, outcome, Scene } from "./scene.fixture.ts";

test.each([
  [
    "XEP-0080: where",
    "http://jabber.org/protocol/geoloc",
    "<geoloc xmlns='http://jabber.org/protocol/geoloc' xml:lang='en'><lat>45.44</lat><lon>12.33</lon></geoloc>",
  ],
  [
    "XEP-0107: how",
    "http://jabber.org/protocol/mood",
    "<mood xmlns='http://jabber.org/protocol/mood'><annoyed/><text>curse my nurse!</text></mood>",
  ],
  [
    "XEP-0118: to what",
    "http://jabber.org/protocol/tune",
    "<tune xmlns='http://jabber.org/protocol/tune'><artist>Yes</artist><length>686</length></tune>",
  ],
  [
    "XEP-0118: to nothing",
    "http://jabber.org/protocol/tune",
    "<tune xmlns='http://jabber.org/protocol/tune'/>",
  ],
  [
    "XEP-0172: as whom",
    "http://jabber.org/protocol/nick",
    "<nick xmlns='http://jabber.org/protocol/nick'>Ishmael &amp; Co</nick>",
  ],
  [
    "XEP-0277: a post",
    "urn:xmpp:microblog:0",
    "<entry xmlns='http://www.w3.org/2005/Atom'><title type='text'>hanging out</title></entry>",
  ],
  [
    "XEP-0292: a card",
    "urn:xmpp:vcard4",
    "<vcard xmlns='urn:ietf:params:xml:ns:vcard-4.0'><fn><text>Peter</text></fn></vcard>",
  ],
  [
    "XEP-0373: a key",
    "urn:xmpp:openpgp:0:public-keys",
    "<public-keys-list xmlns='urn:xmpp:openpgp:0'><pubkey-metadata v4-fingerprint='1357B01865B2503C'/></public-keys-list>",
  ],
])("%s", async (_, node, payload) => {
  const scene = new Scene({ nodes: 2 });
  scene.friends("romeo", "juliet");
  const romeo = await scene.client("romeo", 0);
  const juliet = await scene.client("juliet", 1);
  await juliet.wants(node);
  const said = `<publish node='${node}'><item id='current'>${payload}</item></publish>`;
  expect(outcome(await romeo.set(said))).toBe("result");
  const [message] = juliet.messages();
  const item = message?.getChild("event")?.getChild("items")?.getChild("item");
  const read = await juliet.get(`<items node='${node}'/>`, bare("romeo"));
  const kept = read.getChild("pubsub")?.getChild("items")?.getChild("item");
  expect(idsIn(read)).toEqual(["current"]);
  for (const one of [item, kept]) {
    expect(one?.children.map(String).join("").replaceAll('"', "'")).toBe(payload);
  }
});
