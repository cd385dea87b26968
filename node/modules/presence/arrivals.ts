/** Presence that reaches a session of this node: probes are answered, the rest is remembered. */
import { fromElement } from "../../stanza/envelope.ts";
import type { Jid } from "../../stanza/jid.ts";
import { CLIENT_NS } from "../../stanza/reply.ts";
import { el } from "../../xml/element.ts";
import type { ClientSession, Envelope, Host, RosterService } from "../contract.ts";
import { CONSUME, PASS } from "../contract.ts";
import type { Announcer, Limits } from "./announce.ts";
import { knownState, stateOf } from "./state.ts";

/** Sessions of a dead node whose routes are read at the same time. */
const LOOKED_FOR_AT_ONCE = 500;

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
  readonly #limits: Limits;

  constructor(host: Host, roster: RosterService, announcer: Announcer, limits: Limits) {
    this.#host = host;
    this.#roster = roster;
    this.#announcer = announcer;
    this.#limits = limits;
  }

  delivery(envelope: Envelope, session: ClientSession, fromNode: string) {
    if (envelope.kind === "message") return PASS;
    if (envelope.kind === "iq") {
      return this.#request(envelope, session);
    }
    switch (envelope.type) {
      case "probe":
        this.#answer(envelope, session, fromNode);
        return CONSUME;
      case "available":
        return this.#see(envelope, session, fromNode) ? PASS : CONSUME;
      case "unavailable":
        knownState(session)?.seen?.delete(envelope.from.full);
        return PASS;
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
    if (from.bare !== session.jid.bare) state.audience.add(from.bare);
    if (from.isBare) void this.#host.router.broadcast(state.last, [from.bare]);
    else void this.#host.router.reply(state.last, from.full, fromNode);
  }

  /** False for a late word of a node whose sessions were reported gone: it would be a ghost. */
  #see({ from }: Envelope, session: ClientSession, fromNode: string): boolean {
    if (fromNode === this.#host.self) {
      knownState(session)?.seen?.delete(from.full); // It moved here.
      return true;
    }
    if (this.#host.router.isDead(fromNode)) return false;
    const state = stateOf(session);
    const seen = state.seen ?? new Map();
    if (seen.size < this.#limits.seenMax || seen.has(from.full)) {
      state.seen = seen.set(from.full, fromNode);
    }
    return true;
  }

  /**
   * Design invariant 4: what a node's sessions were shown of a dead node's goes unavailable, but for
   * sessions that went on at another node before.
   */
  async nodeDown(node: string): Promise<void> {
    const gone = new Map<string, ClientSession[]>();
    for (const session of this.#host.sessions().all()) {
      for (const [from, where] of knownState(session)?.seen ?? []) {
        if (where !== node) continue;
        const watchers = gone.get(from) ?? [];
        watchers.push(session);
        gone.set(from, watchers);
      }
    }
    const all = [...gone];
    for (let at = 0; at < all.length; at += LOOKED_FOR_AT_ONCE) {
      const some = all.slice(at, at + LOOKED_FOR_AT_ONCE);
      await Promise.all(some.map(([from, watchers]) => this.#missed(from, node, watchers)));
    }
  }

  async #missed(from: string, node: string, watchers: readonly ClientSession[]): Promise<void> {
    const { router } = this.#host;
    const holder = await router.holderOf(from);
    for (const session of watchers) {
      const seen = knownState(session)?.seen;
      if (seen?.get(from) !== node) continue; // It has said itself where it is.
      if (holder !== undefined && holder !== node) {
        if (holder === this.#host.self) seen.delete(from);
        else seen.set(from, holder);
        continue;
      }
      seen.delete(from);
      const attributes = { xmlns: CLIENT_NS, type: "unavailable", from, to: session.jid.full };
      router.show(session, fromElement(el("presence", attributes), router.nowMs()));
    }
  }
}
