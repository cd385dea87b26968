/** XEP-0203 Delayed Delivery: says when a stored stanza was first received. */
import { el } from "../xml/element.ts";
import { toBytes } from "../xml/write.ts";
import type { Jid } from "./jid.ts";

const NS = "urn:xmpp:delay";
const SLASH = 0x2f;
const END_TAG_START = Buffer.from("</");

/** XEP-0082: UTC, with milliseconds. */
export const formatDateTime = (ms: number): string => new Date(ms).toISOString();

/**
 * The stanza with a `<delay/>` as its last child.
 * @param bytes one stanza as `Envelope.bytes` holds it
 * @param from who kept it, usually the server's domain
 * @param receivedMs when it was first received, milliseconds since the epoch
 */
export function withDelay(bytes: Buffer, from: Jid, receivedMs: number): Buffer {
  const delay = toBytes(
    el("delay", { xmlns: NS, from: from.full, stamp: formatDateTime(receivedMs) }),
  );
  // A stanza that ends with "/>" is a single empty tag; any other ends with its own end tag.
  if (bytes[bytes.length - 2] !== SLASH) {
    const end = bytes.lastIndexOf(END_TAG_START);
    return Buffer.concat([bytes.subarray(0, end), delay, bytes.subarray(end)]);
  }
  const name = /^<([^\s/>]+)/.exec(bytes.toString("utf8"))?.[1] ?? "";
  const open = bytes.subarray(0, bytes.length - 2);
  return Buffer.concat([open, Buffer.from(">"), delay, Buffer.from(`</${name}>`)]);
}
