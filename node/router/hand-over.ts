/**
 * The exit node: nothing is decided here any more, the stanza only goes to the sessions it is for.
 * Repeats are cut, and nothing overtakes what an ending session still has to pass on.
 */
import type { ComponentConnection, ComponentTable } from "../components/contract.ts";
import type { Route } from "../routes/contract.ts";
import type { ClientSession, SessionTable } from "../session/contract.ts";
import { sessionAt } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Origin } from "../stanza/origin.ts";
import { isSameOrigin } from "../stanza/origin.ts";
import type { CopyRules, CopySide } from "./copies.ts";
import type { Counters } from "./counters.ts";
import { stampFor } from "./envelopes.ts";
import type { HeldQueue } from "./held.ts";
import { Held } from "./held.ts";
import type { Newcomers } from "./newcomers.ts";
import { Passing } from "./passing.ts";
import { Recent } from "./recent.ts";
import { Repeats } from "./repeats.ts";
import type { Shadows } from "./shadows.ts";
import type { Stages } from "./stages.ts";
import { both } from "./stages.ts";

/** Deliveries remembered for cutting repeats: this many at least, twice as many at most. */
const REPEATS_MAX = 65_536;

/** Behind the user's address: nobody's resource, since none is empty. */
const ANYBODY = "/";

/** A stanza on its way, with what the exit node must know of it. */
export interface Consignment {
  readonly envelope: Envelope;
  readonly origin: Origin | undefined;
  /** The envelope is a template: each recipient's address is written into it. */
  readonly stamped: boolean;
  /** The session gets a copy of what is another resource's, if it wants one. */
  readonly copy: CopySide | undefined;
  /** It was sent before and no answer came. */
  readonly again: boolean;
  /** It comes from a session that ended. */
  readonly rerouted: boolean;
  /** From the same session, as it was at another node before this one went on with it. */
  readonly goesOn?: boolean | undefined;
  /** Only for a session that has been given what its sender sent just before it. */
  readonly follows?: boolean | undefined;
  /** Whether this delivery may be repeated and so must be remembered. */
  readonly remembered: boolean;
  /** Waits for the copies of sessions of this node, so that what comes next need not; or who asks does. */
  readonly acceptance?: Acceptance | undefined;
}

/** What a stanza's acceptance waits for, besides that it has been handed over. */
export interface Acceptance {
  accepted?: Promise<void> | undefined;
}

/** What `take` is given. */
type Delivery = [Consignment, full: string, sessionId: string, fromNode: string, isAsked: boolean];

/** Beside a stanza that a session has not acknowledged. */
export interface About {
  readonly origin: Origin | undefined;
  /** Its copy in the offline store is what counts. */
  readonly isStored: boolean;
  /** It is a copy of what another resource has, or had. */
  readonly copy: "mere" | "owed" | undefined;
}

export interface HandOverParts {
  readonly stages: Stages;
  readonly copyRules: CopyRules;
  readonly sessions: () => SessionTable;
  readonly components: () => ComponentTable;
  readonly counters: Counters;
  /** This node. */
  readonly self: string;
  /** Undefined for a node alone. */
  readonly shadows: () => Shadows | undefined;
  readonly newcomers: () => Pick<Newcomers, "hadBefore">;
}

export class HandOver {
  readonly #parts: HandOverParts;
  readonly #repeats = new Repeats(REPEATS_MAX);
  /** Messages to the full address of one of these wait until it has passed on what it had. */
  readonly passing = new Passing();
  readonly #held = new Held();
  readonly #recent = new Recent();
  /** Messages whose copy in the offline store is removed only when they are acknowledged. */
  readonly #stored = new WeakMap<Envelope, Origin | undefined>();
  /** Copies of what is another resource's. */
  readonly #copies = new WeakSet<Envelope>();

  constructor(parts: HandOverParts) {
    this.#parts = parts;
  }

  get remembered(): number {
    return this.#repeats.size;
  }

  /** The same by a route of this node: its session has the address, a new string is a slow key. */
  takeAt(consignment: Consignment, route: Route, fromNode: string): boolean | Promise<boolean> {
    const there = sessionAt(this.#parts.sessions(), route);
    const full = there?.jid.full ?? `${route.user}/${route.resource}`;
    return this.take(consignment, full, route.session, fromNode, false, there);
  }

  /**
   * Whether the session took the stanza.
   * @param full with an empty resource, for what is sent again: it is only asked who has had it
   * @param sessionId the one the route named; "" for whichever has that full address
   * @param isAsked nobody had it before that session began
   * @param session whichever has that full address
   */
  take(
    consignment: Consignment,
    full: string,
    sessionId: string,
    fromNode: string,
    isAsked = false,
    session = this.#parts.sessions().get(full),
  ): boolean | Promise<boolean> {
    const { envelope, copy, rerouted, again, origin } = consignment;
    if (again && origin !== undefined && full.endsWith(ANYBODY)) {
      return this.#hasHad(origin, full.slice(0, -ANYBODY.length));
    }
    const component = this.#parts.components().get(full);
    if (component !== undefined) return this.#toComponent(consignment, component, sessionId);
    const moving = session?.moving;
    if (moving !== undefined) {
      return this.#takeAfter(moving, consignment, full, sessionId, fromNode, isAsked);
    }
    const mayWait = envelope.kind === "message" && copy === undefined && !rerouted;
    const passed = mayWait ? this.passing.ofAddress(full) : undefined;
    if (passed !== undefined) {
      return this.#nowAfter(passed, consignment, full, sessionId, fromNode, isAsked);
    }
    return this.#now(consignment, full, sessionId, fromNode, isAsked, session);
  }

  // Apart from what need not wait, which would make what a closure keeps each time.
  async #takeAfter(moving: Promise<void>, ...delivery: Delivery): Promise<boolean> {
    await moving;
    return this.take(...delivery);
  }

  async #nowAfter(passed: Promise<void>, ...delivery: Delivery): Promise<boolean> {
    await passed;
    return this.#now(...delivery);
  }

  async #unlessHad(had: Promise<boolean>, ...delivery: Delivery): Promise<boolean> {
    return (await had) || this.take(...delivery);
  }

  /** Whether the session before this one of its address, which was here and is over, has had that. */
  hadBefore(origin: Origin, full: string, sessionId: string): boolean {
    const had = this.#hadByAnother(origin, full, sessionId);
    if (had === undefined || this.#parts.sessions().get(full)?.id === had) return false;
    this.#parts.counters.repeatsCut += 1;
    return true;
  }

  /** Whether the client of that session, which is not here now, acknowledged it here. */
  wasHad({ origin, isStored, copy }: About, { user, resource, session }: Route): boolean {
    if (origin === undefined || isStored || copy !== undefined) return false;
    const had = this.#repeats.find(origin, `${user}/${resource}`);
    // What it did not acknowledge was forgotten when the session went on elsewhere.
    return had?.session === session && !had.isPassedOn && !had.isCopy;
  }

  /** Another session of that address was given it, and has not passed it on: its client had it. */
  #hadByAnother(origin: Origin, full: string, sessionId: string): string | undefined {
    const earlier = this.#repeats.find(origin, full);
    if (earlier === undefined || earlier.session === sessionId) return undefined;
    return earlier.isPassedOn || earlier.isCopy ? undefined : earlier.session;
  }

  /** Whether somebody of that user has it, or had it: a session may be over whose client has it. */
  #hasHad(origin: Origin, user: string): boolean | Promise<boolean> {
    const { sessions, shadows, counters } = this.#parts;
    const owner = this.#repeats.findOwner(origin, user);
    if (owner === undefined) return false;
    counters.repeatsCut += 1;
    const session = sessions().get(owner.full);
    if (session?.id !== owner.session) return true;
    return (
      shadows()
        ?.delivered(session)
        ?.then(() => true) ?? true
    );
  }

  #now(
    consignment: Consignment,
    full: string,
    sessionId: string,
    fromNode: string,
    isAsked: boolean,
    session = this.#parts.sessions().get(full),
  ): boolean | Promise<boolean> {
    const { origin, stamped, remembered, follows } = consignment;
    if (origin !== undefined && this.#wasHandedOver(consignment, origin, full, sessionId)) {
      return session === undefined ? true : this.#whenSafe(session, consignment);
    }
    if (follows === true && !this.#hasAhead(origin, full, sessionId)) return false;
    // Another session of this address is another client, which may not be available yet.
    if (session === undefined || (sessionId !== "" && session.id !== sessionId)) return false;
    const isAskable = consignment.again && !isAsked;
    const had = isAskable && this.#parts.newcomers().hadBefore(session, consignment);
    if (had instanceof Promise) {
      return this.#unlessHad(had, consignment, full, sessionId, fromNode, true);
    }
    if (consignment.copy !== undefined) return this.#giveCopy(consignment, session, fromNode);
    // A broadcast is for available resources (RFC 6121, 4.5.3); its route may have been a step behind.
    // The answer to a probe names no session: whoever asked gets it.
    const isBroadcast = stamped && sessionId !== "" && isAnnouncement(consignment.envelope);
    if (isBroadcast && !session.route.available) return true;
    const envelope = stamped ? stampFor(consignment.envelope, session.jid) : consignment.envelope;
    const verdict = this.#parts.stages.delivery(envelope, session, fromNode, isBroadcast).kind;
    if (verdict !== "pass") return verdict === "consume";
    if (!this.#give(session, envelope, consignment)) return false;
    this.#parts.counters.stanzasHandedOver += 1;
    if (origin !== undefined) {
      envelope.origin = origin;
      // Its sender's shadow may go on with it, if this node is thought dead, and be sent it again.
      const isMirrored = envelope.kind === "message" && this.#parts.shadows() !== undefined;
      if (remembered || isMirrored) this.#repeats.remember(origin, full, session.id);
    }
    if (envelope.kind === "presence") return true;
    if (origin !== undefined) this.#noteRecent(session, origin);
    return envelope.kind === "message" ? this.#whenSafe(session, consignment) : true;
  }

  /** It was not refused, nor lost on its way: what comes behind it is in its order. */
  #hasAhead(origin: Origin | undefined, full: string, sessionId: string): boolean {
    if (origin === undefined) return false;
    const { session, count } = origin;
    const ahead = this.#repeats.find({ session, count: count - 1 }, full);
    return ahead?.session === sessionId && !ahead.isPassedOn && !ahead.isCopy;
  }

  #noteRecent(session: ClientSession, origin: Origin): void {
    if (this.#parts.shadows() !== undefined) this.#recent.add(session, origin);
  }

  /** Once its copy or its client has what the session took, or somebody else has been given it. */
  #whenSafe(session: ClientSession, { acceptance }: Consignment): true | Promise<true> {
    const delivered = this.#parts.shadows()?.delivered(session);
    if (delivered === undefined) return true;
    if (acceptance === undefined) return delivered.then(() => true);
    acceptance.accepted = both(acceptance.accepted, delivered);
    return true;
  }

  /** No module has a say: a component is a server of its own. */
  #toComponent(
    consignment: Consignment,
    component: ComponentConnection,
    sessionId: string,
  ): boolean {
    const { envelope, origin, remembered } = consignment;
    const { full } = component.jid;
    if (origin !== undefined && this.#wasHandedOver(consignment, origin, full, sessionId)) {
      return true;
    }
    if (component.id !== sessionId || !component.deliver(envelope)) return false;
    this.#parts.counters.stanzasHandedOver += 1;
    if (origin === undefined) return true;
    envelope.origin = origin;
    if (remembered) this.#repeats.remember(origin, full, component.id);
    return true;
  }

  #wasHandedOver(
    { again, rerouted, remembered }: Consignment,
    origin: Origin,
    full: string,
    sessionId: string,
  ): boolean {
    if (!again && !rerouted && !remembered) return false;
    const earlier = this.#repeats.find(origin, full);
    if (earlier === undefined) return false;
    if (earlier.session !== sessionId) {
      if (!again || this.#hadByAnother(origin, full, sessionId) === undefined) return false;
      this.#parts.counters.repeatsCut += 1;
      return true;
    }
    // Its client has it, or will, or it was passed on when the session ended. Only another session
    // that passes on the same message must not rely on that: each would leave it to the other.
    if (earlier.isPassedOn && rerouted) return false;
    if (earlier.isCopy && rerouted) this.#repeats.markOwed(origin, full, sessionId);
    this.#parts.counters.repeatsCut += 1;
    return true;
  }

  #give(session: ClientSession, envelope: Envelope, how?: Consignment): boolean {
    if (envelope.kind !== "message" || !this.#held.isHolding(session)) {
      return session.deliver(envelope);
    }
    // What an earlier session passes on goes to the offline store, which comes first and sorts. What this one
    // had elsewhere comes in each sender's order, as what senders that have no answer send again here.
    const isEarlier = how?.rerouted === true && how.goesOn !== true;
    if (isEarlier || !this.#held.push(session, envelope)) return false;
    this.#parts.shadows()?.changed(session);
    return true;
  }

  /** Like any other stanza for the session, made on this node: nobody waits for it. */
  show(session: ClientSession, envelope: Envelope): void {
    const { stages, self } = this.#parts;
    if (stages.delivery(envelope, session, self).kind === "pass") session.deliver(envelope);
  }

  /** True also when the session wants no copies. */
  #giveCopy(consignment: Consignment, session: ClientSession, fromNode: string): boolean {
    const { envelope, origin, copy = "received", remembered } = consignment;
    const { copyRules, stages, counters } = this.#parts;
    const wrapped = copyRules.copyFor(envelope, session, copy);
    if (wrapped === undefined) return true;
    const verdict = stages.delivery(wrapped, session, fromNode).kind;
    if (verdict !== "pass") return verdict === "consume";
    if (!this.#give(session, wrapped)) return false;
    counters.copiesHandedOver += 1;
    this.#copies.add(wrapped);
    if (origin === undefined) return true;
    wrapped.origin = origin;
    if (remembered) this.#repeats.remember(origin, session.jid.full, session.id, true);
    return true;
  }

  /** From now on messages for this session wait until `release`, in order. */
  hold(session: ClientSession): void {
    this.#held.hold(session);
  }

  /** Hands over what waited. What the session does not take is passed on when it ends. */
  release(session: ClientSession): void {
    this.#held.release(session, (envelope) => session.deliver(envelope));
    this.#parts.shadows()?.changed(session);
  }

  /** What a client sends again after a death may all have arrived in one millisecond. */
  #isBefore(held: Envelope, { receivedMs }: Envelope, origin: Origin | undefined): boolean {
    if (held.receivedMs !== receivedMs) return held.receivedMs < receivedMs;
    const own = held.origin;
    return own !== undefined && own.session === origin?.session && own.count < origin.count;
  }

  /**
   * All that an ended session has to pass on, in order: what its client did not acknowledge, and
   * what waited for it.
   * @param goesOn it goes on elsewhere, and may come back here without having got this
   */
  takeLeft(
    session: ClientSession,
    unacknowledged: readonly Envelope[],
    goesOn = false,
  ): readonly Envelope[] {
    const left: Envelope[] = [];
    const held = this.#held.take(session);
    for (const envelope of [...unacknowledged, ...held]) {
      const { origin } = envelope;
      const lost = this.#copies.has(envelope) ? this.#owedFor(envelope, session) : envelope;
      if (lost !== undefined) left.push(lost);
      if (goesOn || origin === undefined) continue;
      this.#repeats.markPassedOn(origin, session.jid.full, session.id);
    }
    if (goesOn) this.forget(session, [...unacknowledged, ...held]);
    return left;
  }

  /** The message that a copy stands for, since nobody else has it; undefined for a mere copy. */
  #owedFor(copy: Envelope, session: ClientSession): Envelope | undefined {
    if (!this.#isOwed(copy, session)) return undefined;
    const message = this.#parts.copyRules.messageIn(copy);
    const origin = copy.origin;
    if (message !== undefined && origin !== undefined) message.origin = origin;
    return message;
  }

  #isOwed(copy: Envelope, session: ClientSession): boolean {
    const origin = copy.origin;
    const entry = origin === undefined ? undefined : this.#repeats.find(origin, session.jid.full);
    return entry?.session === session.id && entry.isOwed;
  }

  /**
   * Hands over a message of the offline store, ahead of what is held. Its stored copy is what
   * counts, so it is not passed on when the session ends before its client has it.
   */
  giveStored(session: ClientSession, envelope: Envelope, origin: Origin | undefined): boolean {
    const { full } = session.jid;
    // Another resource may have stored what this session got by itself.
    const earlier = origin === undefined ? undefined : this.#repeats.find(origin, full);
    let waiting: Envelope | undefined;
    if (origin !== undefined && earlier?.session === session.id) {
      waiting = this.#held.of(session)?.waiting.find((held) => isSameOrigin(held?.origin, origin));
      if (waiting === undefined && earlier.isCopy) this.#repeats.markOwed(origin, full, session.id);
      if (waiting === undefined) return true;
    }
    // Stored because its node could not be reached, while this one had others for it already.
    this.#held.releaseFirst(
      session,
      (held) => this.#isBefore(held, envelope, origin) && session.deliver(held),
    );
    this.#stored.set(envelope, origin);
    if (!session.deliver(envelope)) return false;
    // Not on its way yet, so nothing tells when the client has it: the stored one goes instead.
    if (waiting !== undefined) this.#held.takeOut(session, waiting);
    if (origin === undefined) return true;
    this.#repeats.remember(origin, full, session.id);
    this.#noteRecent(session, origin);
    return true;
  }

  isStored(envelope: Envelope): boolean {
    return this.#stored.has(envelope);
  }

  /** What another node must know of a stanza that it delivers in our place. */
  aboutOf(envelope: Envelope, session: ClientSession): About {
    const isStored = this.#stored.has(envelope);
    const origin = isStored ? this.#stored.get(envelope) : envelope.origin;
    if (!this.#copies.has(envelope)) return { origin, isStored, copy: undefined };
    return { origin, isStored, copy: this.#isOwed(envelope, session) ? "owed" : "mere" };
  }

  /** What waits for the session behind stored messages, in order. */
  heldOf(session: ClientSession): HeldQueue | undefined {
    return this.#held.of(session);
  }

  /**
   * It goes on elsewhere with all of this, and another session may be given that here: no word of ours
   * is left that its client has it. What is out of the store may lie there still when the session is back.
   */
  forget(session: ClientSession, unacknowledged: readonly Envelope[]): void {
    for (const envelope of [...unacknowledged, ...this.#held.take(session)]) {
      const { origin } = this.aboutOf(envelope, session);
      if (origin !== undefined) this.#repeats.forget(origin, session.jid.full, session.id);
    }
  }

  /** Of what the session was given lately. */
  recentOf(session: ClientSession): readonly Origin[] {
    return this.#recent.of(session);
  }

  /** Of what another node gave to a session which is ours now. */
  restoreRecent(session: ClientSession, origins: readonly Origin[]): void {
    for (const origin of origins) {
      this.#recent.add(session, origin);
      this.#repeats.remember(origin, session.jid.full, session.id);
    }
  }

  /** The same of a session that nobody goes on with; another of its address may have that here by now. */
  restoreRecentLeft({ jid, id }: ClientSession, origins: readonly Origin[]): void {
    for (const origin of origins) {
      if (this.#repeats.find(origin, jid.full) === undefined) {
        this.#repeats.remember(origin, jid.full, id);
      }
    }
  }

  /** A stanza that another node had for a session which is ours now. */
  restore(session: ClientSession, envelope: Envelope, about: About): void {
    this.restoreLeft(session, envelope, about);
    const { origin, copy } = about;
    if (origin === undefined || copy === "owed") return;
    this.#repeats.remember(origin, session.jid.full, session.id, copy !== undefined);
    this.#noteRecent(session, origin);
  }

  /** The same for a session that nobody goes on with: what is given to its address is not its any more. */
  restoreLeft({ jid, id }: ClientSession, envelope: Envelope, about: About): void {
    const { origin, isStored, copy } = about;
    if (isStored) this.#stored.set(envelope, origin);
    if (copy !== undefined) this.#copies.add(envelope);
    if (origin === undefined) return;
    if (!isStored) envelope.origin = origin;
    if (copy !== "owed") return;
    this.#repeats.remember(origin, jid.full, id, true);
    this.#repeats.markOwed(origin, jid.full, id);
  }

  /** The same for one that waits behind stored messages. */
  restoreHeld(session: ClientSession, envelope: Envelope, about: About): void {
    this.hold(session);
    this.#held.push(session, envelope);
    this.restore(session, envelope, about);
  }
}

const isAnnouncement = ({ kind, type }: Envelope): boolean =>
  kind === "presence" && (type === "available" || type === "unavailable");
