/** XEP-0280, section 6: which messages are copied to other resources. Pure. */
import type { CopySide, Envelope } from "../contract.ts";

export const CARBONS_NS = "urn:xmpp:carbons:2";
const HINTS = "urn:xmpp:hints";
const MUC_USER = "http://jabber.org/protocol/muc#user";

/** What conversations are made of besides bodies: receipts, markers, calls, invitations. */
const CONVERSATION: ReadonlySet<string> = new Set([
  "urn:xmpp:receipts",
  "urn:xmpp:chat-markers:0",
  "urn:xmpp:jingle-message:0",
  "jabber:x:conference",
]);

export function isEligible(envelope: Envelope, side: CopySide): boolean {
  const { type, children } = envelope;
  let hasBody = false;
  let isConversation = false;
  let isOfRoom = false;
  for (const { name, ns } of children) {
    if (name === "private" && ns === CARBONS_NS) return false;
    if (name === "no-copy" && ns === HINTS) return false;
    if (name === "body" && ns === "jabber:client") hasBody = true;
    else if (name === "x" && ns === MUC_USER) isOfRoom = true;
    else if (type === "normal" && CONVERSATION.has(ns)) isConversation = true;
    // A copy of a copy, or of an answer from an archive.
    else if (ns === CARBONS_NS || ns === "urn:xmpp:mam:2") return false;
  }
  // Room members' private messages come to the resource that is in the room; invitations do not.
  if (side === "received" && isOfRoom && envelope.to.resource !== "") return false;
  switch (type) {
    case "chat":
      return true;
    case "normal":
      return hasBody || isConversation || isOfRoom;
    case "error":
      return isErrorOfConversation(envelope, side, hasBody);
    default:
      return false; // "groupchat" and "headline".
  }
}

/**
 * An error that answers an eligible message. What was sent is not remembered, so it is known by
 * what it brings back, or by its sender: conversations are begun with bare addresses. Errors of
 * this server's own are known exactly (router/copies.ts).
 */
const isErrorOfConversation = ({ from }: Envelope, side: CopySide, hasBody: boolean): boolean =>
  side === "received" && (hasBody || (from.local !== "" && from.isBare));
