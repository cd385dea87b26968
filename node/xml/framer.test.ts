import { describe, expect, it, vi } from "vitest";
import { BAD_INPUTS, HEADER } from "./bad-input.fixture.ts";
import type { Framer, FrameSink, Scope } from "./contract.ts";
import { XmlError } from "./errors.ts";
import { createFramer } from "./framer.ts";
import { DEPTH_MAX, HEADER_BYTES_MAX } from "./limits.ts";
import { EMPTY_SCOPE, parseStanza, parseStreamOpen } from "./parser.ts";
import { serialize } from "./write.ts";

const LIMIT = 65_536;

/** Reads as a door does: every piece is parsed as it comes. */
class Door implements FrameSink {
  readonly seen: string[] = [];
  scope: Scope = EMPTY_SCOPE;

  onStreamOpen(startTag: Buffer): void {
    const { name, scope } = parseStreamOpen(startTag);
    this.scope = scope;
    this.seen.push(`open ${name}`);
  }
  onStanza(bytes: Buffer): void {
    this.seen.push(serialize(parseStanza(bytes, this.scope).element()));
  }
  onStreamClose(): void {
    this.seen.push("close");
  }
}

/** What came out, the last entry being the condition when it was refused. */
function read(chunks: readonly Buffer[], limit = LIMIT): string[] {
  const door = new Door();
  const framer = createFramer(limit);
  try {
    for (const chunk of chunks) framer.feed(chunk, door);
  } catch (error) {
    if (!(error instanceof XmlError)) throw error;
    door.seen.push(error.condition);
  }
  return door.seen;
}

const singleBytes = (stream: Buffer) => Array.from(stream, (byte) => Buffer.from([byte]));

/** The framer alone: pieces as text. */
function frame(framer: Framer, ...chunks: readonly string[]): string[] {
  const pieces: string[] = [];
  for (const chunk of chunks) framer.feed(Buffer.from(chunk), listTo(pieces));
  return pieces;
}

const listTo = (pieces: string[]): FrameSink => ({
  onStreamOpen: (startTag) => void pieces.push(startTag.toString()),
  onStanza: (bytes) => void pieces.push(bytes.toString()),
  onStreamClose: () => void pieces.push("close"),
});

function opened(limit = LIMIT): Framer {
  const framer = createFramer(limit);
  frame(framer, HEADER);
  return framer;
}

describe("bad input is refused before anything of it comes out", () => {
  for (const { name, stream, condition } of BAD_INPUTS) {
    const expected = stream.toString("latin1").startsWith(HEADER)
      ? ["open stream", condition]
      : [condition];
    it(`${name}: ${condition}`, () => {
      expect(read([stream])).toEqual(expected);
    });
    it(`${name}, cut at every byte`, () => {
      for (let at = 1; at < stream.length; at++) {
        expect(read([stream.subarray(0, at), stream.subarray(at)])).toEqual(expected);
      }
      expect(read(singleBytes(stream))).toEqual(expected);
    });
  }
});

const LEGAL = `${HEADER} \n<message to='a'\n id = "1>'" ><body>x &gt; y &#x1F600; 😀 é</body ></message>\t
<iq type='get' id='&#x9;&quot;&apos;'><q xmlns='u'><![CDATA[<a>]] & ]]]]><![CDATA[>]]></q></iq><presence/>
<p:presence xmlns:p='jabber:client' __proto__='1' constructor="2"/><stream:error stream:a='1'/>
<message><body>a\r\nb\rc</body><x xmlns='' xml:lang='de' t='1\r\n2\t3'/></message></stream:stream >`;

describe("legal input", () => {
  const expected = [
    "open stream",
    "<message xmlns='jabber:client' to='a' id='1&gt;&apos;'><body>x &gt; y 😀 😀 é</body></message>",
    "<iq xmlns='jabber:client' type='get' id='&#x9;&quot;&apos;'><q xmlns='u'>&lt;a&gt;]] &amp; ]]&gt;</q></iq>",
    "<presence xmlns='jabber:client'/>",
    "<presence xmlns='jabber:client' xmlns:p='jabber:client' __proto__='1' constructor='2'/>",
    "<error xmlns='http://etherx.jabber.org/streams' stream:a='1' xmlns:stream='http://etherx.jabber.org/streams'/>",
    "<message xmlns='jabber:client'><body>a\nb\nc</body><x xmlns='' xml:lang='de' t='1 2 3'/></message>",
    "close",
  ];
  const stream = Buffer.from(LEGAL);

  it("comes out whole", () => expect(read([stream])).toEqual(expected));

  it("comes out the same when cut at every byte", () => {
    for (let at = 1; at < stream.length; at++) {
      expect(read([stream.subarray(0, at), stream.subarray(at)])).toEqual(expected);
    }
  });

  it("comes out the same byte by byte", () => expect(read(singleBytes(stream))).toEqual(expected));

  it("ignores what follows the end of the stream", () => {
    expect(read([stream, Buffer.from("<junk"), Buffer.from([0xff])])).toEqual(expected);
  });

  it("may be a root without content", () => {
    expect(read([Buffer.from("<a xmlns='u'/>")])).toEqual(["open a", "close"]);
  });

  it("may have whitespace around the declaration, and an encoding in any case", () => {
    const header = `\n<?xml version="1.0" encoding='utf-8' standalone='yes' ?>\n${HEADER.slice(21)}`;
    expect(read([Buffer.from(header)])).toEqual(["open stream"]);
  });

  it("may have U+FEFF inside a stanza, which is not a byte order mark there", () => {
    const stanza = "<message><body>\uFEFF</body></message>";
    expect(frame(opened(), stanza)).toEqual([stanza]);
  });
});

describe("limits", () => {
  it("a stanza of exactly the limit passes, one byte more does not", () => {
    const stanza = `<message>${"x".repeat(100)}</message>`;
    expect(frame(opened(stanza.length), stanza)).toEqual([stanza]);
    expect(() => frame(opened(stanza.length - 1), stanza)).toThrow("more than 118 bytes");
  });

  it("an unfinished stanza is refused as soon as it is over the limit", () => {
    const framer = opened(100);
    frame(framer, "<message>", "x".repeat(91));
    expect(() => frame(framer, "x")).toThrow(
      expect.objectContaining({ condition: "policy-violation" }),
    );
  });

  it("the limit can be raised between stanzas", () => {
    const framer = opened(20);
    framer.setStanzaLimit(30);
    expect(frame(framer, "<message>1234567890</message>")).toHaveLength(1);
  });

  it("whitespace between stanzas counts for nothing", () => {
    const framer = opened(20);
    expect(frame(framer, " ".repeat(1_000), "\n".repeat(1_000), "<presence/>")).toEqual([
      "<presence/>",
    ]);
  });

  it("a stream header is bounded whatever the stanza limit, and so is the declaration", () => {
    const header = `<stream a='${"x".repeat(HEADER_BYTES_MAX)}`;
    expect(read([Buffer.from(header)], 1_000_000)).toEqual(["policy-violation"]);
    expect(read([Buffer.from(`<?xml ${" ".repeat(HEADER_BYTES_MAX)}`)])).toEqual([
      "policy-violation",
    ]);
    const fits = header.slice(0, HEADER_BYTES_MAX - 2);
    expect(read([Buffer.from(`${fits}'>`)], 10)).toEqual(["open stream"]);
    expect(read([Buffer.from(`${fits}x'>`)], 10)).toEqual(["policy-violation"]);
  });

  it("an end tag of the root is bounded too", () => {
    expect(() => frame(opened(100), `</${"x".repeat(200)}`)).toThrow("more than 100 bytes");
  });

  it("levels are bounded", () => {
    const nested = (levels: number) => "<a>".repeat(levels) + "</a>".repeat(levels);
    expect(frame(opened(), nested(DEPTH_MAX))).toEqual([nested(DEPTH_MAX)]);
    expect(() => frame(opened(), "<a>".repeat(DEPTH_MAX + 1))).toThrow(
      expect.objectContaining({ condition: "policy-violation" }),
    );
    expect(() => frame(opened(), "<a>".repeat(10_000))).toThrow("too many levels");
  });
});

describe("control from within a sink", () => {
  it("reset reads the rest of the chunk as a new stream", () => {
    const framer = createFramer(LIMIT);
    const pieces: string[] = [];
    const sink: FrameSink = {
      ...listTo(pieces),
      onStanza(bytes) {
        pieces.push(bytes.toString());
        if (bytes.toString() === "<auth/>") framer.reset();
      },
    };
    const stream = `${HEADER}<auth/>${HEADER}<presence/></stream:stream>`;
    framer.feed(Buffer.from(stream), sink);
    const start = HEADER.slice(HEADER.indexOf("<stream"));
    expect(pieces).toEqual([start, "<auth/>", start, "<presence/>", "close"]);
  });

  it("reset in the middle of a piece forgets it", () => {
    const framer = opened();
    frame(framer, "<message><bo");
    framer.reset();
    expect(frame(framer, HEADER, "<presence/>")).toHaveLength(2);
  });

  it("stop ignores the rest of the chunk and later ones", () => {
    const framer = opened();
    const pieces: string[] = [];
    const sink = { ...listTo(pieces), onStanza: () => framer.stop() };
    framer.feed(Buffer.from("<a/><b/><"), sink);
    framer.feed(Buffer.from("!!!"), sink);
    expect(pieces).toEqual([]);
  });

  it("after stop, reset begins a new stream, without what was sent in between", () => {
    const framer = createFramer(LIMIT);
    const sink = { ...listTo([]), onStanza: () => framer.stop() };
    framer.feed(Buffer.from(`${HEADER}<starttls/>${HEADER}<auth/>`), sink);
    framer.reset();
    expect(frame(framer, HEADER, "<presence/>").at(-1)).toBe("<presence/>");
  });

  it("an error in a sink passes through, and nothing comes out afterwards", () => {
    const framer = opened();
    const fail = () => {
      throw new RangeError("sink");
    };
    expect(() => framer.feed(Buffer.from("<a/><b/>"), { ...listTo([]), onStanza: fail })).toThrow(
      RangeError,
    );
    expect(frame(framer, "<c/>")).toEqual([]);
  });

  it("after an error nothing comes out", () => {
    const framer = opened();
    expect(() => frame(framer, "junk")).toThrow(XmlError);
    expect(frame(framer, "<c/>")).toEqual([]);
  });
});

describe("memory and work", () => {
  it("a piece that a chunk holds all of is not copied, one of several chunks keeps none of them", () => {
    const framer = opened();
    const pieces: Buffer[] = [];
    const sink = { ...listTo([]), onStanza: (bytes: Buffer) => void pieces.push(bytes) };
    const chunk = Buffer.from("<a>1</a><b>2");
    framer.feed(chunk, sink);
    framer.feed(Buffer.from("</b>"), sink);
    expect(pieces.map(String)).toEqual(["<a>1</a>", "<b>2</b>"]);
    chunk.fill("!");
    expect(pieces.map(String)).toEqual(["!!!!!!!!", "<b>2</b>"]);
  });

  it("copies each byte a bounded number of times, however small the writes are", () => {
    const size = 1_000_000;
    const framer = opened(2 * size);
    frame(framer, "<a>");
    const copy = vi.spyOn(Buffer.prototype, "copy");
    try {
      const one = Buffer.from("x");
      for (let count = 0; count < size; count++) framer.feed(one, listTo([]));
      const pieces = frame(framer, "</a>");
      expect(pieces[0]).toHaveLength(size + 7);
      const copied = copy.mock.results.reduce((sum, { value }) => sum + (value as number), 0);
      expect(copied).toBeLessThan(4 * size);
    } finally {
      copy.mockRestore();
    }
  });

  it("looks at each byte once, however the stream is cut", () => {
    const stanza = Buffer.from(
      `<a b="${"y".repeat(500)}">${"<c/>x".repeat(300)}<![CDATA[${"]".repeat(500)}]]></a>`,
    );
    for (const size of [1, 7, 40]) {
      let looks = 0;
      const framer = opened();
      for (let at = 0; at < stanza.length; at += size) {
        const chunk = stanza.subarray(at, at + size);
        const counted = new Proxy(chunk, {
          get(target, key) {
            const value = Reflect.get(target, key, target) as unknown;
            if (typeof value === "function") return value.bind(target);
            if (typeof value === "number" && key !== "length") looks += 1;
            return value;
          },
        });
        framer.feed(counted, listTo([]));
      }
      // A "<" in text is looked at once more to see that the search ended.
      expect(looks).toBeLessThan(1.5 * stanza.length);
    }
  });
});
