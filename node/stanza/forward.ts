/** XEP-0297 Stanza Forwarding: one stanza inside another, its bytes as they are. */
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import { child, children, localName, ns } from "../xml/names.ts";
import { serialize } from "../xml/write.ts";
import type { Envelope } from "./contract.ts";
import { delayElement } from "./delay.ts";
import { isStanzaKind, restoreEnvelope } from "./envelope.ts";
import type { Jid } from "./jid.ts";
import { CLIENT_NS } from "./reply.ts";

export const FORWARD_NS = "urn:xmpp:forward:0";

export interface Wrapping {
  readonly from: Jid;
  readonly to: Jid;
  /** Of the outer message. */
  readonly type: string;
  readonly receivedMs: number;
  /** The element of the outer message that holds `<forwarded/>`. */
  readonly name: string;
  readonly ns: string;
  readonly attributes?: Readonly<Record<string, string | undefined>>;
  /** When the inner stanza was received, milliseconds since the epoch (XEP-0203). */
  readonly delayedMs?: number;
}

/** A message that carries a stanza. @param bytes one stanza as `Envelope.bytes` holds it */
export function forwarding(bytes: Buffer, wrapping: Wrapping): Envelope {
  const { from, to, type, receivedMs, name, attributes, delayedMs } = wrapping;
  const addresses = { xmlns: CLIENT_NS, from: from.full, to: to.full };
  const start =
    startTag("message", { ...addresses, type: type === "normal" ? undefined : type }) +
    startTag(name, { xmlns: wrapping.ns, ...attributes }) +
    startTag("forwarded", { xmlns: FORWARD_NS }) +
    (delayedMs === undefined ? "" : serialize(delayElement(undefined, delayedMs)));
  const end = `</forwarded></${name}></message>`;
  return restoreEnvelope({
    kind: "message",
    type,
    id: "",
    from,
    to,
    receivedMs,
    bytes: Buffer.concat([Buffer.from(start), bytes, Buffer.from(end)]),
    children: [{ name, ns: wrapping.ns }],
  });
}

/** The stanza that a message carries below its child of that namespace; undefined for none. */
export function forwardedIn(message: Element, namespace: string): Element | undefined {
  const holder = children(message).find((one) => ns(one) === namespace);
  const forwarded = holder && child(holder, "forwarded", FORWARD_NS);
  return forwarded && children(forwarded).find((one) => isStanzaKind(localName(one)));
}

const startTag = (name: string, attributes: Record<string, string | undefined>): string =>
  serialize(el(name, attributes)).replace(/\/>$/, ">");
