import fc from "fast-check";
import { expect, test } from "vitest";
import { XmlError } from "../../xml/errors.ts";
import { parseBody, sidOf, terminal, writeBody } from "./body.ts";

const BODY = Buffer.from(
  "<?xml version='1.0'?>\n<body xmlns='http://jabber.org/protocol/httpbind' rid='7' sid='s' " +
    "xmlns:xmpp='urn:xmpp:xbosh' xmpp:restart='true' xml:lang='de'>" +
    "<message xmlns='jabber:client'><body>é &amp; <![CDATA[]]></body></message><presence/></body>\n",
);
const LIMIT = 10_000;

test("a body is read with its stanzas, each in the namespace it is meant in", () => {
  const body = parseBody(BODY, LIMIT);
  expect(body).toMatchObject({ rid: 7, lang: "de", isRestart: true, isTerminate: false });
  expect([...body.stanzas()].map(({ name, ns }) => `${name} ${ns}`)).toEqual([
    "message jabber:client",
    "presence jabber:client",
  ]);
});

test("a body that is cut anywhere is refused", () => {
  const end = BODY.lastIndexOf(">");
  for (let length = 0; length <= end; length += 1) {
    expect(() => parseBody(BODY.subarray(0, length), LIMIT), String(length)).toThrow(XmlError);
  }
});

test("whatever a client sends is read or refused, and nothing else happens", () => {
  const place = fc.nat(BODY.length - 1);
  fc.assert(
    fc.property(place, place, fc.uint8Array({ maxLength: 12 }), (from, to, put) => {
      const bytes = Buffer.concat([
        BODY.subarray(0, Math.min(from, to)),
        put,
        BODY.subarray(Math.max(from, to)),
      ]);
      sidOf(bytes);
      try {
        for (const stanza of parseBody(bytes, LIMIT).stanzas()) stanza.element();
      } catch (error) {
        expect(error).toBeInstanceOf(XmlError);
      }
    }),
    { numRuns: 2_000 },
  );
});

test("the session of a broken body is seen in its start tag", () => {
  expect(sidOf(Buffer.from("<body xmlns='x' sid='s' rid='1'><!-- x -->"))).toBe("s");
  expect(sidOf(Buffer.from("<body xmlns='x' sid='s"))).toBeUndefined();
  expect(sidOf(Buffer.from("hello"))).toBeUndefined();
});

test("responses declare what stands in them", () => {
  expect(`${terminal(undefined)}`).toBe(
    "<body xmlns='http://jabber.org/protocol/httpbind' type='terminate'/>",
  );
  expect(
    `${writeBody({ a: "<'&" }, [Buffer.from("<stream:features><a/></stream:features>")])}`,
  ).toBe(
    "<body xmlns='http://jabber.org/protocol/httpbind' a='&lt;&apos;&amp;'>" +
      "<stream:features xmlns:stream='http://etherx.jabber.org/streams'><a/></stream:features></body>",
  );
});
