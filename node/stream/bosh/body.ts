/** `<body/>`, the wrapper of everything in BOSH (XEP-0124), and what XEP-0206 adds to it. */
import type { FrameSink, ParsedStanza, StreamOpen } from "../../xml/contract.ts";
import { XmlError } from "../../xml/errors.ts";
import { createFramer } from "../../xml/framer.ts";
import { parseStanza, parseStreamOpen } from "../../xml/parser.ts";
import { escapeAttribute } from "../../xml/write.ts";
import { standingAlone } from "../header.ts";
import { NS_CLIENT } from "../namespaces.ts";

const NS_BOSH = "http://jabber.org/protocol/httpbind";
const NS_XBOSH = "urn:xmpp:xbosh";
/** XEP-0124, 14.1: what a double holds exactly. */
const RID_MAX = Number.MAX_SAFE_INTEGER;

export interface RequestBody {
  /** Unprefixed attributes; a null-prototype object. */
  readonly attributes: Readonly<Record<string, string>>;
  readonly lang: string | undefined;
  readonly rid: number;
  /** XEP-0206: `xmpp:version` and `xmpp:restart`. */
  readonly version: string | undefined;
  readonly isRestart: boolean;
  readonly isTerminate: boolean;
  readonly stanzaCount: number;
  /** Of the largest of them. */
  readonly stanzaBytes: number;
  /** What it wraps, in order, parsed one by one. @throws XmlError */
  stanzas(): Iterable<ParsedStanza>;
}

/**
 * Reads exactly one `<body/>`.
 * @throws XmlError when it is no such thing
 */
export function parseBody(bytes: Buffer, stanzaBytesMax: number): RequestBody {
  const { open, slices } = cut(bytes, stanzaBytesMax);
  const { attributes, scope, lang, qualified } = open;
  if (open.name !== "body" || open.ns !== NS_BOSH) {
    throw new XmlError("invalid-namespace", "it is not a body of BOSH");
  }
  const { rid = "", type } = attributes;
  if (!/^[1-9]\d{0,15}$/.test(rid) || Number(rid) > RID_MAX) {
    throw new XmlError("bad-format", "the rid is missing or too large");
  }
  const restart = qualified.get(`${NS_XBOSH} restart`);
  return {
    attributes,
    lang,
    rid: Number(rid),
    version: qualified.get(`${NS_XBOSH} version`),
    isRestart: restart === "true" || restart === "1",
    isTerminate: type === "terminate",
    stanzaCount: slices.length,
    stanzaBytes: slices.reduce((most, { length }) => Math.max(most, length), 0),
    *stanzas() {
      // Older clients leave out the namespace of stanzas, which would put them into BOSH's own.
      const isInherited = scope.get("") === NS_BOSH;
      const inner = isInherited ? new Map([...scope, ["", NS_CLIENT] as const]) : scope;
      for (const slice of slices) yield parseStanza(slice, inner);
    },
  };
}

/**
 * The session that a request is for, as far as can be seen of one that is no body: its start tag
 * may be whole.
 */
export function sidOf(bytes: Buffer): string | undefined {
  let sid: string | undefined;
  const sink: FrameSink = {
    onStreamOpen(startTag) {
      sid = parseStreamOpen(startTag).attributes.sid;
    },
    onStanza: () => undefined,
    onStreamClose: () => undefined,
  };
  try {
    createFramer(Number.MAX_SAFE_INTEGER).feed(bytes, sink);
  } catch (error) {
    if (!(error instanceof XmlError)) throw error; // It is broken somewhere: nothing new.
  }
  return sid;
}

interface Pieces {
  readonly open: StreamOpen;
  readonly slices: readonly Buffer[];
}

/** The framer of streams reads it: a body is a small stream in which stanzas stand. */
function cut(bytes: Buffer, stanzaBytesMax: number): Pieces {
  let open: StreamOpen | undefined;
  let isClosed = false;
  const slices: Buffer[] = [];
  const sink: FrameSink = {
    onStreamOpen(startTag) {
      open = parseStreamOpen(startTag);
    },
    onStanza: (slice) => void slices.push(slice),
    onStreamClose() {
      isClosed = true;
    },
  };
  let end = bytes.length;
  while (end > 0 && isSpace(bytes[end - 1] as number)) end -= 1;
  const framer = createFramer(stanzaBytesMax);
  // The last byte must close it, and none before: nothing can stand behind the body.
  framer.feed(bytes.subarray(0, end - 1), sink);
  if (isClosed) throw new XmlError("not-well-formed", "something stands behind the body");
  framer.feed(bytes.subarray(Math.max(0, end - 1), end), sink);
  if (open === undefined || !isClosed) throw new XmlError("not-well-formed", "it is not whole");
  return { open, slices };
}

const isSpace = (byte: number): boolean =>
  byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09;

type Attributes = Readonly<Record<string, string | number | undefined>>;

/** A response. */
export function writeBody(attributes: Attributes, payload: readonly Buffer[] = []): Buffer {
  let tag = `<body xmlns='${NS_BOSH}'`;
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== undefined) tag += ` ${name}='${escapeAttribute(String(value))}'`;
  }
  if (payload.length === 0) return Buffer.from(`${tag}/>`);
  return Buffer.concat([
    Buffer.from(`${tag}>`),
    ...payload.map(standingAlone),
    Buffer.from("</body>"),
  ]);
}

/** A response that ends the session, or says that there is none (XEP-0124, 17.2). */
export const terminal = (condition: string | undefined, payload: readonly Buffer[] = []): Buffer =>
  writeBody({ type: "terminate", condition }, payload);

/** What XEP-0206 wants on the first response. */
export const XMPP_ATTRIBUTES: Attributes = {
  "xmlns:xmpp": NS_XBOSH,
  "xmpp:version": "1.0",
  "xmpp:restartlogic": "true",
};
