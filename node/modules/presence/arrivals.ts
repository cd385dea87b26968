/** Presence that reaches a session of this node: probes are answered, what others say is remembered. */
import type { Jid } from "../../stanza/jid.ts";
import type { ClientSession, Envelope, Host, RosterService } from "../contract.ts";
import { CONSUME, PASS } from "../contract.ts";
import type { Announcer } from "./announce.ts";
import type { Sightings } from "./sightings.ts";
import { knownState, setAudience } from "./state.ts";
import type { Untold } from "./untold.ts";

/**
 * RFC 6121, 8.5.3.1 and 11 (presence leaks): a request tells its sender that the resource is
 * there, so it reaches the resource only if the sender may know: the server, the user, who sees the
 * user's presence, and who was sent directed presence.
 */
function mayAsk(from: Jid, session: ClientSession): boolean {
  if (from.local === "" || from.bare === session.jid.bare) return true;
  const state = knownState(session);
  if (state === undefined) return false;
  const { audience, directed } = state;
  if (audience.has(from.bare)) return true;
  return directed !== undefined && (directed.has(from.full) || directed.has(from.bare));
}

export class PresenceArrivals {
  readonly #host: Host;
  readonly #roster: RosterService;
  readonly #announcer: Announcer;
  readonly #sightings: Sightings;
  readonly #untold: Untold;

  constructor(
    host: Host,
    roster: RosterService,
    parts: { announcer: Announcer; sightings: Sightings; untold: Untold },
  ) {
    this.#host = host;
    this.#roster = roster;
    this.#announcer = parts.announcer;
    this.#sightings = parts.sightings;
    this.#untold = parts.untold;
  }

  delivery(envelope: Envelope, session: ClientSession, fromNode: string, isBroadcast: boolean) {
    if (envelope.kind === "message") return PASS;
    if (envelope.kind === "iq") {
      return this.#request(envelope, session);
    }
    switch (envelope.type) {
      case "probe":
        this.#answer(envelope, session, fromNode);
        return CONSUME;
      case "available":
        return this.#sightings.hear(envelope, session, fromNode);
      case "unavailable":
        return this.#sightings.hearEnd(envelope, session, fromNode, isBroadcast);
      default:
        return PASS;
    }
  }

  #request(envelope: Envelope, session: ClientSession) {
    const push = this.#roster.readPush(envelope);
    if (push !== undefined) {
      const isShown = push.subscription === "from" || push.subscription === "both";
      void this.#announcer.show(session, push.contact, isShown);
      return PASS;
    }
    const { type } = envelope;
    if ((type !== "get" && type !== "set") || mayAsk(envelope.from, session)) return PASS;
    this.#host.router.refuse(envelope, "service-unavailable");
    return CONSUME;
  }

  /** 4.3.2: with the presence this session last sent. Whoever saw it will hear of its end. */
  #answer({ from }: Envelope, session: ClientSession, fromNode: string): void {
    const state = knownState(session);
    if (state?.last === undefined || from.full === session.jid.full) return;
    if (from.bare !== session.jid.bare) {
      setAudience(this.#host.router, session, from.bare, true);
    }
    if (from.isBare) void this.#untold.tell(state.last, [from.bare]);
    else void this.#untold.reply(state.last, from, fromNode);
  }
}
