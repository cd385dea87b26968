/** One bound client session: stanzas in and out, XEP-0198 acknowledgements, its end. */
import type { Route } from "../routes/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import { Jid } from "../stanza/jid.ts";
import type { StreamCondition, StreamFailure, StreamOwner } from "../stream/contract.ts";
import {
  NS_ACKS,
  NS_BIND,
  NS_CLIENT,
  NS_CSI,
  NS_SESSION,
  NS_STANZA_ERROR,
} from "../stream/namespaces.ts";
import type { ServerStream } from "../stream/stream.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import type { ClientSession } from "./contract.ts";
import type { Door } from "./door-context.ts";
import { handOver } from "./ending.ts";
import { Inbox } from "./inbox.ts";
import { Outbox } from "./outbox.ts";
import { iqError, iqResult, isRequest } from "./replies.ts";
import { Waiters } from "./waiters.ts";

/**
 * binding: the route is committed, the client does not know yet, what comes for it is held.
 * closing: our side has ended, the client's has not.
 */
type Phase = "binding" | "live" | "closing" | "ended";

/** What a bind that was committed gives a session. */
export interface Bound {
  readonly jid: Jid;
  readonly route: Route;
  readonly revision: number;
}

interface Held {
  readonly bytes: Buffer;
  readonly envelope: Envelope | undefined;
}

interface Unflushed {
  readonly envelope: Envelope;
  /** Given back when `writesOut` never came this far. */
  readonly write: number;
}

const REQUEST = Buffer.from(`<r xmlns='${NS_ACKS}'/>`);
const ENABLED = Buffer.from(`<enabled xmlns='${NS_ACKS}'/>`);

/** XEP-0198, 3: the answer to what cannot be enabled or resumed. */
export const acksFailed = (condition: string): Buffer =>
  Buffer.from(`<failed xmlns='${NS_ACKS}'><${condition} xmlns='${NS_STANZA_ERROR}'/></failed>`);

export class Session implements ClientSession, StreamOwner {
  readonly jid: Jid;
  route: Route;
  /** Of the routes engine, when it committed the route: tells which of two binds came later. */
  readonly revision: number;
  readonly #door: Door;
  readonly #stream: ServerStream;
  readonly #inbox = new Inbox();
  #phase: Phase = "binding";
  #state: Map<string, unknown> | undefined;
  /** Exists once the client enabled acknowledgements. */
  #outbox: Outbox | undefined;
  #held: Held[] | undefined;
  /** Read, but more than the router is to have at once. At most what one chunk held. */
  #backlog: ParsedStanza[] | undefined;
  /** A loop over the backlog is running: acceptance at once must not start another. */
  #isTaking = false;
  /** Without acknowledgements: written behind a blocked write, so certainly not sent yet. */
  #unflushed: Unflushed[] | undefined;
  #ending: Promise<void> | undefined;
  /** For `whenAcknowledged`: until the bind result, by write, and by acknowledgement. */
  #untilLive: Waiters | undefined;
  #untilWritten: Waiters | undefined;
  #untilAcknowledged: Waiters | undefined;

  constructor(door: Door, stream: ServerStream, { jid, route, revision }: Bound) {
    this.#door = door;
    this.#stream = stream;
    this.jid = jid;
    this.route = route;
    this.revision = revision;
  }

  get id(): string {
    return this.route.session;
  }

  get state(): Map<string, unknown> {
    this.#state ??= new Map();
    return this.#state;
  }

  get lang(): string | undefined {
    return this.#stream.lang;
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
    if (this.#phase === "closing" || this.#phase === "ended") return;
    const failure: StreamFailure | undefined =
      condition === undefined ? undefined : { condition, ...(text === undefined ? {} : { text }) };
    // Whoever lost its address has usually lost its network: the new session should not wait.
    if (this.#phase === "binding" || condition === "conflict") {
      this.#stream.close(failure);
      return;
    }
    this.askForAcknowledgement();
    this.#phase = "closing";
    this.#stream.closeGently(failure);
  }

  async whenAcknowledged(): Promise<boolean> {
    if (this.#phase === "ended") return false;
    if (this.#phase === "binding" && this.#held !== undefined) {
      this.#untilLive ??= new Waiters();
      return (await this.#untilLive.wait(0)) && this.whenAcknowledged();
    }
    if (this.#outbox !== undefined) {
      if (this.#outbox.size === 0) return true;
      this.#untilAcknowledged ??= new Waiters();
      return this.#untilAcknowledged.wait(this.#outbox.sentTotal);
    }
    const { writesDone, writesNeeded } = this.#stream.transport;
    if (writesDone >= writesNeeded) return true;
    this.#untilWritten ??= new Waiters();
    return this.#untilWritten.wait(writesNeeded);
  }

  get hasAcks(): boolean {
    return this.#outbox !== undefined;
  }

  /** XEP-0198, 3: from now on both ends count; what to answer. */
  enableAcks(): Buffer {
    if (this.#outbox !== undefined) return acksFailed("unexpected-request");
    this.#inbox.enable();
    this.#outbox = new Outbox(this.#door.config.outboxStanzasMax);
    return ENABLED;
  }

  /** Stanzas sent that the client was to acknowledge and has not. */
  get unacknowledgedCount(): number {
    return this.#outbox?.size ?? 0;
  }

  /** Sends `<r/>` unless nothing waits or an answer is owed already. */
  askForAcknowledgement(): void {
    if (this.#outbox?.takeRequest()) this.#stream.write(REQUEST);
  }

  /** Answers the bind request, lets out what was held, and takes over the stream. */
  goLive(bindResult: Buffer): void {
    this.#stream.owner = this;
    if (this.#stream.isOver) {
      this.#end();
      return;
    }
    this.#phase = "live";
    this.#stream.write(bindResult);
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const { bytes, envelope } of held) this.#write(bytes, envelope);
    this.#untilLive?.reach(0);
    this.#untilLive = undefined;
  }

  /** Ends a session that could not be bound after all. */
  abandon(): void {
    this.#end();
  }

  /** Looks after a quiet connection; called every `sweepMs`. */
  sweep(): void {
    const { transport } = this.#stream;
    const { unansweredSweeps, keepAliveSweeps } = this.#door.limits;
    transport.sweep();
    if (transport.stalledSweeps >= unansweredSweeps) {
      this.#stream.destroy();
      return;
    }
    if (this.unacknowledgedCount > 0) {
      if (transport.silentSweeps >= unansweredSweeps) {
        this.#stream.close({ condition: "connection-timeout" });
        return;
      }
      this.#outbox?.forgetRequest();
      this.askForAcknowledgement();
    } else if (transport.silentSweeps % keepAliveSweeps === 0) {
      this.#stream.keepAlive();
    }
  }

  onOpen(): void {}

  onDrained(): void {
    const { writesDone, writesOut } = this.#stream.transport;
    const left = this.#unflushed?.filter(({ write }) => write > writesOut) ?? [];
    this.#unflushed = left.length === 0 ? undefined : left;
    this.#untilWritten?.reach(writesDone);
  }

  onStanza(_stream: ServerStream, stanza: ParsedStanza): void {
    if (this.#phase === "ended") return;
    const isFull = this.#inbox.unaccepted >= this.#door.limits.unacceptedMax;
    if (this.#backlog === undefined && !isFull) {
      this.#take(stanza);
      return;
    }
    this.#stream.pause(); // Each time: ending our side has made it read again.
    this.#backlog ??= [];
    this.#backlog.push(stanza);
  }

  onOver(): void {
    this.#end();
  }

  #write(bytes: Buffer, envelope: Envelope | undefined): boolean {
    if (this.#phase === "binding") return this.#hold({ bytes, envelope });
    if (this.#phase !== "live") return false;
    const outbox = this.#outbox;
    if (outbox?.isFull) {
      this.close("policy-violation", "Too many stanzas without an acknowledgement");
      return false;
    }
    const isBehind = this.#stream.isBacklogged;
    if (!this.#stream.write(bytes)) return false;
    this.#door.stats.stanzasOut += 1;
    if (outbox !== undefined) {
      outbox.add(envelope);
      this.askForAcknowledgement();
    } else if (isBehind && envelope !== undefined) {
      this.#unflushed ??= [];
      this.#unflushed.push({ envelope, write: this.#stream.transport.writesNeeded });
    }
    return true;
  }

  #hold(held: Held): boolean {
    this.#held ??= [];
    if (this.#held.length >= this.#door.config.outboxStanzasMax) return false;
    this.#held.push(held);
    return true;
  }

  /** RFC 6120, 4.9.3.24 and 8.1.2.1: what ends the stream instead of being routed. */
  #violation({ name, ns, attributes }: ParsedStanza): StreamCondition | undefined {
    if (ns === NS_ACKS) return undefined;
    if (ns === NS_CSI && (name === "active" || name === "inactive")) return undefined;
    const isStanza = name === "message" || name === "presence" || name === "iq";
    if (!isStanza || ns !== NS_CLIENT) return "unsupported-stanza-type";
    const { from } = attributes;
    return from === undefined || this.#isOwn(from) ? undefined : "invalid-from";
  }

  #take(stanza: ParsedStanza): void {
    const condition = this.#violation(stanza);
    if (condition !== undefined) {
      this.#stream.close({ condition });
      return;
    }
    if (stanza.ns === NS_ACKS) {
      this.#takeAcks(stanza);
      return;
    }
    if (stanza.ns === NS_CSI) {
      this.#door.events.onClientState(this, stanza.name === "active");
      return;
    }
    const place = this.#inbox.receive();
    if (stanza.name === "iq" && this.#answeredHere(stanza)) {
      this.#accepted(place);
      return;
    }
    try {
      const accepted = this.#door.events.onStanza(this, stanza);
      if (accepted === undefined) {
        this.#accepted(place);
        return;
      }
      accepted.then(() => this.#accepted(place)).catch((error: unknown) => this.#fault(error));
    } catch (error) {
      this.#fault(error);
    }
  }

  #isOwn(from: string): boolean {
    if (from === this.jid.full || from === this.jid.bare) return true;
    try {
      const { full } = Jid.parse(from);
      return full === this.jid.full || full === this.jid.bare;
    } catch {
      return false; // Not an address, so not the client's.
    }
  }

  /** Requests about the stream itself, which never reach the router. */
  #answeredHere(stanza: ParsedStanza): boolean {
    if (isRequest(stanza, "set", NS_SESSION, "session")) this.send(iqResult(stanza));
    else if (isRequest(stanza, "set", NS_BIND, "bind")) {
      this.send(iqError(stanza, "cancel", "not-allowed")); // One resource a stream.
    } else return false;
    return true;
  }

  #takeAcks(stanza: ParsedStanza): void {
    if (stanza.name === "a") this.#takeAcknowledgement(stanza.attributes.h);
    else if (stanza.name === "r") this.#takeRequest();
    else if (stanza.name === "enable") this.#stream.write(this.enableAcks());
    else if (stanza.name === "resume") this.#stream.write(acksFailed("unexpected-request"));
    else this.#stream.close({ condition: "unsupported-stanza-type" });
  }

  #takeRequest(): void {
    if (!this.#inbox.isEnabled) return;
    this.#inbox.request();
    this.#answerRequests();
  }

  #takeAcknowledgement(text: string | undefined): void {
    const outbox = this.#outbox;
    if (outbox === undefined) return;
    const h = /^\d{1,10}$/.test(text ?? "") ? Number(text) : Number.NaN;
    if (!(h < 2 ** 32)) {
      this.#stream.close({ condition: "bad-format" });
      return;
    }
    if (!outbox.acknowledge(h)) {
      const counts = `h='${h}' send-count='${outbox.sentCount}'`;
      const application = `<handled-count-too-high xmlns='${NS_ACKS}' ${counts}/>`;
      this.#stream.close({ condition: "undefined-condition", application });
      return;
    }
    this.#untilAcknowledged?.reach(outbox.acknowledgedTotal);
    if (this.#phase === "closing" && outbox.size === 0) {
      this.#stream.close();
      return;
    }
    if (outbox.hasUnasked) this.askForAcknowledgement();
  }

  #accepted(place: number): void {
    this.#inbox.accept(place);
    if (this.#phase === "ended") return;
    this.#answerRequests();
    this.#takeBacklog();
  }

  #answerRequests(): void {
    const h = this.#inbox.takeAnswer();
    if (h !== undefined) this.#stream.write(Buffer.from(`<a xmlns='${NS_ACKS}' h='${h}'/>`));
  }

  /** Goes on with what was read too early, as far as the router may have it. */
  #takeBacklog(): void {
    const backlog = this.#backlog;
    const { unacceptedMax } = this.#door.limits;
    // Half empty first, so that reading is not stopped and started at every stanza.
    if (backlog === undefined || this.#isTaking || this.#inbox.unaccepted > unacceptedMax / 2) {
      return;
    }
    this.#isTaking = true;
    let taken = 0;
    while (taken < backlog.length && this.#inbox.unaccepted < unacceptedMax) {
      this.#take(backlog[taken] as ParsedStanza);
      taken += 1;
      if (this.#phase === "ended") break;
    }
    this.#isTaking = false;
    backlog.splice(0, taken);
    if (this.#phase === "ended" || backlog.length > 0) return;
    this.#backlog = undefined;
    this.#stream.resume();
  }

  /** The router broke its word: what it did not accept must not be acknowledged by a later count. */
  #fault(error: unknown): void {
    this.#door.log.error({ session: this.id, err: error }, "stanza-not-accepted");
    this.#stream.close({ condition: "internal-server-error" });
  }

  #end(): void {
    if (this.#phase === "ended") return;
    this.#finishBacklog();
    this.#phase = "ended";
    this.#door.sessions.remove(this);
    this.#door.stats.sessionsEnded += 1;
    const held = (this.#held ?? []).flatMap(({ envelope }) => envelope ?? []);
    const waiting = this.#outbox?.unacknowledged() ?? [];
    const unflushed = (this.#unflushed ?? []).map(({ envelope }) => envelope);
    const left = [...unflushed, ...waiting, ...held];
    this.#held = undefined;
    this.#unflushed = undefined;
    this.#outbox = undefined;
    for (const waiters of [this.#untilLive, this.#untilWritten, this.#untilAcknowledged]) {
      waiters?.end();
    }
    this.#ending = handOver(this.#door, this, left);
  }

  /** Sent before the end and read by us: it counts, whether the router has room for it or not. */
  #finishBacklog(): void {
    const backlog = this.#backlog ?? [];
    this.#backlog = undefined;
    if (this.#isTaking) return; // The end is about one of them: nothing behind it counts.
    this.#isTaking = true;
    for (const stanza of backlog) {
      if (this.#violation(stanza) !== undefined) return;
      this.#take(stanza);
    }
  }
}
