/** Makes envelopes: at entry from a parsed stanza, inside from an element, after the mesh. */
import { ownBytes } from "../base/own-bytes.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { Element } from "../xml/element.ts";
import { detach } from "../xml/intern.ts";
import { localName, ns } from "../xml/names.ts";
import { parseElement } from "../xml/parser.ts";
import { toBytes } from "../xml/write.ts";
import type { Envelope, StanzaKind } from "./contract.ts";
import { Jid } from "./jid.ts";
import type { Origin } from "./origin.ts";
import { CLIENT_NS } from "./reply.ts";

/** RFC 6121, 5.2.2: a type that is not known is handled as "normal". */
const MESSAGE_TYPES: ReadonlySet<string> = new Set([
  "chat",
  "error",
  "groupchat",
  "headline",
  "normal",
]);

export interface Stamp {
  /** Written into the stanza, whatever it said. */
  readonly from: Jid;
  readonly to: Jid;
  readonly receivedMs: number;
  /** The stream's `xml:lang`, for a stanza without its own (RFC 6120, 8.1.5). */
  readonly lang?: string | undefined;
}

export const isStanzaKind = (name: string): name is StanzaKind =>
  name === "message" || name === "presence" || name === "iq";

/**
 * The envelope of a stanza that a peer sent; the caller has made sure that its name is a
 * StanzaKind in the stream's namespace, and that `from` and `to` are what they should be.
 */
export function makeEnvelope(parsed: ParsedStanza, stamp: Stamp): Envelope {
  const { name } = parsed;
  if (!isStanzaKind(name)) throw new TypeError(`Cannot make envelope: ${name} is not a stanza`);
  const { from, to, receivedMs } = stamp;
  const changes: Record<string, string> = { from: from.full, to: to.full };
  if (stamp.lang !== undefined && parsed.lang === undefined) changes["xml:lang"] = stamp.lang;
  const fields = {
    kind: name,
    type: detach(typeOf(name, parsed.attribute("type"))),
    id: detach(parsed.attribute("id") ?? ""),
    from,
    to,
    receivedMs,
    bytes: parsed.withAttributes(changes),
    children: parsed.children,
  };
  // An iq has its tree already, and somebody will ask for it.
  return new CheckedEnvelope(
    fields,
    name === "iq" ? stamped(parsed.element(), changes) : undefined,
  );
}

/**
 * The envelope of a stanza that the server wrote, with `from` and `to` in it.
 * @throws JidError, XmlWriteError
 */
export function fromElement(element: Element, receivedMs: number): Envelope {
  const kind = localName(element);
  if (!isStanzaKind(kind)) throw new TypeError(`Cannot make envelope: ${kind} is not a stanza`);
  const { attrs } = element;
  if (attrs.xmlns === undefined && element.parent === null) attrs.xmlns = CLIENT_NS;
  const fields = {
    kind,
    type: typeOf(kind, attrs.type),
    id: attrs.id ?? "",
    from: Jid.parse(attrs.from ?? ""),
    to: Jid.parse(attrs.to ?? ""),
    receivedMs,
    bytes: toBytes(element),
    children: element.children
      .filter((node) => node instanceof Element)
      .map((node) => ({ name: localName(node), ns: ns(node) })),
  };
  return new CheckedEnvelope(fields, element);
}

/** All of an envelope but its tree. */
export type EnvelopeFields = Omit<Envelope, "element" | "origin">;

/** The envelope of fields that belong together, for the mesh. */
export const restoreEnvelope = (fields: EnvelopeFields): Envelope =>
  new CheckedEnvelope(fields, undefined);

/** The same, without what nobody needs who keeps it for long: its tree, and memory that it shares. */
export function kept(envelope: Envelope): Envelope {
  if (envelope instanceof CheckedEnvelope) envelope.keep();
  return envelope;
}

class CheckedEnvelope implements Envelope {
  readonly kind: StanzaKind;
  readonly type: string;
  readonly id: string;
  readonly from: Jid;
  readonly to: Jid;
  bytes: Buffer;
  readonly receivedMs: number;
  readonly children: Envelope["children"];
  origin: Origin | undefined;
  #tree: Element | undefined;

  constructor(fields: EnvelopeFields, tree: Element | undefined) {
    this.kind = fields.kind;
    this.type = fields.type;
    this.id = fields.id;
    this.from = fields.from;
    this.to = fields.to;
    this.bytes = fields.bytes;
    this.receivedMs = fields.receivedMs;
    this.children = fields.children;
    this.#tree = tree;
  }

  element(): Element {
    this.#tree ??= parseElement(this.bytes);
    return this.#tree;
  }

  /** See `kept`. */
  keep(): void {
    this.bytes = ownBytes(this.bytes);
    this.#tree = undefined;
  }
}

function typeOf(kind: StanzaKind, type: string | undefined): string {
  if (kind === "message") return type !== undefined && MESSAGE_TYPES.has(type) ? type : "normal";
  return type ?? (kind === "presence" ? "available" : "");
}

/** The element itself: who made the envelope has no other use for it. */
function stamped(element: Element, changes: Readonly<Record<string, string>>): Element {
  for (const name of Object.keys(changes)) element.attrs[name] = changes[name];
  return element;
}
