/** Stanza errors: what to answer the peer (RFC 6120, 8.3). */
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import type { Envelope } from "./contract.ts";
import { reply } from "./reply.ts";

const NS = "urn:ietf:params:xml:ns:xmpp-stanzas";

export type ErrorType = "auth" | "cancel" | "continue" | "modify" | "wait";

/** The defined conditions of RFC 6120, 8.3.3, with the type that goes with each. */
const TYPES = {
  "bad-request": "modify",
  conflict: "cancel",
  "feature-not-implemented": "cancel",
  forbidden: "auth",
  gone: "cancel",
  "internal-server-error": "cancel",
  "item-not-found": "cancel",
  "jid-malformed": "modify",
  "not-acceptable": "modify",
  "not-allowed": "cancel",
  "not-authorized": "auth",
  "policy-violation": "modify",
  "recipient-unavailable": "wait",
  redirect: "modify",
  "registration-required": "auth",
  "remote-server-not-found": "cancel",
  "remote-server-timeout": "wait",
  "resource-constraint": "wait",
  "service-unavailable": "cancel",
  "subscription-required": "auth",
  "undefined-condition": "cancel",
  "unexpected-request": "wait",
} as const satisfies Record<string, ErrorType>;

export type StanzaCondition = keyof typeof TYPES;

export interface StanzaErrorOptions extends ErrorOptions {
  /** Instead of the condition's usual one. */
  readonly type?: ErrorType;
  /** An application-specific condition element (8.3.4). */
  readonly application?: Element;
  /** Where to go instead, an XMPP URI; for `gone` and `redirect` only. */
  readonly address?: string;
}

/** The peer's stanza is refused: answer it with this, unless it is an error itself. */
export class StanzaError extends Error {
  override readonly name = "StanzaError";
  readonly code: StanzaCondition;
  readonly condition: StanzaCondition;
  readonly errorType: ErrorType;
  /** For people, in English; sent to the peer when not empty. */
  readonly text: string;
  readonly application: Element | undefined;
  readonly address: string | undefined;

  constructor(condition: StanzaCondition, text = "", options: StanzaErrorOptions = {}) {
    super(text === "" ? `Cannot process stanza: ${condition}` : text, options);
    this.code = condition;
    this.condition = condition;
    this.errorType = options.type ?? TYPES[condition];
    this.text = text;
    this.application = options.application;
    this.address = options.address;
  }
}

/** The `<error/>` element that goes into a stanza of type "error". */
function errorElement(error: StanzaError): Element {
  const { condition, errorType, text, application, address } = error;
  return el("error", { type: errorType }, [
    el(condition, { xmlns: NS }, address),
    text === "" ? undefined : el("text", { xmlns: NS, "xml:lang": "en" }, text),
    application,
  ]);
}

/**
 * The stanza to send back to the sender. The caller sees to it that errors, results and (mostly)
 * presence are never answered.
 */
export const errorReply = (envelope: Envelope, error: StanzaError): Element =>
  reply(envelope, "error", errorElement(error));
