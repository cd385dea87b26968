/** Our parser against saxes, and the framer against the parser, on generated and damaged input. */
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { Scope } from "./contract.ts";
import type { Element } from "./element.ts";
import { XmlError } from "./errors.ts";
import { createFramer } from "./framer.ts";
import { oracle, plain } from "./oracle.fixture.ts";
import { EMPTY_SCOPE, parseElement, parseStanza } from "./parser.ts";
import { serialize, toBytes } from "./write.ts";

const SCOPE: Scope = new Map([
  ["", "jabber:client"],
  ["stream", "http://etherx.jabber.org/streams"],
  ["s", "urn:s"],
]);
const RUNS = 3_000;

const space = fc.constantFrom("", " ", "\n", "\t ", "\r\n");
const gap = fc.constantFrom(" ", "\n", " \t", "\r\n");
const name = fc.constantFrom(
  ..."a b é a-1 message iq s:a p:a q:a p:é xml:a stream:b __proto__ _.x".split(" "),
);
const attributeName = fc.constantFrom(
  ..."a b to from id xmlns xmlns:p xmlns:q p:a q:a s:a xml:lang é __proto__".split(" "),
);
const piece = fc.constantFrom(
  "x",
  " ",
  "é☃😀",
  "\r\n",
  "\r",
  "\n\t",
  "&amp;",
  "&lt;",
  "&gt;",
  "&apos;&quot;",
  "&#65;",
  "&#x1F600;",
  "&#xD;&#xA;",
  "]]",
  ">",
  "\u007F\u0085\u2028\uFEFF",
);
const value = fc.oneof(
  fc.constantFrom("u", "urn:p", "jabber:client", ""),
  fc.array(piece, { maxLength: 4 }).map((parts) => parts.join("")),
);
const attribute = fc
  .tuple(gap, attributeName, space, value, fc.constantFrom("'", '"'))
  .map(
    ([before, key, around, text, quote]) =>
      `${before}${key}${around}=${around}${quote}${text}${quote}`,
  );
const attributes = fc.array(attribute, { maxLength: 4 }).map((parts) => parts.join(""));
const section = fc.constantFrom("<![CDATA[]]>", "<![CDATA[<&]]]>", "<![CDATA[\r\n>]] >]]>");

const { element } = fc.letrec<{ element: string; content: string }>((tie) => ({
  content: fc.oneof({ maxDepth: 4 }, piece, section, tie("element")),
  element: fc
    .tuple(name, attributes, space, fc.array(tie("content"), { maxLength: 4 }), fc.boolean())
    .map(([tag, attrs, end, contents, isEmpty]) =>
      isEmpty && contents.length === 0
        ? `<${tag}${attrs}${end}/>`
        : `<${tag}${attrs}${end}>${contents.join("")}</${tag}${end}>`,
    ),
}));

/** Declares what the names above need, so that most elements are good. */
const stanza = fc
  .tuple(element, fc.boolean())
  .map(([text, isBound]) =>
    isBound ? `<message xmlns:p='urn:p' xmlns:q='urn:q'>${text}</message>` : text,
  );

const damage = fc.tuple(
  fc.nat(),
  fc.nat({ max: 3 }),
  fc.constantFrom(
    ..."< > & ; ' \" / = ! ? [ ] - : # 0 a x é \u0000 \u0001 \uFFFF <!-- --> ]]> <? ?> <![CDATA[ &a; xmlns /> </a>".split(
      " ",
    ),
    " ",
    "\n",
    "",
  ),
);
const damaged = fc
  .tuple(stanza, fc.array(damage, { minLength: 1, maxLength: 3 }))
  .map(([text, list]) =>
    list.reduce((now, [where, remove, insert]) => {
      const at = where % (now.length + 1);
      return now.slice(0, at) + insert + now.slice(at + remove);
    }, text),
  );

function tree(bytes: Buffer, scope: Scope): Element | undefined {
  try {
    return parseStanza(bytes, scope).element();
  } catch (error) {
    if (error instanceof XmlError) return undefined;
    throw error;
  }
}

/** Both refuse, or both read the same tree; whether they accepted. */
function agree(bytes: Buffer): boolean {
  const theirs = oracle(bytes, SCOPE);
  const ours = tree(bytes, SCOPE);
  expect(ours === undefined ? undefined : plain(ours)).toEqual(theirs);
  return ours !== undefined;
}

describe("the parser agrees with saxes", () => {
  it("on generated stanzas, most of them good", () => {
    let accepted = 0;
    fc.assert(
      fc.property(stanza, (text) => {
        if (agree(Buffer.from(text))) accepted += 1;
      }),
      { numRuns: RUNS },
    );
    expect(accepted).toBeGreaterThan(RUNS / 5);
  });

  it("on damaged stanzas", () => {
    let accepted = 0;
    fc.assert(
      fc.property(damaged, (text) => {
        if (agree(Buffer.from(text))) accepted += 1;
      }),
      { numRuns: RUNS },
    );
    expect(accepted).toBeGreaterThan(RUNS / 50);
    expect(accepted).toBeLessThan(RUNS);
  });

  it("on stanzas with a damaged byte", () => {
    fc.assert(
      fc.property(stanza, fc.nat(), fc.nat({ max: 255 }), (text, where, byte) => {
        const bytes = Buffer.from(text);
        bytes[where % bytes.length] = byte;
        agree(bytes);
      }),
      { numRuns: RUNS },
    );
  });
});

describe("reading without a tree", () => {
  it("makes the same checks, and tells the same name and children", () => {
    fc.assert(
      fc.property(damaged, (text) => {
        // The name decides whether a tree is built at once.
        const lazy = Buffer.from(`<message>${text}</message>`);
        const eager = Buffer.from(`<iq>${text}</iq>`);
        const [first, second] = [tree(lazy, SCOPE), tree(eager, SCOPE)];
        expect(first?.children.length).toBe(second?.children.length);
        if (first === undefined || second === undefined) return;
        expect(plain(first).children).toEqual(plain(second).children);
        const { children } = parseStanza(lazy, SCOPE);
        const names = plain(first).children.filter((node) => typeof node === "object");
        expect(children.map((child) => `{${child.ns}}${child.name}`)).toEqual(
          names.map((node) => node.name),
        );
      }),
      { numRuns: RUNS },
    );
  });
});

describe("what is written", () => {
  it("reads the same again, to saxes and to us, without any scope", () => {
    fc.assert(
      fc.property(stanza, (text) => {
        const ours = tree(Buffer.from(text), SCOPE);
        if (ours === undefined) return;
        // In the stream's scope an element in no namespace inherits; on its own it does not.
        const written = toBytes(parseElement(Buffer.from(text), SCOPE));
        expect(oracle(written, EMPTY_SCOPE)).toEqual(plain(ours));
        expect(serialize(parseElement(written))).toEqual(written.toString());
      }),
      { numRuns: RUNS },
    );
  });

  it("has changed attributes and nothing else changed, spliced or rewritten", () => {
    const changes = { from: "a'\"&<>\t\r\n", to: undefined, id: "é" };
    fc.assert(
      fc.property(stanza, (text) => {
        const bytes = Buffer.from(text);
        const ours = tree(bytes, SCOPE);
        if (ours === undefined) return;
        const expected = plain(ours);
        const attributes: Record<string, string> = Object.assign(
          Object.create(null),
          expected.attributes,
        );
        delete attributes["{}to"];
        attributes["{}from"] = changes.from;
        attributes["{}id"] = changes.id;
        const changed = parseStanza(bytes, SCOPE).withAttributes(changes);
        expect(oracle(changed, EMPTY_SCOPE)).toEqual({ ...expected, attributes });
      }),
      { numRuns: RUNS },
    );
  });
});

describe("the framer and the parser", () => {
  /** What a door would see: the pieces that the framer cuts and the parser takes. */
  function cut(chunks: readonly Buffer[]): string[] {
    const framer = createFramer(100_000);
    const seen: string[] = [];
    try {
      for (const chunk of chunks) {
        framer.feed(chunk, {
          onStreamOpen: () => undefined,
          onStanza: (bytes) => {
            parseStanza(bytes, SCOPE);
            seen.push(bytes.toString());
          },
          onStreamClose: () => void seen.push("close"),
        });
      }
    } catch (error) {
      if (!(error instanceof XmlError)) throw error;
      seen.push("refused");
    }
    return seen;
  }

  it("agree where stanzas end, wherever the stream is cut", () => {
    fc.assert(
      fc.property(
        fc.array(stanza, { maxLength: 3 }),
        damaged,
        fc.nat(),
        fc.nat(),
        (list, last, a, b) => {
          const good = list.filter((text) => tree(Buffer.from(text), SCOPE) !== undefined);
          const stream = Buffer.from(`<stream>${good.join(" ")}${last}<presence/></stream>`);
          const whole = cut([stream]);
          expect(whole.slice(0, good.length)).toEqual(good);
          const [from, to] = [a % stream.length, b % stream.length].sort((x, y) => x - y);
          expect(
            cut([stream.subarray(0, from), stream.subarray(from, to), stream.subarray(to)]),
          ).toEqual(whole);
          expect(cut(Array.from(stream, (byte) => Buffer.from([byte])))).toEqual(whole);
        },
      ),
      { numRuns: 500 },
    );
  });

  it("a piece that passes is one element to saxes as well", () => {
    fc.assert(
      fc.property(damaged, (text) => {
        const seen = cut([Buffer.from(`<stream>${text}</stream>`)]);
        for (const piece of seen) {
          if (piece === "close" || piece === "refused") continue;
          expect(oracle(Buffer.from(piece), SCOPE)).toBeDefined();
        }
      }),
      { numRuns: RUNS },
    );
  });
});
