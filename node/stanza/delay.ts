/** XEP-0203 Delayed Delivery: says when a stored stanza was first received. */
import type { Element } from "../xml/element.ts";
import { el } from "../xml/element.ts";
import { toBytes } from "../xml/write.ts";
import type { Jid } from "./jid.ts";
import { withChild } from "./splice.ts";

const NS = "urn:xmpp:delay";

/** XEP-0082: UTC, with milliseconds. */
export const formatDateTime = (ms: number): string => new Date(ms).toISOString();

/**
 * @param from who kept it, usually the server's domain
 * @param receivedMs when it was first received, milliseconds since the epoch
 */
export const delayElement = (from: Jid | undefined, receivedMs: number): Element =>
  el("delay", { xmlns: NS, from: from?.full, stamp: formatDateTime(receivedMs) });

/**
 * The stanza with a `<delay/>` as its last child.
 * @param bytes one stanza as `Envelope.bytes` holds it
 */
export const withDelay = (bytes: Buffer, from: Jid, receivedMs: number): Buffer =>
  withChild(bytes, toBytes(delayElement(from, receivedMs)));
