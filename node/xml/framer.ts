/**
 * Finds where the stanzas of a stream end, on bytes, resumable at any byte. It only counts
 * brackets, quotes and levels: what it cuts out is checked by the parser, which must use the whole
 * slice, so the two cannot disagree about where a stanza ends.
 */
import { ASCII_NAME_START, isSpace } from "./characters.ts";
import type { Framer, FrameSink } from "./contract.ts";
import { checkDeclaration } from "./declaration.ts";
import { XmlError } from "./errors.ts";
import { DEPTH_MAX, HEADER_BYTES_MAX } from "./limits.ts";

const State = {
  /** Before the root element. */
  prolog: 0,
  declaration: 1,
  /** In the root element, between stanzas. */
  between: 2,
  text: 3,
  /** After "<". */
  open: 4,
  startTag: 5,
  quoted: 6,
  /** After "/" in a start tag. */
  slash: 7,
  endTag: 8,
  /** After "<!". */
  bang: 9,
  cdata: 10,
  closed: 11,
} as const;
type State = (typeof State)[keyof typeof State];

const LT = 0x3c;
const GT = 0x3e;
const SLASH = 0x2f;
const BRACKET = 0x5d;
const QUESTION = 0x3f;
const CDATA_START = Buffer.from("[CDATA[");
/** Text shorter than this is searched faster here than by a call out of JavaScript. */
const SHORT_TEXT = 48;

/** The usual root, so that not every connection keeps its own copy of the string. */
const USUAL_ROOT = "stream:stream";

/**
 * A framer that expects a stream header next.
 * @param stanzaBytes size limit of one stanza, before `setStanzaLimit` raises it
 */
export const createFramer = (stanzaBytes: number): Framer => new ByteFramer(stanzaBytes);

class ByteFramer implements Framer {
  #state: State = State.prolog;
  /** Open elements; -1 before the root, 0 between stanzas. */
  #depth = -1;
  /** The quote, the count of matched characters, or the last character: as the state needs. */
  #mark = 0;
  #isDeclared = false;
  #root = "";
  #limit: number;
  /** Where the piece at hand begins in the current chunk; 0 when an earlier chunk began it. */
  #from = 0;
  /** What earlier chunks hold of the piece at hand, doubled when full so that copying is linear. */
  #held: Buffer | undefined;
  #heldLength = 0;

  constructor(stanzaBytes: number) {
    this.#limit = stanzaBytes;
  }

  reset(): void {
    this.#state = State.prolog;
    this.#depth = -1;
    this.#isDeclared = false;
    this.#root = "";
    this.#release();
  }

  stop(): void {
    this.#state = State.closed;
    this.#release();
  }

  setStanzaLimit(bytes: number): void {
    this.#limit = bytes;
  }

  feed(chunk: Buffer, sink: FrameSink): void {
    this.#from = 0;
    let at = 0;
    try {
      while (at < chunk.length && this.#state !== State.closed) at = this.#step(chunk, at, sink);
      if (this.#isInPiece()) this.#hold(chunk, chunk.length);
    } catch (error) {
      this.stop();
      throw error;
    }
  }

  /** Reads one run of bytes in the present state; the position after it. */
  #step(chunk: Buffer, at: number, sink: FrameSink): number {
    switch (this.#state) {
      case State.prolog:
      case State.between:
        return this.#outside(chunk, at);
      case State.declaration:
        return this.#declaration(chunk, at);
      case State.text:
        return this.#text(chunk, at);
      case State.open:
        return this.#open(chunk[at] as number, at);
      case State.startTag:
        return this.#startTag(chunk, at, sink);
      case State.quoted:
        return this.#quoted(chunk, at);
      case State.slash:
        if (chunk[at] !== GT) throw malformed('"/" inside a tag');
        return this.#endElement(chunk, at + 1, this.#depth, sink);
      case State.endTag:
        return this.#endTag(chunk, at, sink);
      case State.bang:
        return this.#bang(chunk[at] as number, at);
      case State.cdata:
        return this.#cdata(chunk, at);
      case State.closed:
        return chunk.length;
      default:
        return this.#state satisfies never;
    }
  }

  #outside(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      // Whitespace between stanzas is a keepalive (RFC 6120, 4.6.1). Before the header it is only
      // tolerated: a newline after the last bytes of SASL may arrive on either side of the reset.
      if (isSpace(byte)) continue;
      if (byte === LT) {
        this.#from = at;
        this.#state = State.open;
        return at + 1;
      }
      // RFC 6120, 11.6: nothing but UTF-8. A UTF-8 BOM is U+FEFF, that is text, hence malformed.
      if (this.#depth < 0 && (byte === 0 || byte === 0xfe || byte === 0xff)) throw notUtf8();
      throw malformed("text outside of a stanza");
    }
    return chunk.length;
  }

  #open(byte: number, at: number): number {
    if (byte === SLASH && this.#depth >= 0) {
      this.#state = State.endTag;
    } else if (byte >= 0x80 || ASCII_NAME_START[byte] === 1) {
      if (this.#depth >= DEPTH_MAX) throw new XmlError("policy-violation", "too many levels");
      this.#state = State.startTag;
    } else if (byte === 0x21) {
      this.#state = State.bang;
      this.#mark = 0;
    } else if (byte === QUESTION) {
      if (this.#depth >= 0 || this.#isDeclared) throw restricted("a processing instruction");
      this.#state = State.declaration;
      this.#mark = 0;
    } else if (byte === 0 && this.#depth < 0) {
      throw notUtf8();
    } else {
      throw malformed('"<" without a name');
    }
    return at + 1;
  }

  #declaration(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (byte === GT && this.#mark === QUESTION) {
        checkDeclaration(this.#take(chunk, at + 1));
        this.#isDeclared = true;
        this.#state = State.prolog;
        return at + 1;
      }
      this.#mark = byte;
    }
    return chunk.length;
  }

  #text(chunk: Buffer, from: number): number {
    const near = Math.min(chunk.length, from + SHORT_TEXT);
    let at = from;
    while (at < near && chunk[at] !== LT) at++;
    if (at === near && near < chunk.length) {
      at = chunk.indexOf(LT, near);
      if (at === -1) at = chunk.length;
    }
    if (at === chunk.length) return at;
    this.#state = State.open;
    return at + 1;
  }

  #startTag(chunk: Buffer, from: number, sink: FrameSink): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at] as number;
      if (byte > GT) continue;
      if (byte === GT) return this.#startElement(chunk, at + 1, sink);
      if (byte === 0x22 || byte === 0x27) {
        this.#mark = byte;
        this.#state = State.quoted;
        return at + 1;
      }
      if (byte === SLASH) {
        this.#state = State.slash;
        return at + 1;
      }
      if (byte === LT) throw malformed('"<" inside a tag');
    }
    return chunk.length;
  }

  #quoted(chunk: Buffer, from: number): number {
    const quote = this.#mark;
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === quote) {
        this.#state = State.startTag;
        return at + 1;
      }
      if (byte === LT) throw malformed('"<" in an attribute');
    }
    return chunk.length;
  }

  #endTag(chunk: Buffer, from: number, sink: FrameSink): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === GT) return this.#endElement(chunk, at + 1, this.#depth - 1, sink);
      if (byte === LT) throw malformed('"<" inside a tag');
    }
    return chunk.length;
  }

  #bang(byte: number, at: number): number {
    if (this.#mark === 0 && byte !== CDATA_START[0]) {
      // Comments, DOCTYPE, ENTITY and the like are features that RFC 6120, 11.1 forbids.
      if (byte === 0x2d || (byte >= 0x41 && byte <= 0x5a)) throw restricted("a comment or a DTD");
      throw malformed('"<!" without a meaning');
    }
    if (byte !== CDATA_START[this.#mark]) throw malformed('"<![" without CDATA');
    if (this.#depth < 1) throw malformed("text outside of a stanza");
    this.#mark += 1;
    if (this.#mark === CDATA_START.length) {
      this.#state = State.cdata;
      this.#mark = 0;
    }
    return at + 1;
  }

  #cdata(chunk: Buffer, from: number): number {
    for (let at = from; at < chunk.length; at++) {
      const byte = chunk[at];
      if (byte === BRACKET) {
        if (this.#mark < 2) this.#mark += 1;
      } else if (byte === GT && this.#mark === 2) {
        this.#state = State.text;
        return at + 1;
      } else {
        this.#mark = 0;
      }
    }
    return chunk.length;
  }

  #startElement(chunk: Buffer, end: number, sink: FrameSink): number {
    this.#depth += 1;
    if (this.#depth > 0) this.#state = State.text;
    else this.#openStream(this.#take(chunk, end), sink);
    return end;
  }

  /** After an end tag or an empty element; `depth` is how many elements are open now. */
  #endElement(chunk: Buffer, end: number, depth: number, sink: FrameSink): number {
    if (depth > 0) {
      this.#depth = depth;
      this.#state = State.text;
      return end;
    }
    const piece = this.#take(chunk, end);
    // The state must be right before a sink is called: it may reset or stop this framer.
    if (depth === 0) {
      this.#depth = 0;
      this.#state = State.between;
      sink.onStanza(piece);
    } else if (this.#depth === 0) {
      if (!isEndTagOf(piece, this.#root)) throw malformed("an end tag without its start");
      this.#closeStream(sink);
    } else {
      this.#openStream(piece, sink);
      if (this.#state === State.between) this.#closeStream(sink);
    }
    return end;
  }

  #openStream(startTag: Buffer, sink: FrameSink): void {
    const root = rootName(startTag);
    this.#root = root === USUAL_ROOT ? USUAL_ROOT : root;
    this.#depth = 0;
    this.#state = State.between;
    sink.onStreamOpen(startTag);
  }

  #closeStream(sink: FrameSink): void {
    this.#state = State.closed;
    sink.onStreamClose();
  }

  #isInPiece(): boolean {
    return (
      this.#state !== State.prolog && this.#state !== State.between && this.#state !== State.closed
    );
  }

  /** The whole piece at hand, up to `end` of the chunk: part of that where it holds all of the piece. */
  #take(chunk: Buffer, end: number): Buffer {
    if (this.#held === undefined) {
      this.#checkLength(end - this.#from);
      const isAll = this.#from === 0 && end === chunk.length;
      const piece = isAll ? chunk : chunk.subarray(this.#from, end);
      this.#from = end;
      return piece;
    }
    this.#hold(chunk, end);
    const piece = (this.#held as Buffer).subarray(0, this.#heldLength);
    this.#release();
    this.#from = end;
    return piece;
  }

  #hold(chunk: Buffer, end: number): void {
    const length = this.#heldLength + end - this.#from;
    const limit = this.#checkLength(length);
    let held = this.#held;
    if (held === undefined) {
      held = Buffer.allocUnsafe(length);
    } else if (held.length < length) {
      const larger = Buffer.allocUnsafe(Math.min(limit, Math.max(length, 2 * held.length)));
      held.copy(larger, 0, 0, this.#heldLength);
      held = larger;
    }
    chunk.copy(held, this.#heldLength, this.#from, end);
    this.#held = held;
    this.#heldLength = length;
  }

  /** @returns the limit that it keeps */
  #checkLength(length: number): number {
    const limit = this.#depth < 0 || this.#root === "" ? HEADER_BYTES_MAX : this.#limit;
    if (length > limit) throw new XmlError("policy-violation", `more than ${limit} bytes`);
    return limit;
  }

  #release(): void {
    this.#held = undefined;
    this.#heldLength = 0;
  }
}

/** The bytes of the root's name, one character each. */
function rootName(startTag: Buffer): string {
  const text = startTag.toString("latin1", 1);
  return text.slice(0, text.search(/[ \t\r\n/>]/));
}

function isEndTagOf(endTag: Buffer, root: string): boolean {
  if (endTag.toString("latin1", 2, 2 + root.length) !== root) return false;
  for (let at = 2 + root.length; at < endTag.length - 1; at++) {
    if (!isSpace(endTag[at] as number)) return false;
  }
  return true;
}

const malformed = (why: string) => new XmlError("not-well-formed", why);
const restricted = (why: string) => new XmlError("restricted-xml", `${why} is not allowed`);
const notUtf8 = () => new XmlError("unsupported-encoding", "the stream is not in UTF-8");
