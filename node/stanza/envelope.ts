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
function messageType(type: string | undefined): string {
  // Compared: what was just read would have to be hashed for a set.
  switch (type) {
    case "chat":
    case "error":
    case "groupchat":
    case "headline":
      return type;
    default:
      return "normal";
  }
}

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
  const changes: Record<string, string> = { from: stamp.from.full, to: stamp.to.full };
  if (stamp.lang !== undefined && parsed.lang === undefined) changes["xml:lang"] = stamp.lang;
  const type = typeOf(name, parsed.attribute("type"));
  const id = parsed.attribute("id") ?? "";
  const bytes = parsed.withAttributes(changes);
  // An iq has its tree already, and somebody will ask for it.
  const tree = name === "iq" ? stamped(parsed.element(), changes) : undefined;
  return new CheckedEnvelope(name, detach(type), detach(id), stamp, bytes, parsed.children, tree);
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
  const type = typeOf(kind, attrs.type);
  const addresses = { from: Jid.parse(attrs.from ?? ""), to: Jid.parse(attrs.to ?? "") };
  const children = element.children
    .filter((node) => node instanceof Element)
    .map((node) => ({ name: localName(node), ns: ns(node) }));
  const stamp = { ...addresses, receivedMs };
  const id = attrs.id ?? "";
  return new CheckedEnvelope(kind, type, id, stamp, toBytes(element), children, element);
}

/** All of an envelope but its tree. */
export type EnvelopeFields = Omit<Envelope, "element" | "origin">;

/** The envelope of fields that belong together, for the mesh. */
export function restoreEnvelope(fields: EnvelopeFields): Envelope {
  const { kind, type, id, bytes, children } = fields;
  return new CheckedEnvelope(kind, type, id, fields, bytes, children, undefined);
}

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

  // Each by itself: an object of them all would be made for each stanza only to be read here.
  constructor(
    kind: StanzaKind,
    type: string,
    id: string,
    { from, to, receivedMs }: Stamp,
    bytes: Buffer,
    children: Envelope["children"],
    tree: Element | undefined,
  ) {
    this.kind = kind;
    this.type = type;
    this.id = id;
    this.from = from;
    this.to = to;
    this.bytes = bytes;
    this.receivedMs = receivedMs;
    this.children = children;
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
  if (kind === "message") return messageType(type);
  return type ?? (kind === "presence" ? "available" : "");
}

/** The element itself: who made the envelope has no other use for it. */
function stamped(element: Element, changes: Readonly<Record<string, string>>): Element {
  for (const name of Object.keys(changes)) element.attrs[name] = changes[name];
  return element;
}
