/** What the xml room gives to the doors: a byte framer and a strict parser of one slice. */
import type { Element } from "./element.ts";

/** Why a stream must be closed: a defined condition of RFC 6120, 4.9.3. */
export type XmlCondition =
  | "bad-format"
  | "invalid-namespace"
  | "invalid-xml"
  | "not-well-formed"
  | "policy-violation"
  | "restricted-xml"
  | "unsupported-encoding";

export interface FrameSink {
  /** The complete start tag of the stream's root, XML declaration removed. */
  onStreamOpen(startTag: Buffer): void;
  /** One complete child of the stream root, the callee's to keep. It may be a part of a chunk. */
  onStanza(bytes: Buffer): void;
  /** The stream's end tag. Bytes after it are ignored. */
  onStreamClose(): void;
}

/** Finds where stanzas end, on bytes, resumable at any byte. Holds no buffer between stanzas. */
export interface Framer {
  /**
   * Reads a chunk, which nobody writes to any more, and calls `sink` for each complete piece. The
   * sink may call `reset()` from within (after SASL success); the rest of the chunk is then read as
   * a new stream.
   * @throws XmlError; the framer must not be used again.
   */
  feed(chunk: Buffer, sink: FrameSink): void;
  /** Expects a new stream header next. */
  reset(): void;
  /**
   * Ignores the rest of the chunk and all that follows until `reset()`. For a sink that refuses a
   * stanza, and for STARTTLS: what was sent in the clear after it must not count as protected.
   */
  stop(): void;
  /** Raises the size limit once a peer has authenticated. */
  setStanzaLimit(bytes: number): void;
}

/** The prefixes a stream header declared, by prefix; "" is the default namespace. */
export type Scope = ReadonlyMap<string, string>;

/** One stanza that passed every check of XML 1.0, Namespaces, and RFC 6120 section 11. */
export interface ParsedStanza {
  /** Local name of the top element. */
  readonly name: string;
  readonly ns: string;
  /** Unprefixed attributes of the top element, decoded. A null-prototype object. */
  readonly attributes: Readonly<Record<string, string>>;
  /**
   * One attribute of the top element by the name that is written, decoded: cheaper than all of them. It
   * may hold all of the stanza in memory, so whoever keeps it makes a copy.
   */
  attribute(name: string): string | undefined;
  /** The top element's `xml:lang`. */
  readonly lang: string | undefined;
  readonly bytes: Buffer;
  /** Local name and namespace of each child element, in order, without building a tree. */
  readonly children: readonly { readonly name: string; readonly ns: string }[];
  /** The tree, built on first use and then kept; the top element carries its own `xmlns`. */
  element(): Element;
  /**
   * The stanza as self-contained bytes in `jabber:client`, with these top-level attributes set
   * (a string) or removed (undefined). Splices the start tag where the slice allows it.
   */
  withAttributes(changes: Readonly<Record<string, string | undefined>>): Buffer;
}

/** What a stream's root element said. */
export interface StreamOpen {
  /** Local name. */
  readonly name: string;
  readonly ns: string;
  readonly scope: Scope;
  /** Unprefixed attributes, decoded. A null-prototype object. */
  readonly attributes: Readonly<Record<string, string>>;
  /** Prefixed attributes but xml's and xmlns's, by "namespace name". */
  readonly qualified: ReadonlyMap<string, string>;
  readonly lang: string | undefined;
}
