/** From what a client sent to an envelope: checked once, addressed, stamped. RFC 6120, 8.1 and 8.2. */
import type { Clock } from "../base/clock.ts";
import type { ClientSession } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import { isStanzaKind, makeEnvelope } from "../stanza/envelope.ts";
import type { StanzaCondition } from "../stanza/error.ts";
import { Jid } from "../stanza/jid.ts";
import { priorityIn } from "../stanza/priority.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { detach } from "../xml/intern.ts";

export type Accepted =
  | { readonly kind: "accepted"; readonly envelope: Envelope }
  /** The sender is answered with this error, unless its kind forbids an answer. */
  | { readonly kind: "refused"; readonly envelope: Envelope; readonly condition: StanzaCondition };

/** Whom a session wrote to last: people write to the same one again and again. */
export interface Peer {
  /** As the client wrote it. */
  written: string;
  jid: Jid | undefined;
}

const PEER_LENGTH_MAX = 256;

const PRESENCE_TYPES: ReadonlySet<string> = new Set([
  "available",
  "unavailable",
  "subscribe",
  "subscribed",
  "unsubscribe",
  "unsubscribed",
  "probe",
  "error",
]);

/** Stamps arrival times that never go back, so that what is stored sorts by arrival. */
export class Acceptance {
  readonly #clock: Clock;
  #lastMs = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Milliseconds since the epoch, never less than what it said before. */
  nowMs(): number {
    this.#lastMs = Math.max(this.#lastMs, this.#clock.nowMs());
    return this.#lastMs;
  }

  /**
   * Undefined for what is no stanza at all; the door closes such streams before.
   * @param peer whom the session wrote to last
   */
  accept(session: ClientSession, parsed: ParsedStanza, peer?: Peer): Accepted | undefined {
    if (!isStanzaKind(parsed.name)) return undefined;
    const to = recipient(session, parsed.attribute("to"), peer);
    const envelope = makeEnvelope(parsed, {
      from: session.jid,
      // RFC 6120, 10.3: without `to` the server handles it on behalf of the sender's account.
      to: to ?? session.jid.toBare(),
      receivedMs: this.nowMs(),
      lang: session.lang,
    });
    return verdictOn(envelope, to === undefined ? "jid-malformed" : fault(envelope, parsed));
  }

  /** The same for a component, which speaks for every address of its domain and names both sides. */
  acceptFrom(from: Jid, parsed: ParsedStanza): Accepted | undefined {
    if (!isStanzaKind(parsed.name)) return undefined;
    const written = parsed.attributes.to;
    const to = Jid.parseOrNone(written);
    const itself = Jid.from("", from.domain);
    const envelope = makeEnvelope(parsed, { from, to: to ?? itself, receivedMs: this.nowMs() });
    if (to !== undefined) return verdictOn(envelope, fault(envelope, parsed));
    return verdictOn(envelope, written === undefined ? "bad-request" : "jid-malformed");
  }
}

const verdictOn = (envelope: Envelope, condition: StanzaCondition | undefined): Accepted =>
  condition === undefined
    ? { kind: "accepted", envelope }
    : { kind: "refused", envelope, condition };

function recipient(session: ClientSession, to: string | undefined, peer?: Peer): Jid | undefined {
  if (to === undefined) return session.jid.toBare();
  if (peer === undefined) return Jid.parseOrNone(to);
  if (peer.jid !== undefined && peer.written === to) return peer.jid;
  const jid = Jid.parseOrNone(to);
  // What is long is rare, and would be kept for each session.
  if (jid !== undefined && to.length <= PEER_LENGTH_MAX) {
    peer.written = detach(to);
    peer.jid = jid;
  }
  return jid;
}

function fault(envelope: Envelope, parsed: ParsedStanza): StanzaCondition | undefined {
  const { kind, type, children } = envelope;
  if (kind === "presence") {
    if (!PRESENCE_TYPES.has(type)) return "bad-request";
    return type === "error" || priorityIn(envelope) !== undefined ? undefined : "bad-request";
  }
  if (kind === "message") return undefined;
  // RFC 6120, 8.2.3: an id, one of four types, and exactly one payload in a request.
  if (parsed.attribute("id") === undefined) return "bad-request";
  switch (type) {
    case "get":
    case "set":
      return children.length === 1 ? undefined : "bad-request";
    case "result":
      return children.length <= 1 ? undefined : "bad-request";
    case "error":
      return undefined;
    default:
      return "bad-request";
  }
}
