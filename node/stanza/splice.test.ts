import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseStanza } from "../xml/parser.ts";
import { withChild, withoutChildren } from "./splice.ts";

const CHILDREN = [
  "<body>a &lt; b > c</body>",
  "<body xml:lang='de'>&#38;<![CDATA[</body><x/>]]]]></body>",
  "<x xmlns='urn:x' title=\"'>'\"/>",
  "<y xmlns='urn:y' a='/>'><y><y/></y>ü ☂ 👩🏽‍🚀<z b='>'/></y >",
  "<z:z xmlns:z='urn:z'/>",
  "<e></e>",
];
const someChildren = fc.array(fc.constantFrom(...CHILDREN), { maxLength: 8 });
const spaces = fc.constantFrom("", " ", "\n\t", "text");

const stanza = (children: readonly string[], space: string) =>
  Buffer.from(`<message xmlns='jabber:client' id='>'>${children.join(space)}</message>`);
const childrenOf = (bytes: Buffer) => parseStanza(bytes, new Map()).children;

describe("without some children", () => {
  test("the others stay, byte for byte", () => {
    fc.assert(
      fc.property(
        someChildren,
        spaces,
        fc.infiniteStream(fc.boolean()),
        (children, space, dice) => {
          const unwanted = children.map(() => dice.next().value === true);
          const isWanted = (_: unknown, index: number) => unwanted[index] === false;
          const left = withoutChildren(
            stanza(children, space),
            (index) => unwanted[index] === true,
          );
          const expected = childrenOf(stanza(children, space)).filter(isWanted);
          expect(childrenOf(left)).toEqual(expected);
          if (space !== "") return;
          expect(left.toString()).toBe(stanza(children.filter(isWanted), "").toString());
        },
      ),
    );
  });

  test("nothing unwanted is the same buffer, and a stanza without children stays", () => {
    const bytes = stanza(CHILDREN, "");
    expect(withoutChildren(bytes, () => false)).toBe(bytes);
    const empty = Buffer.from("<message xmlns='jabber:client' id='a'/>");
    expect(withoutChildren(empty, () => true)).toBe(empty);
  });
});

test("a child that was put in comes last, and can be taken out again", () => {
  fc.assert(
    fc.property(someChildren, spaces, (children, space) => {
      const bytes = stanza(children, space);
      const longer = withChild(bytes, Buffer.from("<last xmlns='urn:last'/>"));
      expect(childrenOf(longer).at(-1)).toEqual({ name: "last", ns: "urn:last" });
      expect(withoutChildren(longer, (index) => index === children.length)).toEqual(bytes);
    }),
  );
});
