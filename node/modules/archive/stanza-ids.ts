/** XEP-0359: the server's own names on messages, which nobody else can give. */
import { withChildOf, withoutChildrenOf } from "../../router/envelopes.ts";
import { Jid } from "../../stanza/jid.ts";
import { Element, el } from "../../xml/element.ts";
import { CHILDREN_MAX } from "../../xml/limits.ts";
import type { Envelope } from "../contract.ts";

export const SID_NS = "urn:xmpp:sid:0";

const isStanzaId = ({ name, ns }: Envelope["children"][number]) =>
  name === "stanza-id" && ns === SID_NS;

/** By child element, the account that a `<stanza-id/>` says it is by; undefined for others. */
function namers(envelope: Envelope): readonly (string | undefined)[] {
  const elements = envelope.element().children.filter((node) => node instanceof Element);
  return envelope.children.map((child, index) =>
    isStanzaId(child) ? addressIn(elements[index]?.attrs.by) : undefined,
  );
}

const addressIn = (by: unknown): string | undefined =>
  Jid.parseOrNone(typeof by === "string" ? by : undefined)?.full;

/** The message without names in the account's own name: they are not the account's. */
export function withoutOwnIds(envelope: Envelope, account: string): Envelope {
  if (!envelope.children.some(isStanzaId)) return envelope;
  const by = namers(envelope);
  if (!by.includes(account)) return envelope;
  return withoutChildrenOf(envelope, (_, index) => by[index] === account);
}

/** The message with its name in the account's archive. */
export function withOwnId(envelope: Envelope, account: string, id: string): Envelope {
  // A message has room for no more children than its sender may give it.
  if (envelope.children.length >= CHILDREN_MAX) return envelope;
  return withChildOf(envelope, el("stanza-id", { xmlns: SID_NS, by: account, id }));
}

/** The name that the account gave it. */
export function ownIdOf(envelope: Envelope, account: string): string | undefined {
  if (!envelope.children.some(isStanzaId)) return undefined;
  const index = namers(envelope).indexOf(account);
  if (index === -1) return undefined;
  const elements = envelope.element().children.filter((node) => node instanceof Element);
  const id: unknown = elements[index]?.attrs.id;
  return typeof id === "string" ? id : undefined;
}
