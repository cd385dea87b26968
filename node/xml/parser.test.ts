import { describe, expect, it, vi } from "vitest";
import type { Scope } from "./contract.ts";
import { XmlError } from "./errors.ts";
import {
  ATTRIBUTES_MAX,
  CHILDREN_MAX,
  DEPTH_MAX,
  ELEMENTS_MAX,
  NAME_LENGTH_MAX,
  NS_LENGTH_MAX,
  PREFIXES_MAX,
} from "./limits.ts";
import { parseElement, parseStanza, parseStreamOpen } from "./parser.ts";
import { serialize } from "./write.ts";

const SCOPE: Scope = new Map([
  ["", "jabber:client"],
  ["stream", "http://etherx.jabber.org/streams"],
]);
const parse = (text: string) => parseStanza(Buffer.from(text), SCOPE);
const range = (count: number) => Array.from({ length: count }, (_, at) => at);

/** The condition that the text is refused with; undefined when it passes. */
function condition(text: string): string | undefined {
  try {
    parse(text);
    return undefined;
  } catch (error) {
    if (error instanceof XmlError) return error.condition;
    throw error;
  }
}

describe("parseStanza", () => {
  it("tells name, namespace, attributes, language and children without a tree", () => {
    const stanza = parse(
      "<message to='a&amp;b' id=\"1'\" xml:lang='de' xmlns:p='u' p:to='c'>" +
        "<body>x<b/></body> <p:x/><y xmlns='v'><z/></y><z xmlns=''/></message>",
    );
    expect(stanza.name).toBe("message");
    expect(stanza.ns).toBe("jabber:client");
    expect({ ...stanza.attributes }).toEqual({ to: "a&b", id: "1'" });
    expect(stanza.lang).toBe("de");
    expect(stanza.children).toEqual([
      { name: "body", ns: "jabber:client" },
      { name: "x", ns: "u" },
      { name: "y", ns: "v" },
      { name: "z", ns: "" },
    ]);
  });

  it("keeps names of the object prototype apart from it", () => {
    const stanza = parse(
      "<message><__proto__ __proto__='1' hasOwnProperty='2' constructor='3'/></message>",
    );
    expect(Object.getPrototypeOf(stanza.attributes)).toBe(null);
    expect(stanza.attributes.constructor).toBeUndefined();
    expect(serialize(stanza.element())).toBe(
      "<message xmlns='jabber:client'><__proto__ __proto__='1' hasOwnProperty='2' constructor='3'/></message>",
    );
    expect({ ...parse("<iq __proto__='x'/>").attributes }).toEqual({ ["__proto__"]: "x" });
  });

  it("gives the same tree each time", () => {
    const stanza = parse("<message/>");
    expect(stanza.element()).toBe(stanza.element());
  });

  it("resolves prefixes into plain names", () => {
    const stanza = parse("<s:iq xmlns:s='jabber:client' xmlns='v'><q/><s:r s:a='1'/></s:iq>");
    expect(serialize(stanza.element())).toBe(
      "<iq xmlns='jabber:client' xmlns:s='jabber:client'><q xmlns='v'/><r s:a='1'/></iq>",
    );
  });

  it("takes exactly one element", () => {
    for (const text of [
      "",
      " ",
      "x",
      "<",
      "<a",
      "<a>",
      "<a></a",
      "<a/> ",
      " <a/>",
      "<a/><b/>",
      "<a/>x",
      "</a>",
    ]) {
      expect(condition(text), text).toBe("not-well-formed");
    }
    expect(condition("<a/><!-- -->")).toBe("not-well-formed");
  });

  it("never says what the peer sent", () => {
    expect(() => parse("<secret>&password;</secret>")).toThrow(
      "Cannot read XML: an entity that XML does not predefine",
    );
  });
});

describe("caps", () => {
  const attributes = (count: number) =>
    range(count)
      .map((at) => ` a${at}=''`)
      .join("");

  it("attributes", () => {
    expect(condition(`<a${attributes(ATTRIBUTES_MAX)}/>`)).toBeUndefined();
    expect(condition(`<a${attributes(ATTRIBUTES_MAX + 1)}/>`)).toBe("policy-violation");
    expect(condition(`<a${attributes(10_000)}/>`)).toBe("policy-violation");
    expect(condition(`<a${attributes(100)} a99=''/>`)).toBe("not-well-formed");
  });

  it("names", () => {
    expect(condition(`<${"a".repeat(NAME_LENGTH_MAX)}/>`)).toBeUndefined();
    expect(condition(`<${"a".repeat(NAME_LENGTH_MAX + 1)}/>`)).toBe("policy-violation");
    expect(condition(`<a ${"a".repeat(NAME_LENGTH_MAX + 1)}=''/>`)).toBe("policy-violation");
  });

  it("namespace names", () => {
    expect(condition(`<a xmlns='${"u".repeat(NS_LENGTH_MAX)}'/>`)).toBeUndefined();
    expect(condition(`<a xmlns='${"u".repeat(NS_LENGTH_MAX + 1)}'/>`)).toBe("policy-violation");
  });

  it("prefixes in force at once, but not one after the other", () => {
    const declare = (count: number) =>
      range(count)
        .map((at) => ` xmlns:p${at}='u'`)
        .join("");
    expect(condition(`<a${declare(PREFIXES_MAX)}/>`)).toBeUndefined();
    expect(condition(`<a${declare(PREFIXES_MAX + 1)}/>`)).toBe("policy-violation");
    expect(condition(`<a${declare(PREFIXES_MAX)}><b xmlns:q='u'/></a>`)).toBe("policy-violation");
    const one = `<b${declare(PREFIXES_MAX)}/>`;
    expect(condition(`<a>${one}${one}</a>`)).toBeUndefined();
  });

  it("levels", () => {
    const nested = (levels: number) => "<a>".repeat(levels) + "</a>".repeat(levels);
    expect(condition(nested(DEPTH_MAX))).toBeUndefined();
    expect(condition(nested(DEPTH_MAX + 1))).toBe("policy-violation");
    expect(condition(nested(10_000))).toBe("policy-violation");
  });

  it("children and elements", () => {
    expect(condition(`<a>${"<b/>".repeat(CHILDREN_MAX)}</a>`)).toBeUndefined();
    expect(condition(`<a>${"<b/>".repeat(CHILDREN_MAX + 1)}</a>`)).toBe("policy-violation");
    expect(condition(`<a><q>${"<b/>".repeat(ELEMENTS_MAX - 2)}</q></a>`)).toBeUndefined();
    expect(condition(`<a><q>${"<b/>".repeat(ELEMENTS_MAX - 1)}</q></a>`)).toBe("policy-violation");
  });
});

describe("withAttributes", () => {
  const changed = (text: string, changes: Record<string, string | undefined>) =>
    parse(text).withAttributes(changes).toString();

  it("splices, leaving every other byte as it was", () => {
    expect(
      changed(
        "<message  to = \"x\"\n from='é' id='1&#x41;'><body>é&#65;<![CDATA[<]]></body></message >",
        {
          from: "a@b/c",
          to: undefined,
        },
      ),
    ).toBe(
      "<message id='1&#x41;' xmlns='jabber:client' from='a@b/c'><body>é&#65;<![CDATA[<]]></body></message >",
    );
  });

  it("keeps a declaration that is there, and an empty element empty", () => {
    expect(changed('<presence xmlns="jabber:client" />', { from: "a" })).toBe(
      "<presence xmlns=\"jabber:client\"  from='a'/>",
    );
  });

  it("keeps the start tag as it is when nothing in it changes", () => {
    expect(
      changed("<message to = 'é&#65;'\n><body>é</body></message>", { from: "a", to: "éA" }),
    ).toBe("<message to = 'é&#65;'\n xmlns='jabber:client' from='a'><body>é</body></message>");
  });

  it("escapes values", () => {
    expect(changed("<presence/>", { from: "a@b/<'\"&>\n" })).toBe(
      "<presence xmlns='jabber:client' from='a@b/&lt;&apos;&quot;&amp;&gt;&#xA;'/>",
    );
    expect(() => changed("<presence/>", { from: "\0" })).toThrow("Cannot write XML");
  });

  it("sets xml:lang", () => {
    expect(changed("<presence/>", { "xml:lang": "de" })).toBe(
      "<presence xmlns='jabber:client' xml:lang='de'/>",
    );
  });

  it("writes anew what depends on the stream's prefixes", () => {
    expect(changed("<message><stream:x/><y stream:a='1'/></message>", { from: "a" })).toBe(
      "<message xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams' from='a'>" +
        "<x xmlns='http://etherx.jabber.org/streams'/><y stream:a='1'/></message>",
    );
  });

  it("writes anew what has a prefix itself, so that its default is jabber:client", () => {
    expect(
      changed("<c:iq xmlns:c='jabber:client' xmlns='u' from='b'><q/></c:iq>", { from: "a" }),
    ).toBe("<iq xmlns='jabber:client' xmlns:c='jabber:client' from='a'><q xmlns='u'/></iq>");
  });

  it("writes anew without an attribute that is removed", () => {
    expect(changed("<c:iq xmlns:c='jabber:client' to='b'/>", { to: undefined })).toBe(
      "<iq xmlns='jabber:client' xmlns:c='jabber:client'/>",
    );
  });
});

describe("parseElement", () => {
  it("reads a self-contained stanza, deeper than a peer may send", () => {
    const text = `${"<a>".repeat(DEPTH_MAX + 8)}${"</a>".repeat(DEPTH_MAX + 8)}`;
    expect(parseElement(Buffer.from(text)).name).toBe("a");
  });
});

describe("parseStreamOpen", () => {
  it("tells what the header said", () => {
    const open = parseStreamOpen(
      Buffer.from(
        "<s:stream to='x' xml:lang='en' version='1.0' xmlns='jabber:client' " +
          "xmlns:s='http://etherx.jabber.org/streams' xmlns:q='u' q:to='y'>",
      ),
    );
    expect(open.name).toBe("stream");
    expect(open.ns).toBe("http://etherx.jabber.org/streams");
    expect({ ...open.attributes }).toEqual({ to: "x", version: "1.0" });
    expect(open.lang).toBe("en");
    expect(Object.fromEntries(open.scope)).toEqual({
      "": "jabber:client",
      s: "http://etherx.jabber.org/streams",
      q: "u",
    });
  });

  it("refuses anything after the tag", () => {
    expect(() => parseStreamOpen(Buffer.from("<a><b>"))).toThrow(XmlError);
  });
});

describe("work", () => {
  /** How often a character is looked at, per character of the text. */
  function looks(text: string): number {
    const bytes = Buffer.from(text);
    const spy = vi.spyOn(String.prototype, "charCodeAt");
    try {
      parseStanza(bytes, SCOPE);
    } catch (error) {
      if (!(error instanceof XmlError)) throw error;
    }
    const count = spy.mock.calls.length;
    spy.mockRestore();
    return count / text.length;
  }

  it("is linear for text made to be expensive", () => {
    const texts = {
      entities: `<a>${"&amp;".repeat(4_000)}</a>`,
      "an endless entity": `<a>&${"x".repeat(20_000)}</a>`,
      "an endless reference": `<a>&#${"0".repeat(20_000)}65;</a>`,
      brackets: `<a>${"]".repeat(20_000)}</a>`,
      "brackets in CDATA": `<a><![CDATA[${"]".repeat(20_000)}]]></a>`,
      "other quotes": `<a b="${"'".repeat(20_000)}"/>`,
      newlines: `<a b="${"\r\n".repeat(10_000)}">${"\r\n".repeat(10_000)}</a>`,
      elements: `<a><q>${"<b/>".repeat(5_000)}</q></a>`,
      levels: `<a>${("<a>".repeat(60) + "</a>".repeat(60)).repeat(50)}</a>`,
      "long names": `<a><q>${`<${"n".repeat(250)}></${"n".repeat(250)}>`.repeat(60)}</q></a>`,
      spaces: `<a${" ".repeat(20_000)}>${" ".repeat(20_000)}</a>`,
    };
    for (const [name, text] of Object.entries(texts)) expect(looks(text), name).toBeLessThan(4);
  });
});
