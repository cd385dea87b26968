/** One bound client session: stanzas in and out, XEP-0198, its end, and going on after a break. */
import { settledWithin } from "../base/deadline.ts";
import type { Route } from "../routes/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Jid } from "../stanza/jid.ts";
import type { StreamEnd, StreamFailure, StreamOwner } from "../stream/contract.ts";
import { NS_ACKS, NS_CSI } from "../stream/namespaces.ts";
import type { ServerStream } from "../stream/stream.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { Acks } from "./acks.ts";
import { Backlog } from "./backlog.ts";
import { lookAfter } from "./care.ts";
import type { MovableSession, SessionProgress, SessionState, Shadow } from "./contract.ts";
import type { Door } from "./door-context.ts";
import { handOver } from "./ending.ts";
import { acksFailed, isAcknowledgement } from "./nonzas.ts";
import { streamAnswer } from "./replies.ts";
import { mayResumeAfter } from "./resumption.ts";
import { violationOf } from "./violation.ts";

/**
 * binding: the route is committed, the client does not know yet, what comes for it is held.
 * closing: our side has ended, the client's has not.
 * leaving: the same, but the client may resume: what comes is kept for then.
 * detached: the stream is gone, and the client may resume.
 * frozen: the same, while it is not known which node has the session.
 */
type Phase = "binding" | "live" | "closing" | "leaving" | "detached" | "frozen" | "ended";

/** What a bind that was committed gives a session. */
export interface Bound {
  readonly jid: Jid;
  readonly route: Route;
  readonly revision: number;
}

/** Less than another node waits for our answer. */
const FREEZE_MS = 3_000;

export class Session implements MovableSession, StreamOwner {
  readonly jid: Jid;
  readonly id: string;
  route: Route;
  /** Of the routes engine, when it committed the route: tells which of two binds came later. */
  revision: number;
  readonly #door: Door;
  /** Undefined while detached. */
  #stream: ServerStream | undefined;
  /** For this room: its counts and queues. */
  readonly acks = new Acks();
  #phase: Phase = "binding";
  #state: Map<string, unknown> | undefined;
  #lang: string | undefined;
  readonly #backlog = new Backlog();
  #ending: Promise<void> | undefined;
  /** While it is on its way to or from another node. */
  #moving: PromiseWithResolvers<void> | undefined;
  /** The newest stream that wants to go on with this session. */
  #claimant: ServerStream | undefined;

  /** @param stream undefined for a session that comes from elsewhere */
  constructor(door: Door, stream: ServerStream | undefined, { jid, route, revision }: Bound) {
    this.#door = door;
    this.#stream = stream;
    this.#lang = stream?.lang;
    this.jid = jid;
    this.id = route.session;
    this.route = route;
    this.revision = revision;
  }

  get state(): Map<string, unknown> {
    this.#state ??= new Map();
    return this.#state;
  }

  get lang(): string | undefined {
    return this.#lang;
  }

  get mayRepeat(): boolean {
    return this.acks.mayRepeat;
  }

  /** Settles when everything is handed over; undefined while the session has not ended. */
  get ending(): Promise<void> | undefined {
    return this.#ending;
  }

  deliver(envelope: Envelope): boolean {
    return this.#write(envelope.bytes, envelope);
  }

  send(bytes: Buffer): boolean {
    return this.#write(bytes, undefined);
  }

  close(condition?: string, text?: string): void {
    const phase = this.#phase;
    if (phase === "closing" || phase === "ended") return;
    const failure: StreamFailure | undefined =
      condition === undefined ? undefined : { condition, ...(text === undefined ? {} : { text }) };
    const mayResume = phase !== "binding" && this.#mayResumeAfter({ kind: "ended", condition });
    if (mayResume && phase !== "live") return;
    const stream = this.#stream;
    if (phase === "leaving" || stream === undefined) {
      this.#end(condition !== "conflict"); // It may go on elsewhere: its count here is not the last.
      stream?.close(failure);
      return;
    }
    // Whoever lost its address has usually lost its network: the new session should not wait.
    if (phase === "binding" || condition === "conflict") {
      stream.close(failure);
      return;
    }
    this.letOut(Number.POSITIVE_INFINITY); // It is told that this is all.
    this.acks.outgoing.ask(stream);
    this.#phase = mayResume ? "leaving" : "closing";
    stream.closeGently(failure);
  }

  whenAcknowledged(): Promise<boolean> {
    return this.acks.outgoing.whenAcknowledged(this.#stream, this.#phase === "binding");
  }

  /** XEP-0198, 3: from now on both ends count; what to answer to `<enable/>`. */
  enableAcks(attributes: Readonly<Record<string, unknown>>): Buffer {
    const wasEnabled = this.acks.outgoing.isEnabled;
    const reply = this.acks.enable(this.#door, this.id, attributes);
    if (!wasEnabled && this.isResumable) this.#shadow?.begin(this);
    return reply;
  }

  /** Sends `<r/>` unless nothing waits or an answer is owed already. */
  askForAcknowledgement(): void {
    if (this.#stream !== undefined) this.acks.outgoing.ask(this.#stream);
  }

  /**
   * Answers the request to bind, lets out what was held, and takes over the stream.
   * @param answers one element each
   */
  goLive(answers: readonly Buffer[]): void {
    const stream = this.#stream;
    if (stream === undefined || stream.isOver) {
      this.#end();
      return;
    }
    stream.owner = this;
    this.#phase = "live";
    for (const answer of answers) stream.write(answer);
    this.acks.outgoing.release(stream, this.#shadow?.withholds(this) === true);
    this.#shadow?.changed(this);
  }

  /** Ends a session that could not be bound after all. */
  abandon(): void {
    this.#end();
  }

  sweep(): void {
    if (this.#stream !== undefined) lookAfter(this.#stream, this.acks.outgoing, this.#door.limits);
  }

  // XEP-0198, section 5: the session goes on with another stream.

  get isDetached(): boolean {
    return this.#phase === "detached";
  }

  get isOver(): boolean {
    return this.#phase === "ended";
  }

  get isResumable(): boolean {
    return this.acks.windowMs > 0 && this.#phase !== "ended";
  }

  /** What was told that it is over does not wait for its client's end when somebody wants it. */
  endIfClosing(): void {
    if (this.#phase === "closing") this.#end();
  }

  /** Somebody is resuming it at this moment. */
  get isClaimed(): boolean {
    return this.#claimant !== undefined || this.#moving !== undefined;
  }

  /**
   * Prepares for going on with `stream`: the old one ends, what the client has is forgotten.
   * Of several claims the newest holds. @returns false when `h` counts more than was sent
   */
  claim(stream: ServerStream, h: number): boolean {
    if (!this.acks.outgoing.fits(h)) return false;
    this.#claimant = stream;
    this.#dropStream("Resumed by a new connection", "conflict");
    if (this.acks.outgoing.fits(h)) this.acks.outgoing.resume(h);
    this.#shadow?.changed(this);
    return true;
  }

  isClaimedBy(stream: ServerStream): boolean {
    return this.#claimant === stream && this.#phase === "detached";
  }

  /** The claim is given up: another stream may come. */
  disclaim(stream: ServerStream): void {
    if (this.#claimant === stream) this.#claimant = undefined;
  }

  /** Goes on with the stream that claims it, whose client has been told. */
  resume(stream: ServerStream): void {
    this.#claimant = undefined;
    stream.owner = this;
    if (stream.isOver) return; // It stays detached, for as long as it would have.
    this.#door.detached.remove(this);
    this.#door.stats.sessionsResumed += 1;
    this.#phase = "live";
    this.#stream = stream;
    this.#lang = stream.lang;
    this.acks.outgoing.writeAgain(stream);
    this.#door.events.onResumed?.(this);
    this.#door.events.onClientState(this, true); // XEP-0352, 5.2: until it says otherwise.
  }

  // Its shadow, and other nodes that it goes on at or comes from.

  get #shadow(): Shadow | undefined {
    return this.#door.events.shadow;
  }

  get #isHeld(): boolean {
    return this.#shadow?.holds(this) === true;
  }

  /** See Shadow.settled. */
  whenSafe(): Promise<boolean> | undefined {
    return this.#shadow?.settled(this);
  }

  get progress(): SessionProgress | undefined {
    return this.acks.progress;
  }

  sentAt(place: number): Envelope | Buffer | undefined {
    return this.acks.outgoing.sentAt(place);
  }

  letOut(until: number): boolean {
    const stream = this.#phase === "live" ? this.#stream : undefined;
    return this.acks.outgoing.letOut(stream, until);
  }

  snapshot(): SessionState {
    return { route: this.route, lang: this.#lang, ...this.acks.snapshot };
  }

  get moving(): Promise<void> | undefined {
    return this.#moving?.promise;
  }

  async freeze(): Promise<SessionState | undefined> {
    this.endIfClosing();
    if (!this.isResumable || this.isClaimed || this.#phase === "binding") return undefined;
    this.#moving = Promise.withResolvers();
    this.#door.events.onClientState(this, true); // What it would still wait for goes along.
    this.#dropStream("Resumed by a new connection", "conflict");
    const { inbox } = this.acks;
    await settledWithin(this.#door.clock, FREEZE_MS, inbox.whenAccepted());
    if (this.#phase !== "detached" || inbox.unaccepted > 0) {
      this.#settleMove();
      return undefined;
    }
    this.#phase = "frozen";
    this.#door.detached.remove(this);
    return this.snapshot();
  }

  /** Becomes what another node had, and stands still until it is known to be ours. */
  restore(state: SessionState): void {
    this.#phase = "frozen";
    this.#moving = Promise.withResolvers();
    this.#lang = state.lang;
    this.acks.restore(this.#door, state);
  }

  thaw(): void {
    if (this.#phase !== "frozen") return;
    this.#phase = "detached";
    this.#door.detached.add(this, this.acks.windowMs);
    this.#settleMove();
    // Nobody is left to leave it to.
    const { isEnding, routes } = this.#door;
    if (isEnding && (this.#shadow === undefined || routes.nodes.size === 0)) this.close();
  }

  forget(): readonly Envelope[] {
    if (this.#phase === "ended") return [];
    this.#dropStream("Go on with this session", "reset");
    this.#phase = "ended";
    const { detached, sessions, stats } = this.#door;
    detached.remove(this);
    sessions.remove(this);
    stats.sessionsMovedOut += 1;
    this.#shadow?.end(this);
    this.#settleMove();
    return this.acks.outgoing.end();
  }

  #settleMove(): void {
    this.#moving?.resolve();
    this.#moving = undefined;
  }

  onOpen(): void {}

  onDrained(stream: ServerStream): void {
    if (stream === this.#stream) this.acks.outgoing.drained(stream);
  }

  onStanza(stream: ServerStream, stanza: ParsedStanza): void {
    if (this.#phase === "ended" || stream !== this.#stream) return;
    const isFull = this.acks.inbox.unaccepted >= this.#door.limits.unacceptedMax;
    if ((this.#backlog.isEmpty && !isFull && !this.#isHeld) || isAcknowledgement(stanza)) {
      this.#take(stanza);
      return;
    }
    stream.pause(); // Each time: ending our side has made it read again.
    this.#backlog.push(stanza);
  }

  onOver(stream: ServerStream, end: StreamEnd): void {
    if (stream !== this.#stream || this.#phase === "ended") return;
    if (this.#mayResumeAfter(end)) this.#detach();
    else this.#end();
  }

  #write(bytes: Buffer, envelope: Envelope | undefined): boolean {
    const phase = this.#phase;
    const outgoing = this.acks.outgoing;
    if (phase === "binding") {
      return outgoing.hold(bytes, envelope, this.#door.config.outboxStanzasMax);
    }
    if (phase === "closing" || phase === "frozen" || phase === "ended") return false;
    if (outgoing.isFull) {
      // With or without a stream: it ends, and all that it has is passed on.
      this.close("policy-violation", "Too many stanzas without an acknowledgement");
      return false;
    }
    const isWithheld = this.#shadow?.withholds(this) === true;
    const stream = phase === "live" ? this.#stream : undefined;
    if (stream === undefined) outgoing.keep(bytes, envelope, isWithheld);
    else if (outgoing.write(stream, bytes, envelope, isWithheld)) this.#door.stats.stanzasOut += 1;
    else return false;
    this.#shadow?.changed(this);
    return true;
  }

  #take(stanza: ParsedStanza): void {
    const condition = violationOf(stanza, this.jid);
    if (condition !== undefined) {
      this.#stream?.close({ condition });
      return;
    }
    if (stanza.ns === NS_ACKS) {
      this.#takeAcks(stanza);
      return;
    }
    if (stanza.ns === NS_CSI) {
      this.#door.events.onClientState(this, stanza.name === "active");
      this.#shadow?.changed(this);
      return;
    }
    const place = this.acks.inbox.receive();
    const answered = stanza.name === "iq" ? streamAnswer(stanza) : undefined;
    if (answered !== undefined) {
      this.send(answered);
      this.#accepted(place);
      return;
    }
    try {
      const accepted = this.#door.events.onStanza(this, stanza, place + 1);
      if (accepted === undefined) this.#accepted(place);
      else this.#acceptedLate(place, accepted);
    } catch (error) {
      this.#fault(error);
    }
  }

  #acceptedLate(place: number, accepted: Promise<void>): void {
    accepted.then(() => this.#accepted(place)).catch((error: unknown) => this.#fault(error));
  }

  #takeAcks(stanza: ParsedStanza): void {
    if (isAcknowledgement(stanza)) this.#takeAcknowledgement(stanza.attribute("h"));
    else if (stanza.name === "r") this.#answerRequests(this.acks.inbox.isEnabled);
    else if (stanza.name === "enable") this.#stream?.write(this.enableAcks(stanza.attributes));
    else if (stanza.name === "resume") this.#stream?.write(acksFailed("unexpected-request"));
    else this.#stream?.close({ condition: "unsupported-stanza-type" });
  }

  #takeAcknowledgement(text: string | undefined): void {
    const { outgoing } = this.acks;
    const stream = this.#stream;
    if (!outgoing.isEnabled || stream === undefined || !this.acks.takeCount(stream, text)) return;
    if (this.#backlog.isEmpty) this.acks.noteAnswer(this.#door.clock.monotonicMs());
    // Soon: should its client begin anew, what it has acknowledged must not go to the store.
    this.#shadow?.acknowledged(this);
    const isLeaving = this.#phase === "closing" || this.#phase === "leaving";
    if (isLeaving && outgoing.unacknowledgedCount === 0) {
      stream.close();
      return;
    }
    if (outgoing.hasUnasked) outgoing.ask(stream);
  }

  #accepted(place: number): void {
    this.acks.inbox.accept(place);
    if (this.#phase === "ended") return;
    this.#shadow?.progressed(this);
    this.#answerRequests();
    this.goOn();
  }

  #answerRequests(isAsked = false): void {
    if (isAsked) this.acks.inbox.request();
    if (this.#stream !== undefined) this.acks.answerRequests(this.#stream, this);
  }

  /** Goes on with what was read too early, as far as the router may have it. */
  goOn(): void {
    const inbox = this.acks.inbox;
    const { unacceptedMax } = this.#door.limits;
    // Half empty first, so that reading is not stopped and started at every stanza.
    if (this.#backlog.isEmpty || this.#isHeld || inbox.unaccepted > unacceptedMax / 2) return;
    const hasRoom = () => inbox.unaccepted < unacceptedMax && this.#phase !== "ended";
    const isEmpty = this.#backlog.take(hasRoom, (stanza) => this.#take(stanza));
    if (isEmpty && this.#phase !== "ended") this.#stream?.resume();
  }

  /** The router broke its word: what it did not accept must not be acknowledged by a later count. */
  #fault(error: unknown): void {
    this.#door.log.error({ session: this.id, err: error }, "stanza-not-accepted");
    if (this.#stream === undefined) this.close();
    else this.#stream.close({ condition: "internal-server-error" });
  }

  #mayResumeAfter(end: StreamEnd): boolean {
    const { isDraining, isEnding, routes } = this.#door;
    // Nobody can come back to a node that goes, unless another one takes the session over.
    const mayWait = !isDraining || (!isEnding && routes.nodes.size > 0);
    return this.acks.windowMs > 0 && mayWait && mayResumeAfter(end);
  }

  /** The session goes on without its stream. */
  #dropStream(text: string, condition: "conflict" | "reset"): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#detach();
    stream.close({ condition, text });
  }

  /** The stream is over, the session is not: its client has its window to come back. */
  #detach(): void {
    if (this.#isHeld) this.#backlog.forget();
    else this.#finishBacklog();
    if (this.#phase === "ended") return;
    this.#phase = "detached";
    this.#stream = undefined;
    this.acks.detach();
    const { detached, events, stats } = this.#door;
    stats.sessionsDetached += 1;
    detached.add(this, this.acks.windowMs);
    if (this.#phase === "detached") events.onDetached?.(this);
  }

  #end(isCountLast = true): void {
    if (this.#phase === "ended") return;
    this.#finishBacklog();
    const { windowMs, inbox } = this.acks;
    const { detached, formerly } = this.#door;
    if (windowMs > 0) detached.remove(this);
    if (windowMs > 0 && isCountLast) formerly.set(this.id, { user: this.jid.bare, inbox });
    this.#phase = "ended";
    this.#door.sessions.remove(this);
    this.#door.stats.sessionsEnded += 1;
    this.#ending = handOver(this.#door, this, this.acks.outgoing.end());
    this.#shadow?.close(this);
    this.#settleMove();
  }

  /** Sent before the end and read by us: it counts, whether the router has room for it or not. */
  #finishBacklog(): void {
    const isRight = (stanza: ParsedStanza) => violationOf(stanza, this.jid) === undefined;
    this.#backlog.finish(isRight, (stanza) => this.#take(stanza));
  }
}
