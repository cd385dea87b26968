import { describe, expect, test } from "vitest";
import { compareStanza } from "./dialogue-expect.ts";
import { readStanzas } from "./dialogue-reader.ts";

const NAMES = new Map([["juliet", "juliet@localhost"]]);

function compare(expected: string, actual: string) {
  const [wanted, got] = [readStanzas(expected)[0], readStanzas(actual)[0]];
  if (wanted === undefined || got === undefined) throw new Error("nothing to compare");
  return compareStanza(wanted, got, NAMES);
}

const MATCHING: readonly (readonly [string, string, string])[] = [
  ["attributes that are not told", '<iq type="get"/>', '<iq type="get" id="1" to="a"/>'],
  ["a name that is known", '<iq from="{juliet}"/>', '<iq from="juliet@localhost"/>'],
  ["a part that is known", '<iq from="{juliet}/x"/>', '<iq from="juliet@localhost/x"/>'],
  ["one of several values", '<iq id="{a|b}"/>', '<iq id="b"/>'],
  ["an attribute that is not there", '<iq id="{none}"/>', "<iq/>"],
  ["a time", '<iq id="{time}"/>', '<iq id="2026-01-02T03:04:05.678Z"/>'],
  ["children in another order", "<iq><a/><b/></iq>", "<iq><b/><a/></iq>"],
  ["children between others", "<iq>{in order}{more}<a/><b/></iq>", "<iq><a/><x/><b/></iq>"],
  ["another prefix", '<iq><a xmlns="u"/></iq>', '<iq><p:a xmlns:p="u"/></iq>'],
  [
    "more in an error",
    '<iq type="error"><error/></iq>',
    '<iq type="error"><q/><error><a/></error></iq>',
  ],
  ["a message of type normal", "<message/>", '<message type="normal"/>'],
  ["white space around children", "<iq>\n  <a/>\n</iq>", "<iq><a/></iq>"],
  [
    "the child that fits of two",
    '<iq><a i="{x}"/><a i="1"/></iq>',
    '<iq><a i="1"/><a i="2"/></iq>',
  ],
  [
    "what the server calls a message",
    "<message><a/></message>",
    '<message><a/><stanza-id xmlns="urn:xmpp:sid:0" id="1"/></message>',
  ],
  ["any text", "<message><body>{any}</body></message>", "<message><body>x</body></message>"],
];

const DIFFERENT: readonly (readonly [string, string, string])[] = [
  ["another value", '<iq id="1"/>', '<iq id="2"/>'],
  ["an attribute that is missing", '<iq id="{any}"/>', "<iq/>"],
  ["an attribute that must not be there", '<iq id="{none}"/>', '<iq id="1"/>'],
  ["a type where none is told", "<presence/>", '<presence type="unavailable"/>'],
  ["no type where one is told", '<presence type="probe"/>', "<presence/>"],
  ["a child that is missing", "<iq><a/></iq>", "<iq/>"],
  ["the same child twice", "<iq><a/></iq>", "<iq><a/><a/></iq>"],
  ["one child where two are told", "<iq><a/><a/></iq>", "<iq><a/></iq>"],
  ["another namespace", '<iq><a xmlns="u"/></iq>', '<iq><a xmlns="v"/></iq>'],
  ["the wrong order", "<iq>{in order}<a/><b/></iq>", "<iq><b/><a/></iq>"],
  ["other text", "<message><body>a</body></message>", "<message><body>a </body></message>"],
  ["text where none is told", "<iq><a/></iq>", "<iq><a>x</a></iq>"],
  ["the wrong name twice", '<iq id="{x}" to="{x}"/>', '<iq id="1" to="2"/>'],
  ["a time that is none", '<iq id="{time}"/>', '<iq id="yesterday"/>'],
  [
    "another condition",
    '<iq type="error"><error><a/></error></iq>',
    '<iq type="error"><error><b/></error></iq>',
  ],
];

describe("an expected stanza", () => {
  test.each(MATCHING)("matches with %s", (_, expected, actual) => {
    expect(compare(expected, actual).kind).toBe("match");
  });

  test.each(DIFFERENT)("does not match with %s", (_, expected, actual) => {
    expect(compare(expected, actual).kind).toBe("mismatch");
  });

  test("captures what stands in the place of a new name", () => {
    const verdict = compare('<iq id="{i}"><a>{text}</a></iq>', '<iq id="7"><a>rose</a></iq>');
    expect(verdict.kind === "match" && Object.fromEntries(verdict.bindings)).toEqual({
      juliet: "juliet@localhost",
      i: "7",
      text: "rose",
    });
  });

  test("says what differs", () => {
    const verdict = compare('<iq id="1"/>', '<iq id="2"/>');
    expect(verdict).toEqual({ kind: "mismatch", why: 'attribute id: it is "2", not "1"' });
  });
});
