/** Stanzas that the server writes itself. */
import type { Child, Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import { escapeAttribute, serialize, Written } from "../xml/write.ts";
import type { Envelope } from "./contract.ts";
import type { Jid } from "./jid.ts";

export const CLIENT_NS = "jabber:client";

/** A stanza back to the sender, of the same kind and with the same id. */
export function reply(envelope: Envelope, type: string, ...children: Child[]): Element {
  const { kind, id, from, to } = envelope;
  const attributes = {
    xmlns: CLIENT_NS,
    type,
    id: id === "" ? undefined : id,
    from: to.full,
    to: from.full,
  };
  return el(kind, attributes, children);
}

/**
 * RFC 6120, 8.2.3: the answer to an iq of type get or set.
 * @throws XmlWriteError when the payload cannot be written
 */
export function resultReply({ id, from, to }: Envelope, payload?: Element | Written): Buffer {
  const xml = payload instanceof Written ? payload.xml : payload ? serialize(payload) : "";
  const said = id === "" ? "" : ` id='${escapeAttribute(id)}'`;
  const addresses = ` from='${escapeAttribute(to.full)}' to='${escapeAttribute(from.full)}'`;
  const start = `<iq xmlns='${CLIENT_NS}' type='result'${said}${addresses}`;
  return Buffer.from(xml === "" ? `${start}/>` : `${start}>${xml}</iq>`, "utf8");
}

export interface IqRequest {
  readonly type: "get" | "set";
  readonly id: string;
  readonly from: Jid;
  readonly to: Jid;
}

/** An iq of the server's own, for example a roster push. */
export const iqRequest = ({ type, id, from, to }: IqRequest, payload: Element): Element =>
  el("iq", { xmlns: CLIENT_NS, type, id, from: from.full, to: to.full }, payload);
