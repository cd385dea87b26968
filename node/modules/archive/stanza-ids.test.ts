import { expect, test } from "vitest";
import { envelopeOf } from "../../router/envelopes.ts";
import { parseStanza } from "../../xml/parser.ts";
import { ownIdOf, withOwnId, withoutOwnIds } from "./stanza-ids.ts";

const ME = "juliet@capulet.example";
const SPOOFED = `<stanza-id xmlns='urn:xmpp:sid:0' by='${ME}' id='x'/>`;
const OTHERS = "<stanza-id xmlns='urn:xmpp:sid:0' by='room@muc.example' id='y'/>";
const ORIGIN = "<origin-id xmlns='urn:xmpp:sid:0' id='z'/>";

const message = (payload: string) =>
  envelopeOf(
    Buffer.from(`<message xmlns='jabber:client' from='a@b/c' to='${ME}'>${payload}</message>`),
    0,
  );

test("a message has one name in an account's name, the account's own", () => {
  const spoofed = message(`${SPOOFED}<body>a</body>${OTHERS}${ORIGIN}${SPOOFED}`);
  const clean = withoutOwnIds(spoofed, ME);
  expect(clean.bytes.toString()).toBe(message(`<body>a</body>${OTHERS}${ORIGIN}`).bytes.toString());
  expect(ownIdOf(clean, ME)).toBeUndefined();
  const named = withOwnId(clean, ME, "mine");
  expect(ownIdOf(named, ME)).toBe("mine");
  expect(named.children).toEqual(parseStanza(named.bytes, new Map()).children);
  expect(named.bytes.toString()).toContain(`${ORIGIN}<stanza-id `);
});

test.each([
  ["in capitals", `<stanza-id xmlns='urn:xmpp:sid:0' by='JULIET@capulet.EXAMPLE' id='x'/>`],
  ["with a prefix", `<s:stanza-id xmlns:s='urn:xmpp:sid:0' by='${ME}' id='x'><a/></s:stanza-id>`],
])("a spoofed name is found %s", (_, spoofed) => {
  expect(withoutOwnIds(message(`${spoofed}<body>a</body>`), ME).children).toHaveLength(1);
});

test("nothing of ours, nothing to do: also for addresses that are none", () => {
  for (const payload of [
    "<body>a</body>",
    OTHERS,
    "<stanza-id xmlns='urn:xmpp:sid:0' by='@@' id='x'/>",
    "<stanza-id xmlns='urn:xmpp:sid:0' id='x'/>",
    `<stanza-id xmlns='urn:x' by='${ME}' id='x'/>`,
  ]) {
    const envelope = message(payload);
    expect(withoutOwnIds(envelope, ME)).toBe(envelope);
  }
});

test("a message that has as many children as it may gets no name", () => {
  const full = message("<a/>".repeat(256));
  expect(withOwnId(full, ME, "mine")).toBe(full);
});
