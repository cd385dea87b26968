/** What is worth a notification, and what it says (XEP-0357, 7). */
import { StanzaError } from "../../stanza/error.ts";
import type { Field } from "../../stanza/form.ts";
import { FORM_NS, formElement, readForm } from "../../stanza/form.ts";
import { forwardedIn } from "../../stanza/forward.ts";
import { CLIENT_NS } from "../../stanza/reply.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { child, children, localName, ns, text } from "../../xml/names.ts";
import type { Envelope } from "../contract.ts";
import type { PushRegistration } from "./registrations.ts";

export const PUSH_NS = "urn:xmpp:push:0";
const PUBSUB_NS = "http://jabber.org/protocol/pubsub";
const PUBLISH_OPTIONS = `${PUBSUB_NS}#publish-options`;
const SUMMARY = "urn:xmpp:push:summary";
const CARBONS = "urn:xmpp:carbons:2";
const BODY_CHARACTERS_MAX = 500;

/** Elements that people want to hear of at once, besides a body. */
const URGENT: ReadonlySet<string> = new Set([
  "encrypted eu.siacs.conversations.axolotl",
  "encrypted urn:xmpp:omemo:2",
  "openpgp urn:xmpp:openpgp:0",
  "propose urn:xmpp:jingle-message:0",
  "x jabber:x:conference",
]);

export const isUrgent = (envelope: Envelope): boolean => {
  const { kind, type, children: parts } = envelope;
  if (kind !== "message" || type === "error" || type === "headline") return false;
  if (hasUrgent(parts)) return true;
  // A copy of what another of the user's resources got (XEP-0280).
  const isCopy = parts[0]?.name === "received" && parts[0].ns === CARBONS;
  const inner = isCopy ? forwardedIn(envelope.element(), CARBONS) : undefined;
  return (
    inner !== undefined &&
    hasUrgent(children(inner).map((one) => ({ name: localName(one), ns: ns(one) })))
  );
};

const isUrgentPart = ({ name, ns: one }: Envelope["children"][number]): boolean =>
  (name === "body" && one === CLIENT_NS) || URGENT.has(`${name} ${one}`);

const hasUrgent = (parts: Envelope["children"]): boolean => parts.some(isUrgentPart);

export interface Content {
  readonly withSender: boolean;
  readonly withBody: boolean;
  /** Said instead of the body. */
  readonly text: string;
}

/** The summary of one message, or of the one that it is a copy of. */
export function summaryOf(envelope: Envelope, { withSender, withBody, text: said }: Content) {
  const fields: Field[] = [{ name: "message-count", values: ["1"] }];
  const message = withSender || withBody ? toldIn(envelope) : undefined;
  if (withSender) fields.push({ name: "last-message-sender", values: [message?.attrs.from ?? ""] });
  const body = withBody && message ? child(message, "body", CLIENT_NS) : undefined;
  const words = body === undefined ? said : text(body).slice(0, BODY_CHARACTERS_MAX).toWellFormed();
  if (words !== "") fields.push({ name: "last-message-body", values: [words] });
  return formElement("form", SUMMARY, fields);
}

const toldIn = (envelope: Envelope): Element =>
  forwardedIn(envelope.element(), CARBONS) ?? envelope.element();

/** What is published to one target. */
export function publication({ node, options }: PushRegistration, summary: Element): Element {
  const notification = el("notification", { xmlns: PUSH_NS }, summary);
  const publish = el(
    "publish",
    { node: node === "" ? undefined : node },
    el("item", {}, notification),
  );
  return el("pubsub", { xmlns: PUBSUB_NS }, [
    publish,
    options === undefined ? undefined : el("publish-options", {}, options),
  ]);
}

/**
 * The form that goes along with what is published.
 * @throws StanzaError for another form: it was to have an effect, and would have none
 */
export function optionsIn(enable: Element): Element | undefined {
  const options = child(enable, "x", FORM_NS);
  if (options === undefined || readForm(options).formType === PUBLISH_OPTIONS) return options;
  throw new StanzaError("bad-request", `Cannot enable: the form must be one of ${PUBLISH_OPTIONS}`);
}
