import { expect, test } from "vitest";
import { Jid } from "../stanza/jid.ts";
import { el } from "../xml/element.ts";
import { parseElement } from "../xml/parser.ts";
import { envelopeOf, newTemplate, readdress, stampFor, templateOf } from "./envelopes.ts";

const ROMEO = Jid.parse("romeo@montague.example/orchard");
const JULIET = Jid.parse("juliet@capulet.example/bal'c&ny");

const read = (xml: string) => envelopeOf(Buffer.from(xml), 5);

test.each([
  ["empty", "<presence xmlns='jabber:client' from='a@b/c' to='a@b'/>"],
  [
    "with children",
    "<presence xmlns='jabber:client' to='a@b' from='a@b/c'><show>away</show></presence>",
  ],
  [
    "with a prefix",
    "<c:presence xmlns:c='jabber:client' from='a@b/c' to='a@b'><c:show>xa</c:show></c:presence>",
  ],
  ["with a trap", `<presence xmlns='jabber:client' id=" to='x'" from='a@b/c' to='a@b'/>`],
])("a template is stamped for each recipient: %s", (_, xml) => {
  const template = templateOf(read(xml));
  expect(parseElement(template.bytes).attrs.to).toBeUndefined();
  const stamped = stampFor(template, JULIET);
  const tree = parseElement(stamped.bytes);
  expect(tree.attrs.to).toBe(JULIET.full);
  expect(tree.attrs.from).toBe("a@b/c");
  expect(tree.attrs.id).toBe(read(xml).element().attrs.id);
  expect(tree.children.length).toBe(read(xml).element().children.length);
  expect(stamped.to).toBe(JULIET);
});

test("a template of the server's own says who and what, and not to whom", () => {
  const about = { type: "unavailable", from: ROMEO, receivedMs: 7 };
  const template = newTemplate("presence", about, el("status", {}, "gone"));
  expect(template).toMatchObject({ kind: "presence", type: "unavailable", receivedMs: 7 });
  const tree = parseElement(stampFor(template, JULIET).bytes);
  expect(tree.attrs).toMatchObject({ from: ROMEO.full, to: JULIET.full, type: "unavailable" });
  expect(tree.getChildText("status")).toBe("gone");
});

test("a stanza gets other addresses and keeps the rest", () => {
  const before = read(
    "<presence xmlns='jabber:client' type='subscribe' id='1' from='a@b/c' to='d@e/f'><x xmlns='y'/></presence>",
  );
  const after = readdress(before, before.from.toBare(), before.to.toBare());
  expect(after).toMatchObject({ kind: "presence", type: "subscribe", id: "1", receivedMs: 5 });
  const { attrs, children } = parseElement(after.bytes);
  expect(attrs).toMatchObject({ from: "a@b", to: "d@e", type: "subscribe" });
  expect(children).toHaveLength(1);
});
