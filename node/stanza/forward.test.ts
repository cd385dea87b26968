import { expect, test } from "vitest";
import { parseElement, parseStanza } from "../xml/parser.ts";
import { forwarding } from "./forward.ts";
import { Jid } from "./jid.ts";

const FROM = Jid.parse("obrien@capulet.example");
const TO = Jid.parse(`obrien@capulet.example/"bal" & cony`);
const INNER = "<message xmlns='jabber:client' from='a@b/c' to='d@e'><body>ü &lt;</body></message>";
const wrapping = { from: FROM, to: TO, type: "chat", receivedMs: 5, name: "sent", ns: "urn:x" };

test("the stanza stands inside as it is, the wrapping says who it is for", () => {
  const envelope = forwarding(Buffer.from(INNER), wrapping);
  expect(envelope).toMatchObject({ kind: "message", type: "chat", id: "", from: FROM, to: TO });
  expect(envelope.bytes.toString()).toContain(`<forwarded xmlns='urn:xmpp:forward:0'>${INNER}</`);
  const tree = parseElement(envelope.bytes);
  expect(tree.attrs).toMatchObject({ from: FROM.full, to: TO.full, type: "chat" });
  expect(parseStanza(envelope.bytes, new Map()).children).toEqual(envelope.children);
});

test("a delay and attributes are put in, and type normal is left out", () => {
  const attributes = { id: "1", queryid: undefined };
  const details = { ...wrapping, type: "normal", attributes, delayedMs: Date.UTC(2026, 0, 1) };
  const tree = parseElement(forwarding(Buffer.from(INNER), details).bytes);
  expect(tree.attrs.type).toBeUndefined();
  const holder = tree.getChild("sent");
  expect(holder?.attrs).toEqual({ xmlns: "urn:x", id: "1" });
  const forwarded = holder?.getChild("forwarded");
  expect(forwarded?.getChild("delay")?.attrs.stamp).toBe("2026-01-01T00:00:00.000Z");
  expect(forwarded?.getChild("message")?.getChildText("body")).toBe("ü <");
});
