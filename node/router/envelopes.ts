/**
 * Envelopes made from envelopes. A template is one stanza for many recipients: kept without `to`,
 * which each recipient gets at the very end.
 */
import type { Envelope, StanzaKind } from "../stanza/contract.ts";
import { makeEnvelope, restoreEnvelope } from "../stanza/envelope.ts";
import { Jid } from "../stanza/jid.ts";
import { CLIENT_NS } from "../stanza/reply.ts";
import { withChild, withoutChildren } from "../stanza/splice.ts";
import type { Child } from "../xml/element.ts";
import { Element } from "../xml/element.ts";
import { localName, ns } from "../xml/names.ts";
import { parseStanza } from "../xml/parser.ts";
import { escapeAttribute, escapeText, serialize, toBytes } from "../xml/write.ts";

const NO_SCOPE: ReadonlyMap<string, string> = new Map();
const SPACE = 0x20;
const SLASH = 0x2f;
const CLOSE = 0x3e;

/** The same stanza without `to` in its bytes. Its `to` field names the sender's own account. */
export function templateOf(envelope: Envelope): Envelope {
  const bytes = parseStanza(envelope.bytes, NO_SCOPE).withAttributes({ to: undefined });
  return restoreEnvelope({ ...fieldsOf(envelope), to: envelope.from.toBare(), bytes });
}

/** A template's stanza for one recipient. */
export function stampFor(template: Envelope, to: Jid): Envelope {
  const { bytes } = template;
  const nameEnd = endOfName(bytes);
  const attribute = Buffer.from(` to='${escapeAttribute(to.full)}'`);
  return restoreEnvelope({
    ...fieldsOf(template),
    to,
    bytes: Buffer.concat([bytes.subarray(0, nameEnd), attribute, bytes.subarray(nameEnd)]),
  });
}

/** A template that the server writes: a stanza of its own, from `from`. */
export function newTemplate(
  kind: StanzaKind,
  { type, id, from, receivedMs }: { type: string; id?: string; from: Jid; receivedMs: number },
  ...children: Child[]
): Envelope {
  const given = children.filter((one) => one !== undefined);
  const said = id === undefined ? "" : ` id='${escapeAttribute(id)}'`;
  const start =
    `<${kind} xmlns='${CLIENT_NS}' type='${escapeAttribute(type)}'${said}` +
    ` from='${escapeAttribute(from.full)}'`;
  let content = "";
  for (const one of given) content += one instanceof Element ? serialize(one) : escapeText(one);
  const bytes = Buffer.from(content === "" ? `${start}/>` : `${start}>${content}</${kind}>`);
  return restoreEnvelope({
    ...{ kind, type, id: id ?? "", from, to: from.toBare(), receivedMs, bytes },
    children: given
      .filter((one) => one instanceof Element)
      .map((one) => ({ name: localName(one), ns: ns(one) })),
  });
}

/** The same stanza with other addresses. */
export const readdress = (envelope: Envelope, from: Jid, to: Jid): Envelope =>
  makeEnvelope(parseStanza(envelope.bytes, NO_SCOPE), {
    from,
    to,
    receivedMs: envelope.receivedMs,
  });

/** The same stanza with one more child, the last one; `child` names its namespace. */
export const withChildOf = (envelope: Envelope, child: Element): Envelope =>
  restoreEnvelope({
    ...fieldsOf(envelope),
    bytes: withChild(envelope.bytes, toBytes(child)),
    children: [...envelope.children, { name: localName(child), ns: ns(child) }],
  });

type ChildTest = (child: Envelope["children"][number], index: number) => boolean;

/** The same stanza without some of its children. */
export const withoutChildrenOf = (envelope: Envelope, isUnwanted: ChildTest): Envelope => {
  const wanted = envelope.children.map((child, index) => !isUnwanted(child, index));
  return restoreEnvelope({
    ...fieldsOf(envelope),
    bytes: withoutChildren(envelope.bytes, (index) => wanted[index] === false),
    children: envelope.children.filter((_, index) => wanted[index]),
  });
};

/**
 * The envelope of a stanza that was kept, with `from` and `to` in it.
 * @throws XmlError or JidError when the bytes are no such stanza
 */
export function envelopeOf(bytes: Buffer, receivedMs: number): Envelope {
  const parsed = parseStanza(bytes, NO_SCOPE);
  const { from = "", to = "" } = parsed.attributes;
  return makeEnvelope(parsed, { from: Jid.prepared(from), to: Jid.prepared(to), receivedMs });
}

const fieldsOf = ({ kind, type, id, from, to, receivedMs, bytes, children }: Envelope) => ({
  kind,
  type,
  id,
  from,
  to,
  receivedMs,
  bytes,
  children,
});

function endOfName(bytes: Buffer): number {
  for (let at = 1; at < bytes.length; at += 1) {
    const octet = bytes[at] as number;
    if (octet <= SPACE || octet === SLASH || octet === CLOSE) return at;
  }
  return bytes.length;
}
