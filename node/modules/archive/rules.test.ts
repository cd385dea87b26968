import { expect, test } from "vitest";
import { envelopeOf } from "../../router/envelopes.ts";
import { isArchived } from "./rules.ts";

const BODY = "<body>a</body>";
const hint = (name: string) => `<${name} xmlns='urn:xmpp:hints'/>`;

const message = (type: string, payload: string, to = "d@e/f") =>
  envelopeOf(
    Buffer.from(
      `<message xmlns='jabber:client' from='a@b/c' to='${to}' type='${type}'>${payload}</message>`,
    ),
    0,
  );

test.each([
  ["chat with a body", "chat", BODY, true],
  ["normal with a body", "normal", BODY, true],
  ["a body of another namespace", "chat", "<body xmlns='urn:x'>a</body>", false],
  ["a chat state", "chat", "<active xmlns='http://jabber.org/protocol/chatstates'/>", false],
  ["a subject alone", "normal", "<subject>a</subject>", false],
  ["headline", "headline", BODY, false],
  ["groupchat", "groupchat", BODY, false],
  ["an error", "error", BODY, false],
  ["no-store", "chat", BODY + hint("no-store"), false],
  ["no-permanent-store", "chat", BODY + hint("no-permanent-store"), false],
  ["no-store and store", "chat", hint("store") + hint("no-store"), false],
  ["store without a body", "chat", hint("store"), true],
  ["no-copy", "chat", BODY + hint("no-copy"), true],
  ["private", "chat", `${BODY}<private xmlns='urn:xmpp:carbons:2'/>`, true],
  ["a receipt", "normal", "<received xmlns='urn:xmpp:receipts' id='1'/>", true],
  ["a request for one", "normal", "<request xmlns='urn:xmpp:receipts'/>", false],
  ["a marker", "chat", "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>", true],
  ["what can be marked", "chat", "<markable xmlns='urn:xmpp:chat-markers:0'/>", false],
  ["a reaction", "chat", "<reactions xmlns='urn:xmpp:reactions:0' id='1'/>", true],
  ["encrypted", "chat", "<encrypted xmlns='eu.siacs.conversations.axolotl'/>", true],
  ["an invitation", "normal", "<x xmlns='jabber:x:conference' jid='r@c.d'/>", true],
  ["a copy", "chat", `${BODY}<sent xmlns='urn:xmpp:carbons:2'/>`, false],
  ["a result", "normal", `<result xmlns='urn:xmpp:mam:2'/>${BODY}`, false],
])("%s", (_, type, payload, is) => {
  expect(isArchived(message(type, payload))).toBe(is);
});

test("an invitation by a room, but not whatever else its members send to one another", () => {
  const room = "<x xmlns='http://jabber.org/protocol/muc#user'><invite/></x>";
  expect(isArchived(message("normal", room, "d@e"))).toBe(true);
  expect(isArchived(message("normal", room, "d@e/f"))).toBe(false);
});
