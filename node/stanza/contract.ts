/** The kinds of stanza and what carries one through the node. */
import type { Element } from "../xml/element.ts";
import type { Jid } from "./jid.ts";
import type { Origin } from "./origin.ts";

export type StanzaKind = "message" | "presence" | "iq";

/** Made once at entry, carried unchanged to the exit node (design invariant 6). */
export interface Envelope {
  readonly kind: StanzaKind;
  /** The `type` attribute; "normal" for a message and "available" for presence without one. */
  readonly type: string;
  /** The `id` attribute, "" when absent. */
  readonly id: string;
  readonly from: Jid;
  /** Never absent: a stanza without `to` is addressed to its sender's bare address. */
  readonly to: Jid;
  /** Self-contained UTF-8 in jabber:client, checked, with `from` and `to` in it. */
  readonly bytes: Buffer;
  /** When the entry node accepted it, milliseconds since the epoch. */
  readonly receivedMs: number;
  /** Local name and namespace of each child, without building a tree. */
  readonly children: readonly { readonly name: string; readonly ns: string }[];
  /** The tree, built on first use. Treat as read-only: the bytes are what is sent. */
  element(): Element;
  /**
   * What makes a message the same message, should the session that was given it end before it is
   * acknowledged. Set by whoever hands it over; a table of its own would slow each collection of garbage.
   */
  origin?: Origin | undefined;
}
