/** Stream headers: checking the peer's, writing ours (RFC 6120, 4.7). */
import { Jid } from "../stanza/jid.ts";
import type { Scope, StreamOpen } from "../xml/contract.ts";
import { parseStreamOpen } from "../xml/parser.ts";
import { escapeAttribute, escapeText } from "../xml/write.ts";
import type { OwnHeader, PeerHeader, StreamCondition, StreamFailure } from "./contract.ts";
import { NS_CLIENT, NS_STREAM, NS_STREAM_ERROR } from "./namespaces.ts";

/** The domain the peer asks for, or why it cannot be served. */
export type HeaderVerdict =
  | { readonly kind: "accepted"; readonly domain: string; readonly from: string | undefined }
  | { readonly kind: "refused"; readonly condition: StreamCondition };

const refused = (condition: StreamCondition): HeaderVerdict => ({ kind: "refused", condition });

/** A header as RFC 6120 writes it, checked as far as its form goes. */
export function readHeader({ ns, name, scope, attributes, lang }: StreamOpen): PeerHeader {
  const { to, from, version } = attributes;
  const isForClients = ns === NS_STREAM && scope.get("") === NS_CLIENT;
  const fault =
    ns === NS_STREAM && name !== "stream"
      ? "bad-format"
      : isForClients
        ? undefined
        : "invalid-namespace";
  return { to, from, version, lang, fault };
}

/** @param domains the prepared domains of this service */
export function checkHeader(header: PeerHeader, domains: ReadonlySet<string>): HeaderVerdict {
  const { to, version, from, fault } = header;
  if (fault !== undefined) return refused(fault);
  const domain = to === undefined ? undefined : domainOf(to);
  if (domain === undefined || !domains.has(domain)) return refused("host-unknown");
  // 4.7.5: without a version it is a client from before RFC 3920.
  const major = /^(\d{1,9})\.\d{1,9}$/.exec(version ?? "")?.[1];
  if (major === undefined || Number(major) < 1) return refused("unsupported-version");
  return { kind: "accepted", domain, from: from === undefined ? undefined : bareOf(from) };
}

function domainOf(to: string): string | undefined {
  try {
    const jid = Jid.parse(to);
    return jid.full === jid.domain ? jid.domain : undefined;
  } catch {
    return undefined; // Not an address, so not one of ours.
  }
}

function bareOf(from: string): string | undefined {
  try {
    return Jid.parse(from).bare;
  } catch {
    return undefined; // 4.7.1: a client's "from" is only a hint before login.
  }
}

/** Of clients of one kind all headers are the same. */
const known = new Map<string, ReadHeader>();
const KNOWN_MAX = 100;
const KNOWN_BYTES_MAX = 256;

export interface ReadHeader {
  readonly header: PeerHeader;
  readonly scope: Scope;
}

/** @throws XmlError */
export function readStartTag(startTag: Buffer): ReadHeader {
  if (startTag.length > KNOWN_BYTES_MAX) return parseStartTag(startTag);
  const text = startTag.toString("latin1");
  let read = known.get(text);
  if (read === undefined) {
    read = parseStartTag(startTag);
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(text, read);
  }
  return read;
}

function parseStartTag(startTag: Buffer): ReadHeader {
  const open = parseStreamOpen(startTag);
  return { header: readHeader(open), scope: sharedScope(open.scope) };
}

const USUAL_SCOPE: Scope = new Map([
  ["", NS_CLIENT],
  ["stream", NS_STREAM],
]);

/** The same scope for all who declare what everybody declares: sessions keep it for their life. */
export const sharedScope = (scope: Scope): Scope => {
  for (const [prefix, ns] of USUAL_SCOPE) if (scope.get(prefix) !== ns) return scope;
  return scope.size === USUAL_SCOPE.size ? USUAL_SCOPE : scope;
};

/** Our header. */
export function writeHeader({ from, id, to }: OwnHeader): Buffer {
  const toPart = to === undefined ? "" : ` to='${escapeAttribute(to)}'`;
  return Buffer.from(
    `<?xml version='1.0'?><stream:stream xmlns='${NS_CLIENT}' xmlns:stream='${NS_STREAM}' ` +
      `id='${escapeAttribute(id)}' from='${escapeAttribute(from)}'${toPart} version='1.0' xml:lang='en'>`,
  );
}

export const END_TAG: Buffer = Buffer.from("</stream:stream>");

/** A stream error without the end of the stream. */
export function writeError({ condition, text, application = "" }: StreamFailure): string {
  const words =
    text === undefined
      ? ""
      : `<text xmlns='${NS_STREAM_ERROR}' xml:lang='en'>${escapeText(text)}</text>`;
  return `<stream:error><${condition} xmlns='${NS_STREAM_ERROR}'/>${words}${application}</stream:error>`;
}

const STREAM_PREFIX = Buffer.from("<stream:");
const NAME_BYTES = new Set(Buffer.from("abcdefghijklmnopqrstuvwxyz"));
const DECLARED = Buffer.from(` xmlns:stream='${NS_STREAM}'`);

/**
 * A child of a stream where no stream's start tag declares a prefix for it: features and errors
 * are all that would need one, since stanzas carry their own namespace.
 */
export function standingAlone(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, STREAM_PREFIX.length).equals(STREAM_PREFIX)) {
    return bytes;
  }
  let nameEnd = STREAM_PREFIX.length;
  while (nameEnd < bytes.length && NAME_BYTES.has(bytes[nameEnd] as number)) nameEnd += 1;
  return Buffer.concat([bytes.subarray(0, nameEnd), DECLARED, bytes.subarray(nameEnd)]);
}

/** A stream error and the end of the stream, to follow our header. */
export const writeFailure = (failure: StreamFailure): Buffer =>
  Buffer.from(`${writeError(failure)}${END_TAG}`);
