/** What is worth a notification, and what it says (XEP-0357, 7). */
import type { Field } from "../../stanza/form.ts";
import { FORM_NS, formElement } from "../../stanza/form.ts";
import { CLIENT_NS } from "../../stanza/reply.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { child, children, text } from "../../xml/names.ts";
import type { Envelope } from "../contract.ts";
import type { PushRegistration } from "./registrations.ts";

export const PUSH_NS = "urn:xmpp:push:0";
const PUBSUB_NS = "http://jabber.org/protocol/pubsub";
const SUMMARY = "urn:xmpp:push:summary";
const BODY_CHARACTERS_MAX = 500;

/** Elements that people want to hear of at once, besides a body. */
const URGENT: ReadonlySet<string> = new Set([
  "encrypted eu.siacs.conversations.axolotl",
  "encrypted urn:xmpp:omemo:2",
  "openpgp urn:xmpp:openpgp:0",
  "propose urn:xmpp:jingle-message:0",
  "x jabber:x:conference",
]);

export const isUrgent = ({ kind, type, children: parts }: Envelope): boolean =>
  kind === "message" &&
  type !== "error" &&
  type !== "headline" &&
  parts.some(
    ({ name, ns }) => (name === "body" && ns === CLIENT_NS) || URGENT.has(`${name} ${ns}`),
  );

export interface Content {
  readonly withSender: boolean;
  readonly withBody: boolean;
  /** Said instead of the body. */
  readonly text: string;
}

/** The summary of one message. */
export function summaryOf(envelope: Envelope, { withSender, withBody, text: said }: Content) {
  const { from } = envelope;
  const body = withBody ? child(envelope.element(), "body", CLIENT_NS) : undefined;
  const words = body === undefined ? said : text(body).slice(0, BODY_CHARACTERS_MAX).toWellFormed();
  const fields: Field[] = [{ name: "message-count", values: ["1"] }];
  if (withSender) fields.push({ name: "last-message-sender", values: [from.full] });
  if (words !== "") fields.push({ name: "last-message-body", values: [words] });
  return formElement("form", SUMMARY, fields);
}

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

/** The form that goes along with what is published. */
export const optionsIn = (enable: Element): Element | undefined =>
  children(enable, "x", FORM_NS)[0];
