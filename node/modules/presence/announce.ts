/**
 * The sender's side of RFC 6121, section 4: initial presence, changes, the end. Runs on the node of
 * the session, in the order of its stanzas.
 */
import { pause } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import { envelopeOf, templateOf } from "../../router/envelopes.ts";
import { both } from "../../router/stages.ts";
import { fromElement, kept } from "../../stanza/envelope.ts";
import { Jid } from "../../stanza/jid.ts";
import { priorityIn } from "../../stanza/priority.ts";
import { CLIENT_NS } from "../../stanza/reply.ts";
import type { Roster } from "../../stores/contract.ts";
import { el } from "../../xml/element.ts";
import type {
  BlockingService,
  ClientSession,
  Decorator,
  Envelope,
  Host,
  RosterService,
  Verdict,
} from "../contract.ts";
import { CONSUME, consume } from "../contract.ts";
import { asNews } from "./news.ts";
import type { PresenceState } from "./state.ts";
import { isHere, setAudience, stateOf, tellCopy } from "./state.ts";
import type { Untold } from "./untold.ts";
import { gone, probeOf } from "./untold.ts";

/** Presence that could not be published is tried again after this. */
const RETRY_MS = 1_000;

export interface Limits {
  /** Addresses with directed presence that one session may have. */
  readonly directedMax: number;
}

type Contacts = Pick<Roster, "items">;

export class Announcer {
  readonly #host: Host;
  readonly #roster: RosterService;
  readonly #blocking: BlockingService;
  readonly #untold: Untold;
  readonly #limits: Limits;
  readonly #watchers: ((session: ClientSession, roster: Contacts) => void)[] = [];
  readonly #decorators: Decorator[] = [];

  constructor(
    host: Host,
    services: { roster: RosterService; blocking: BlockingService; untold: Untold },
    limits: Limits,
  ) {
    this.#host = host;
    this.#roster = services.roster;
    this.#blocking = services.blocking;
    this.#untold = services.untold;
    this.#limits = limits;
  }

  watch(watcher: (session: ClientSession, roster: Contacts) => void): void {
    this.#watchers.push(watcher);
  }

  decorate(decorator: Decorator): void {
    this.#decorators.push(decorator);
  }

  /** Available presence with what others add to it. Never rejects; without a promise if it can. */
  decorated(
    session: ClientSession,
    presence: Envelope,
    isAgain = false,
  ): Envelope | Promise<Envelope> {
    let decorated: Envelope | Promise<Envelope> = presence;
    for (const decorator of this.#decorators) {
      decorated =
        decorated instanceof Promise
          ? decorated.then((late) => decorator(session, late, isAgain))
          : decorator(session, decorated, isAgain);
    }
    if (!(decorated instanceof Promise)) return decorated;
    return decorated.catch((error: unknown) => {
      this.#host.log.warn({ err: error }, "cannot add to presence");
      return presence;
    });
  }

  /** The last presence once more, with what others add to it now. */
  async renew(session: ClientSession): Promise<void> {
    const { last } = stateOf(session);
    if (last === undefined) return;
    const renewed = await this.decorated(session, last, true);
    const state = stateOf(session);
    // Another presence came meanwhile, or the end.
    if (state.last !== last || renewed === last) return;
    state.last = kept(renewed);
    await this.#untold.tell(renewed, [session.jid.bare, ...state.audience]);
  }

  /**
   * Presence without `to`: available, or not. Resolves when it is decided and on its way; accepted
   * when the others have it. While etcd or the store is away it is kept, and goes along with the
   * session: a client that has said that it is there does not say so again.
   */
  async said(session: ClientSession, envelope: Envelope): Promise<Verdict> {
    const { log } = this.#host;
    const state = stateOf(session);
    state.wished = envelope;
    try {
      return envelope.type === "available"
        ? await this.#available(session, state, envelope)
        : await this.#unavailable(session, state, envelope);
    } catch (error) {
      if (error instanceof Unavailable) {
        log.warn({ err: error }, "cannot publish presence yet");
        void this.#sayAgain(session, envelope);
      } else {
        log.error({ err: error }, "cannot publish presence");
        session.close("internal-server-error", "Presence could not be published");
      }
      return CONSUME;
    }
  }

  /** Unless it has ended, or said something else meanwhile. Never rejects. */
  async #sayAgain(session: ClientSession, wished: Envelope): Promise<void> {
    const { clock, router } = this.#host;
    await pause(clock, RETRY_MS);
    await session.moving;
    if (!this.#isWished(session, wished)) return;
    await this.said(session, wished);
    if (!this.#isWished(session, wished)) tellCopy(router, session);
  }

  #isWished(session: ClientSession, presence: Envelope): boolean {
    return isHere(this.#host, session) && stateOf(session).wished === presence;
  }

  async #available(
    session: ClientSession,
    state: PresenceState,
    envelope: Envelope,
  ): Promise<Verdict> {
    const { router } = this.#host;
    const isInitial = state.last === undefined;
    const priority = priorityIn(envelope) ?? 0; // Another is not accepted.
    const { route } = session;
    if (priority >= 0 && !(route.available && route.priority >= 0)) {
      state.isArriving = true;
      await router.tell("arriving", session);
    }
    const decorated = this.decorated(session, envelope);
    const template = templateOf(decorated instanceof Promise ? await decorated : decorated);
    if (isInitial) state.changes ??= new Map();
    await router.publish(session, true, priority);
    const roster = isInitial ? await this.#readAll(session) : undefined;
    // If it has ended, who saw it has been told so, and nobody would tell the others.
    if (!this.#isWished(session, envelope)) return CONSUME;
    state.last = kept(template);
    const told = this.#tell(session, state, template, roster);
    this.#settle(session, state);
    return consume(told);
  }

  /** What it wished is so. */
  #settle(session: ClientSession, state: PresenceState): void {
    state.wished = undefined;
    state.changes = undefined;
    if (!state.isArriving) return;
    state.isArriving = false;
    void this.#arrived(session);
  }

  /** What decides who sees this session: its user's roster and list of blocked addresses. */
  async #readAll(session: ClientSession): Promise<Contacts> {
    const [roster] = await Promise.all([
      this.#roster.load(session.jid.bare),
      this.#blocking.follow(session),
    ]);
    return this.#unblocked(session, roster);
  }

  #unblocked(session: ClientSession, { items }: Contacts): Contacts {
    return { items: items.filter(({ contact }) => !this.#isBlocked(session, contact)) };
  }

  #isBlocked(session: ClientSession, contact: string): boolean {
    return this.#blocking.isBlocked(session, contact);
  }

  async #arrived(session: ClientSession): Promise<void> {
    try {
      await this.#host.router.tell("arrived", session);
    } catch (error) {
      this.#host.log.error({ err: error }, "cannot finish the arrival of a session");
    }
  }

  #tell(
    session: ClientSession,
    state: PresenceState,
    template: Envelope,
    roster: Contacts | undefined,
  ): Promise<void> | undefined {
    const { bare } = session.jid;
    if (roster !== undefined) {
      const audience = audienceOf(roster, state.changes);
      for (const contact of audience) {
        if (this.#isBlocked(session, contact)) audience.delete(contact);
      }
      state.audience = audience;
    }
    const told = this.#untold.tell(template, [bare, ...state.audience]);
    if (roster === undefined) return told;
    const probed = this.#probe(session, roster);
    deliverPending(session, roster);
    for (const watcher of this.#watchers) watcher(session, roster);
    return both(told, probed);
  }

  /** 4.2.2: asks for the presence of those the user sees, and of the user's other resources. */
  #probe(session: ClientSession, { items }: Contacts): Promise<void> | undefined {
    const asked = items.filter((item) => item.to).map((item) => item.contact);
    // The account's own list decides whom it sees: both sides live in this cluster, and changes of
    // a subscription are written on both (design, "Everything a login needs").
    return this.ask(session, [session.jid.bare, ...asked]);
  }

  /** Each resource of these users answers with its presence. */
  ask(session: ClientSession, users: readonly string[]): Promise<void> | undefined {
    return this.#untold.tell(probeOf(session, this.#host.router.nowMs()), users, session.id);
  }

  async #unavailable(
    session: ClientSession,
    state: PresenceState,
    envelope: Envelope,
  ): Promise<Verdict> {
    await this.#host.router.publish(session, false, 0);
    if (!this.#isWished(session, envelope)) return CONSUME;
    this.#settle(session, state);
    // 4.6.3: who only showed himself to some takes that back in the same way.
    if (state.last === undefined && state.directed === undefined) return CONSUME;
    return consume(this.#leave(session, state, templateOf(envelope)));
  }

  /** The session is over without having said so. */
  ended(session: ClientSession): Promise<void> | undefined {
    const state = stateOf(session);
    const { directed, last } = state;
    if (last === undefined && directed === undefined) return undefined;
    session.route = { ...session.route, available: false };
    return this.#leave(session, state, gone(session.jid, this.#host.router.nowMs()));
  }

  /** Tells everybody who saw this session that it is gone: once, because the state goes with it. */
  #leave(
    session: ClientSession,
    state: PresenceState,
    template: Envelope,
  ): Promise<void> | undefined {
    const { router } = this.#host;
    const audience = [...state.audience];
    const directed = [...(state.directed ?? [])];
    state.last = undefined;
    state.seen = undefined;
    state.seesMore = false;
    state.audience = new Set();
    state.directed = undefined;
    const told = this.#untold.tell(template, [session.jid.bare, ...audience], session.id);
    if (directed.length === 0) return told;
    const routed = directed.map((to) => router.route(this.#farewell(session, to)));
    return Promise.all([told, ...routed]).then(() => {});
  }

  /** 4.6: remembers who gets presence without a subscription. False: too many, do not send. */
  direct(session: ClientSession, { type, to }: Envelope): boolean {
    const state = stateOf(session);
    if (type === "unavailable") state.directed?.delete(to.full);
    else if (type === "available" && !state.audience.has(to.full)) {
      const directed = state.directed ?? new Set();
      if (directed.size >= this.#limits.directedMax && !directed.has(to.full)) return false;
      state.directed = directed.add(to.full);
    }
    return true;
  }

  /** A contact may see us from now on, or no longer: what a roster push told. */
  show(session: ClientSession, contact: string, isShown: boolean): Promise<void> | undefined {
    const state = stateOf(session);
    state.changes?.set(contact, isShown);
    const { last, audience } = state;
    if (last === undefined || audience.has(contact) === isShown) return undefined;
    if (isShown && this.#isBlocked(session, contact)) return undefined;
    setAudience(this.#host.router, session, contact, isShown);
    if (isShown) return this.#untold.tell(last, [contact]);
    return this.#untold.tell(gone(session.jid, this.#host.router.nowMs()), [contact]);
  }

  /** 3.2.2: a contact sees the user's sessions of this node go before it hears that it may not. */
  async hide(user: string, contact: string): Promise<void> {
    const sessions = this.#host.sessions().ofUser(user);
    await Promise.all(sessions.map((session) => this.show(session, contact, false)));
  }

  /** It goes on at this node: where it is seen, that is noted, and it is shown if it is not seen. */
  async moved(session: ClientSession): Promise<void> {
    const { last, audience, wished } = stateOf(session);
    if (wished !== undefined) void this.#sayAgain(session, wished);
    if (last === undefined) return;
    const isUser = (contact: string) => !components.includes(Jid.prepared(contact).domain);
    const { components } = this.#host;
    const users = [session.jid.bare, ...audience].filter(isUser);
    await this.#untold.tell(asNews(last), users, session.id);
  }

  /** After this node was taken for dead: presence again, for those who saw the session go. */
  async again(session: ClientSession): Promise<void> {
    await session.moving;
    const { last, audience } = stateOf(session);
    if (last === undefined || !isHere(this.#host, session)) return;
    await this.#untold.tell(last, [session.jid.bare, ...audience], session.id);
  }

  /** The same for what it may not have heard. @throws Unavailable */
  async askAgain(session: ClientSession): Promise<void> {
    if (stateOf(session).last === undefined) return;
    await this.#probe(session, await this.#readAll(session));
  }

  /** XEP-0191, 3.3 and 3.4: whoever is blocked sees the user go; later, come back. */
  blockingChanged(
    session: ClientSession,
    { blocked, unblocked }: { blocked: readonly string[]; unblocked: readonly string[] },
  ): void {
    const state = stateOf(session);
    if (blocked.length > 0) this.#vanish(session, state);
    if (unblocked.length === 0 || state.last === undefined) return;
    this.#reappear(session, unblocked).catch((error: unknown) => {
      this.#host.log.warn({ err: error }, "cannot show presence to unblocked contacts");
    });
  }

  #vanish(session: ClientSession, { audience, directed }: PresenceState): void {
    const { router } = this.#host;
    for (const contact of [...audience]) {
      if (this.#isBlocked(session, contact)) void this.show(session, contact, false);
    }
    for (const to of directed ?? []) {
      if (!this.#isBlocked(session, to)) continue;
      directed?.delete(to);
      void router.route(this.#farewell(session, to));
    }
  }

  async #reappear(session: ClientSession, unblocked: readonly string[]): Promise<void> {
    const isBack = (contact: string) =>
      unblocked.includes(contact) || unblocked.includes(Jid.prepared(contact).domain);
    const { items } = await this.#roster.load(session.jid.bare);
    const back = items.filter(({ contact }) => isBack(contact));
    const roster = this.#unblocked(session, { items: back });
    const seeing = roster.items.filter(({ from }) => from);
    await Promise.all(seeing.map(({ contact }) => this.show(session, contact, true)));
    await this.#probe(session, roster);
  }

  #farewell(session: ClientSession, to: string): Envelope {
    const attributes = { xmlns: CLIENT_NS, type: "unavailable", from: session.jid.full, to };
    return fromElement(el("presence", attributes), this.#host.router.nowMs());
  }
}

function audienceOf({ items }: Contacts, changes: PresenceState["changes"]): Set<string> {
  const audience = new Set<string>();
  for (const { contact, from } of items) if (from) audience.add(contact);
  for (const [contact, isShown] of changes ?? []) {
    if (isShown) audience.add(contact);
    else audience.delete(contact);
  }
  return audience;
}

/** 3.1.3: requests that came while the user was away, or that are not answered yet. */
function deliverPending(session: ClientSession, { items }: Contacts): void {
  for (const { pendingIn } of items) {
    if (pendingIn !== undefined) session.deliver(envelopeOf(pendingIn, 0));
  }
}
