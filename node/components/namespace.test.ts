import { expect, test } from "vitest";
import { parseStreamOpen } from "../xml/parser.ts";
import { readInside, scopeInside, writeOutside } from "./namespace.ts";

const { scope } = parseStreamOpen(
  Buffer.from(
    "<stream:stream xmlns='jabber:component:accept' " +
      "xmlns:stream='http://etherx.jabber.org/streams' to='icq.example.org'>",
  ),
);

const inside = (xml: string) => readInside(Buffer.from(xml), scopeInside(scope));
const outside = (xml: string) => writeOutside(Buffer.from(xml)).toString();

test.each([
  ["of the stream", "<message to='a@b'><body>hi</body></message>"],
  [
    "written out",
    "<message xmlns='jabber:component:accept' to='a@b'><body xmlns='jabber:component:accept'>hi</body></message>",
  ],
  [
    "with a prefix",
    "<c:message xmlns:c='jabber:component:accept' to='a@b'><c:body>hi</c:body></c:message>",
  ],
  ["of clients", "<message xmlns='jabber:client' to='a@b'><body>hi</body></message>"],
])("a stanza in the namespace %s is in jabber:client inside", (_, xml) => {
  const { name, ns, children } = inside(xml);
  expect({ name, ns, children }).toEqual({
    name: "message",
    ns: "jabber:client",
    children: [{ name: "body", ns: "jabber:client" }],
  });
});

test("text that names the namespace stays as it is", () => {
  const xml = "<message to='a@b'><body>jabber:component:accept</body></message>";
  expect(inside(xml).withAttributes({}).toString()).toContain("<body>jabber:component:accept<");
});

test("a stanza goes out in the namespace of components, and only its start tag changes", () => {
  expect(
    outside(
      "<message xmlns='jabber:client' to='é@b'><fwd xmlns='urn:x'><message xmlns='jabber:client'/></fwd></message>",
    ),
  ).toBe(
    "<message xmlns='jabber:component:accept' to='é@b'><fwd xmlns='urn:x'><message xmlns='jabber:client'/></fwd></message>",
  );
});

test.each([
  [
    `<iq id="xmlns='jabber:client'" xmlns="jabber:client"/>`,
    `<iq id="xmlns='jabber:client'" xmlns="jabber:component:accept"/>`,
  ],
  ["<c:iq id='1' xmlns:c='jabber:client'/>", "<c:iq id='1' xmlns:c='jabber:component:accept'/>"],
  [
    "<iq id='é'\n xmlns = 'jabber:client'>é</iq>",
    "<iq id='é'\n xmlns = 'jabber:component:accept'>é</iq>",
  ],
])("it is found wherever it stands: %s", (given, wanted) => {
  expect(outside(given)).toBe(wanted);
});
