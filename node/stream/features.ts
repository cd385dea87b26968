/** What a stream offers at each stage (RFC 6120, 4.3.2). */
import { NS_ACKS, NS_BIND, NS_SASL, NS_SESSION, NS_TLS } from "./namespaces.ts";

export interface EntryFeatures {
  /** Undefined where TLS is on already or cannot be had. */
  readonly startTls: "required" | "optional" | undefined;
  /** Empty where nobody may log in yet. */
  readonly mechanisms: readonly string[];
  readonly channelBindings: readonly string[];
  readonly registration: boolean;
}

const wrap = (content: string): Buffer =>
  Buffer.from(`<stream:features>${content}</stream:features>`);

/** Before login. */
export function entryFeatures(offer: EntryFeatures): Buffer {
  const required = offer.startTls === "required" ? "<required/>" : "";
  const startTls =
    offer.startTls === undefined ? "" : `<starttls xmlns='${NS_TLS}'>${required}</starttls>`;
  if (offer.mechanisms.length === 0) return wrap(startTls);
  const mechanisms = offer.mechanisms.map((name) => `<mechanism>${name}</mechanism>`).join("");
  const bindings = offer.channelBindings.map((type) => `<channel-binding type='${type}'/>`);
  // XEP-0440: which types -PLUS can be used with.
  const binding =
    bindings.length === 0
      ? ""
      : `<sasl-channel-binding xmlns='urn:xmpp:sasl-cb:0'>${bindings.join("")}</sasl-channel-binding>`;
  const register = offer.registration
    ? "<register xmlns='http://jabber.org/features/iq-register'/>"
    : "";
  return wrap(
    `${startTls}<mechanisms xmlns='${NS_SASL}'>${mechanisms}</mechanisms>${binding}${register}`,
  );
}

/**
 * After login: what is negotiated, what RFC 6121 wants announced (2.6.1 and 3.4.1), and what others
 * announce.
 */
export const boundFeatures = (announced: string): Buffer =>
  wrap(
    `<bind xmlns='${NS_BIND}'/><session xmlns='${NS_SESSION}'><optional/></session>` +
      `<sm xmlns='${NS_ACKS}'/>` +
      "<ver xmlns='urn:xmpp:features:rosterver'/><sub xmlns='urn:xmpp:features:pre-approval'/>" +
      announced,
  );
