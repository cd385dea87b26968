/** XEP-0313, section 5.1 and XEP-0334: which messages are archived. Pure. */
import type { Envelope } from "../contract.ts";

export const MAM_NS = "urn:xmpp:mam:2";
const HINTS = "urn:xmpp:hints";
const CARBONS = "urn:xmpp:carbons:2";
const CLIENT = "jabber:client";
const MUC_USER = "http://jabber.org/protocol/muc#user";

/** What belongs to a conversation even without a body. */
const CONVERSATION: ReadonlySet<string> = new Set([
  "urn:xmpp:receipts",
  "urn:xmpp:chat-markers:0",
  "urn:xmpp:jingle-message:0",
  "urn:xmpp:reactions:0",
  "urn:xmpp:message-retract:0",
  "urn:xmpp:message-retract:1",
  "urn:xmpp:message-attaching:1",
  "urn:xmpp:eme:0",
  "urn:xmpp:omemo:1",
  "urn:xmpp:omemo:2",
  "eu.siacs.conversations.axolotl",
  "urn:xmpp:openpgp:0",
  "jabber:x:encrypted",
  "jabber:x:conference",
]);

/** A request for a receipt is nothing by itself. */
const NOTHING_ALONE: ReadonlySet<string> = new Set(["request", "markable"]);

export function isArchived({ kind, type, to, children }: Envelope): boolean {
  if (kind !== "message" || (type !== "chat" && type !== "normal")) return false;
  let isWorthIt = false;
  for (const { name, ns } of children) {
    if (ns === HINTS) {
      if (name === "no-store" || name === "no-permanent-store") return false;
      if (name === "store") isWorthIt = true;
    } else if (ns === CLIENT) {
      if (name === "body") isWorthIt = true;
    } else if (ns === MAM_NS || (ns === CARBONS && name !== "private")) {
      return false; // It carries what is archived already.
    } else if (ns === MUC_USER) {
      // Invitations; what members of a room whisper has a body.
      if (to.isBare) isWorthIt = true;
    } else if (CONVERSATION.has(ns) && !NOTHING_ALONE.has(name)) isWorthIt = true;
  }
  return isWorthIt;
}
