import { describe, expect, test } from "vitest";
import { envelopeOf } from "../../router/envelopes.ts";
import { isEligible } from "./eligible.ts";

const BODY = "<body>a</body>";
const PRIVATE = "<private xmlns='urn:xmpp:carbons:2'/>";
const NO_COPY = "<no-copy xmlns='urn:xmpp:hints'/>";
const ROOM = "<x xmlns='http://jabber.org/protocol/muc#user'/>";
const RECEIPT = "<received xmlns='urn:xmpp:receipts' id='1'/>";
const MARKER = "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>";
const CALL = "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>";
const INVITATION = "<x xmlns='jabber:x:conference' jid='room@muc.example'/>";
const STATE = "<composing xmlns='http://jabber.org/protocol/chatstates'/>";
const ERROR = "<error type='cancel'/>";

const message = (type: string, payload: string, from = "a@b/c", to = "d@e/f") =>
  envelopeOf(
    Buffer.from(
      `<message xmlns='jabber:client' from='${from}' to='${to}' type='${type}'>${payload}</message>`,
    ),
    0,
  );

describe.each(["sent", "received"] as const)("%s", (side) => {
  test.each([
    ["chat with a body", "chat", BODY, true],
    ["chat without one, such as a chat state", "chat", STATE, true],
    ["empty chat", "chat", "", true],
    ["normal with a body", "normal", BODY, true],
    ["normal without one", "normal", "<subject>a</subject>", false],
    ["a type nobody knows, which is normal", "elephant", BODY, true],
    ["a receipt", "normal", RECEIPT, true],
    ["a marker", "normal", MARKER, true],
    ["a call", "normal", CALL, true],
    ["an invitation", "normal", INVITATION, true],
    ["a body of another namespace", "normal", "<body xmlns='urn:x'>a</body>", false],
    ["groupchat", "groupchat", BODY, false],
    ["headline", "headline", BODY, false],
    ["private", "chat", BODY + PRIVATE, false],
    ["private of another namespace", "chat", `${BODY}<private xmlns='urn:x'/>`, true],
    ["no-copy", "chat", BODY + NO_COPY, false],
    ["a copy", "chat", "<sent xmlns='urn:xmpp:carbons:2'/>", false],
    ["a result of an archive", "chat", "<result xmlns='urn:xmpp:mam:2'/>", false],
    ["an error without what it answers", "error", ERROR, false],
  ])("%s", (_, type, payload, isCopied) => {
    expect(isEligible(message(type, payload), side)).toBe(isCopied);
  });
});

test("a room's private message: sent ones are copied, received ones come to who is there", () => {
  expect(isEligible(message("chat", BODY + ROOM), "sent")).toBe(true);
  expect(isEligible(message("chat", BODY + ROOM), "received")).toBe(false);
  expect(isEligible(message("normal", ROOM, "room@muc.example", "d@e"), "received")).toBe(true);
});

test("errors that answer a conversation: known by what they bring back, or by their sender", () => {
  expect(isEligible(message("error", BODY + ERROR), "received")).toBe(true);
  expect(isEligible(message("error", ERROR, "a@b"), "received")).toBe(true);
  expect(isEligible(message("error", ERROR, "b"), "received")).toBe(false);
  expect(isEligible(message("error", BODY + ERROR), "sent")).toBe(false);
  expect(isEligible(message("error", BODY + ERROR + NO_COPY), "received")).toBe(false);
});
