/**
 * The binary form of an envelope between nodes. The stanza goes as the bytes that were checked at
 * entry; the receiving node parses no XML.
 *
 *   u8 version, u8 kind, u48 receivedMs, u32 length of strings, of bytes, of extensions
 *   strings: type, id, from, to, then name and namespace of each child, separated by NUL
 *   bytes: the stanza
 *   extensions: any number of u8 tag, u32 length, content; tags that are not known are skipped
 */
import { isUtf8 } from "node:buffer";
import { intern } from "../xml/intern.ts";
import { CHILDREN_MAX } from "../xml/limits.ts";
import type { Envelope, StanzaKind } from "./contract.ts";
import { restoreEnvelope } from "./envelope.ts";
import { Jid, JidError } from "./jid.ts";

const VERSION = 1;
const HEADER_BYTES = 20;
const EXTENSION_HEADER_BYTES = 5;
const FIXED_STRINGS = 4;
/** Numbers are wire contract. */
const KINDS: readonly (StanzaKind | undefined)[] = [undefined, "message", "presence", "iq"];

/** A peer node's bytes are not an envelope. */
export class EnvelopeError extends Error {
  override readonly name = "EnvelopeError";
  readonly code: "envelope-malformed" | "envelope-version";

  constructor(
    code: "envelope-malformed" | "envelope-version",
    why: string,
    options?: ErrorOptions,
  ) {
    super(`Cannot decode envelope: ${why}`, options);
    this.code = code;
  }
}

/** One buffer that `decodeEnvelope` of this version and the next reads. */
export function encodeEnvelope(envelope: Envelope): Buffer {
  const { kind, type, id, from, to, receivedMs, bytes, children } = envelope;
  // NUL can be in none of them: XML has no such character.
  let strings = `${type}\0${id}\0${from.full}\0${to.full}`;
  for (const { name, ns } of children) strings += `\0${name}\0${ns}`;
  const stringsLength = Buffer.byteLength(strings);
  const encoded = Buffer.allocUnsafe(HEADER_BYTES + stringsLength + bytes.length);
  encoded[0] = VERSION;
  encoded[1] = KINDS.indexOf(kind);
  encoded.writeUIntBE(Math.floor(receivedMs), 2, 6);
  encoded.writeUInt32BE(stringsLength, 8);
  encoded.writeUInt32BE(bytes.length, 12);
  encoded.writeUInt32BE(0, 16);
  encoded.write(strings, HEADER_BYTES, stringsLength, "utf8");
  bytes.copy(encoded, HEADER_BYTES + stringsLength);
  return encoded;
}

/**
 * Reads what `encodeEnvelope` wrote. Copies the stanza, so that it holds no frame in memory.
 * @throws EnvelopeError and nothing else
 */
export function decodeEnvelope(encoded: Buffer): Envelope {
  if (encoded.length < HEADER_BYTES) throw malformed("it is too short");
  if (encoded[0] !== VERSION) {
    throw new EnvelopeError("envelope-version", `version ${encoded[0]} is not known`);
  }
  const kind = KINDS[encoded[1] as number];
  if (kind === undefined) throw malformed("the kind is not known");
  const stringsEnd = HEADER_BYTES + encoded.readUInt32BE(8);
  const bytesEnd = stringsEnd + encoded.readUInt32BE(12);
  const end = bytesEnd + encoded.readUInt32BE(16);
  if (end !== encoded.length) throw malformed("the lengths do not add up");
  if (bytesEnd === stringsEnd) throw malformed("there is no stanza");
  const area = encoded.subarray(HEADER_BYTES, stringsEnd);
  const stanza = encoded.subarray(stringsEnd, bytesEnd);
  if (!isUtf8(area) || !isUtf8(stanza)) throw malformed("it is not UTF-8");
  checkExtensions(encoded.subarray(bytesEnd));
  const strings = area.toString("utf8").split("\0", FIXED_STRINGS + 2 * CHILDREN_MAX + 1);
  if (strings.length % 2 !== 0 || strings.length < FIXED_STRINGS) throw malformed("bad strings");
  if (strings.length > FIXED_STRINGS + 2 * CHILDREN_MAX) throw malformed("too many children");
  const [type, id, from, to] = strings as [string, string, string, string];
  return restoreEnvelope({
    kind,
    type,
    id,
    from: address(from),
    to: address(to),
    receivedMs: encoded.readUIntBE(2, 6),
    bytes: Buffer.from(stanza),
    children: childrenOf(strings),
  });
}

function childrenOf(strings: readonly string[]): Envelope["children"] {
  const children: { name: string; ns: string }[] = [];
  for (let at = FIXED_STRINGS; at < strings.length; at += 2) {
    children.push({ name: intern(strings[at] as string), ns: intern(strings[at + 1] as string) });
  }
  return children;
}

/** Later versions add fields here; this one knows none but reads past them. */
function checkExtensions(area: Buffer): void {
  let at = 0;
  while (at < area.length) {
    if (area.length - at < EXTENSION_HEADER_BYTES) throw malformed("an extension is cut short");
    at += EXTENSION_HEADER_BYTES + area.readUInt32BE(at + 1);
  }
  if (at !== area.length) throw malformed("an extension is cut short");
}

function address(text: string): Jid {
  try {
    return Jid.prepared(text);
  } catch (error) {
    if (error instanceof JidError) throw malformed(error.message, { cause: error });
    throw error;
  }
}

const malformed = (why: string, options?: ErrorOptions) =>
  new EnvelopeError("envelope-malformed", why, options);
