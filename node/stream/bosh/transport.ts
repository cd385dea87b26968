/** One stream over BOSH (XEP-0124 and XEP-0206): requests in the order of their rids, and answers. */
import type { Clock, Timer } from "../../base/clock.ts";
import type { WebPeer } from "../../http/web.ts";
import { XmlError } from "../../xml/errors.ts";
import type { ChannelBindingType } from "../channel-binding.ts";
import type {
  OwnHeader,
  StreamFailure,
  Transport,
  TransportLimits,
  TransportOwner,
} from "../contract.ts";
import { writeError } from "../header.ts";
import type { Turns } from "../turns.ts";
import { Place } from "../turns.ts";
import { Answers } from "./answers.ts";
import type { RequestBody } from "./body.ts";
import { terminal, writeBody, XMPP_ATTRIBUTES } from "./body.ts";
import type { Exchange } from "./exchange.ts";

export interface BoshSettings {
  readonly clock: Clock;
  readonly limits: TransportLimits;
  /** How long a request may be held, and how long a client may have none waiting. */
  readonly waitSecondsMax: number;
  readonly inactivitySeconds: number;
  /** What its sessions share with connections of all kinds. */
  readonly turns?: Turns | undefined;
}

interface Request {
  readonly body: RequestBody;
  exchange: Exchange;
}

interface Held {
  readonly rid: number;
  exchange: Exchange;
  readonly timer: Timer;
}

interface Farewell {
  readonly condition: string | undefined;
  /** The stream error, where BOSH has no word for it. */
  readonly payload: readonly Buffer[];
}

const SECOND_MS = 1_000;
/** XEP-0124, 12: requests a client may have under way; the window of rids. */
const REQUESTS = 2;
const HOLD_MAX = 1;
const PAUSE_SECONDS_MAX = 120;
const NO_BINDINGS: ReadonlyMap<ChannelBindingType, Buffer> = new Map();
/** Stream errors that BOSH has a word of its own for (17.2); others are wrapped. */
const OWN_CONDITIONS = new Set([
  "host-gone",
  "host-unknown",
  "internal-server-error",
  "system-shutdown",
]);

/** A number that a client asks for, within bounds; the bound when it asks for none. */
export const within = (text: string | undefined, max: number): number =>
  /^\d{1,16}$/.test(text ?? "") ? Math.min(Number(text), max) : max;

export class BoshTransport implements Transport {
  owner: TransportOwner | undefined;
  readonly sid: string;
  readonly remoteAddress: string;
  readonly isSecure: boolean;
  readonly canStartTls = false;
  /** What is written waits for the client to come and to come again: nothing is sure before. */
  readonly isBacklogged = true;
  readonly stalledSweeps = 0;
  silentSweeps = 0;
  readonly #settings: BoshSettings;
  readonly #onGone: (transport: BoshTransport) => void;
  readonly #holdMax: number;
  readonly #waitSeconds: number;
  readonly #answers = new Answers(REQUESTS);
  /** Come before those that must be read first, or while reading is paused. */
  readonly #early = new Map<number, Request>();
  /** Read and not answered, oldest first. */
  readonly #held: Held[] = [];
  #next: number;
  #domain: string | undefined;
  #stanzaBytesMax: number;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #isFlushDue = false;
  readonly #place: Place;
  #isReading = false;
  #isPaused = false;
  #isStopped = false;
  #expectsHeader = true;
  /** Attributes of the first response; undefined once it is sent. */
  #creation: Record<string, string | number | undefined> | undefined;
  /** The end has been written: its condition, if it was an error. */
  #farewell: Farewell | undefined;
  #inactivity: Timer | undefined;
  #inactivitySeconds: number;
  #isGone = false;

  /** @param body the request that creates the session */
  constructor(
    sid: string,
    body: RequestBody,
    peer: WebPeer,
    settings: BoshSettings,
    onGone: (transport: BoshTransport) => void,
  ) {
    const { wait, hold } = body.attributes;
    this.sid = sid;
    this.remoteAddress = peer.address;
    this.isSecure = peer.isSecure;
    this.#settings = settings;
    this.#place = new Place(this, settings.turns);
    this.#onGone = onGone;
    this.#next = body.rid;
    this.#waitSeconds = within(wait, settings.waitSecondsMax);
    this.#holdMax = within(hold, HOLD_MAX);
    this.#inactivitySeconds = settings.inactivitySeconds;
    this.#stanzaBytesMax = settings.limits.unauthenticatedStanzaBytesMax;
    this.#creation = {
      sid,
      ver: "1.6",
      wait: this.#waitSeconds,
      hold: this.#holdMax,
      requests: REQUESTS,
      inactivity: settings.inactivitySeconds,
      maxpause: PAUSE_SECONDS_MAX,
      ...XMPP_ATTRIBUTES,
    };
  }

  get heldCount(): number {
    return this.#held.length;
  }

  get writesDone(): number {
    return this.#answers.confirmed;
  }

  get writesNeeded(): number {
    return this.#answers.batches + (this.#queue.length === 0 ? 0 : 1);
  }

  get writesOut(): number {
    return this.#answers.confirmed;
  }

  channelBindings(): ReadonlyMap<ChannelBindingType, Buffer> {
    return NO_BINDINGS; // Each request may come over another connection.
  }

  certifiedAddresses(): readonly string[] {
    return [];
  }

  sweep(): void {
    this.silentSweeps += 1;
  }

  writeHeader({ from, id }: OwnHeader): void {
    this.#domain = from;
    if (this.#creation !== undefined) Object.assign(this.#creation, { from, authid: id });
  }

  write(bytes: Buffer): boolean {
    if (this.#isGone || this.#farewell !== undefined) return false;
    const waiting = this.#queuedBytes + this.#answers.doubtfulBytes;
    if (waiting > 0 && waiting + bytes.length > this.#settings.limits.waitingBytesMax) {
      this.destroy();
      return false;
    }
    this.#queue.push(bytes);
    this.#queuedBytes += bytes.length;
    this.#flushSoon();
    return true;
  }

  writeEnd(failure: StreamFailure | undefined): void {
    if (this.#isGone || this.#farewell !== undefined) return;
    const condition = failure?.condition;
    const isOwn = condition === undefined || OWN_CONDITIONS.has(condition);
    this.#farewell =
      isOwn || failure === undefined
        ? { condition, payload: [] }
        : { condition: "remote-stream-error", payload: [Buffer.from(writeError(failure))] };
    this.#flushSoon();
  }

  keepAlive(): void {
    // Every request that is held is answered after `wait`: the client comes back, or is gone.
  }

  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    if (!this.#isPaused) return;
    this.#isPaused = false;
    process.nextTick(() => this.#readOn());
  }

  setStanzaLimit(bytes: number): void {
    this.#stanzaBytesMax = bytes;
  }

  restart(): void {
    this.#expectsHeader = true;
  }

  stop(): void {
    this.#isStopped = true;
  }

  startTls(): void {
    throw new Error("Cannot start TLS: the stream came over HTTP");
  }

  /**
   * The terminal answer goes to the requests that are held now, else alone to the next one: what
   * still waited is given back by whoever ends the session.
   */
  end(): void {
    if (this.#held.length === 0) this.#takeQueue();
    else this.#flush();
  }

  destroy(): void {
    for (const { exchange, timer } of this.#held.splice(0)) {
      timer.cancel();
      exchange.drop();
    }
    this.#gone();
  }

  /** A request for this session, of which nothing is known yet but that it is one. */
  take(body: RequestBody, exchange: Exchange): void {
    this.silentSweeps = 0;
    const { rid } = body;
    if (rid < this.#next) {
      this.#takeAgain(rid, exchange);
      return;
    }
    const fault = this.#faultOf(body);
    if (fault !== undefined) {
      this.abort(fault, exchange);
      return;
    }
    this.#stopWaiting();
    this.#early.get(rid)?.exchange.drop();
    this.#early.set(rid, { body, exchange });
    this.#readOn();
  }

  /** The connection of a request broke: if no other is held, the client has to come back soon. */
  exchangeBroken(): void {
    if (!this.#isGone) this.#watchInactivity();
  }

  /** XEP-0124, 12 and 14.2: not more at once than was agreed, and not ahead of the window. */
  #faultOf({ rid, attributes, isTerminate }: RequestBody): string | undefined {
    const isExtra = isTerminate || attributes.pause !== undefined;
    const window = this.#next - 1 + REQUESTS + (isExtra ? 1 : 0);
    if (rid <= window) return undefined;
    const isInOrder = rid === this.#next + this.#early.size;
    return isInOrder ? "policy-violation" : "item-not-found";
  }

  /** 14.3: the client did not hear the answer. */
  #takeAgain(rid: number, exchange: Exchange): void {
    const held = this.#held.find((one) => one.rid === rid);
    if (held !== undefined) {
      held.exchange.drop();
      held.exchange = exchange;
      this.#stopWaiting();
      return;
    }
    const answer = this.#answers.again(rid);
    if (answer === undefined) {
      this.abort("item-not-found", exchange);
      return;
    }
    exchange.reply(answer.body, answer.onSent);
    this.#stopWaiting();
    this.#watchInactivity();
  }

  /** The client broke the rules: this request hears it, and the session is over. */
  abort(condition: string, exchange: Exchange): void {
    exchange.reply(terminal(condition));
    for (const held of this.#held.splice(0)) {
      held.timer.cancel();
      held.exchange.reply(terminal(condition));
    }
    this.#gone();
  }

  /** Reads what is due, in order; never from within itself. */
  #readOn(): void {
    if (this.#isReading) return;
    this.#isReading = true;
    while (!this.#isPaused && !this.#isGone) {
      const request = this.#early.get(this.#next);
      if (request === undefined || this.#place.mustWait(request.body.stanzaBytes)) break;
      this.#read(request);
    }
    this.#isReading = false;
  }

  /** Whatever a request holds is one piece: a client has no more than two under way. */
  takeTurn(): void {
    const request = this.#early.get(this.#next);
    if (this.#isPaused || this.#isGone || request === undefined) return;
    this.#isReading = true;
    this.#read(request);
    this.#isReading = false;
    this.#readOn();
  }

  #read({ body, exchange }: Request): void {
    this.#early.delete(this.#next);
    this.#next += 1;
    this.#place.passed(body.stanzaBytes);
    const { rid, attributes } = body;
    const ack = attributes.ack === undefined ? rid - 1 : within(attributes.ack, rid - 1);
    const isProgress = this.#answers.confirm(ack);
    const delayMs = this.#waitSeconds * SECOND_MS;
    const timer = this.#settings.clock.after(delayMs, () => this.#answerUpTo(rid));
    this.#held.push({ rid, exchange, timer });
    if (isProgress) this.owner?.onDrained();
    this.#deliver(body);
    this.#flushSoon();
  }

  #deliver(body: RequestBody): void {
    try {
      if (body.stanzaBytes > this.#stanzaBytesMax) {
        throw new XmlError("policy-violation", `more than ${this.#stanzaBytesMax} bytes`);
      }
      if (body.attributes.pause !== undefined) this.#pauseFor(body.attributes.pause);
      if (this.#expectsHeader) this.#takeHeader(body);
      else if (body.isRestart) throw new XmlError("bad-format", "a restart out of place");
      for (const stanza of body.stanzas()) {
        if (this.#isStopped) return;
        this.owner?.onStanza(stanza);
      }
      if (body.isTerminate) this.owner?.onEnd();
    } catch (error) {
      if (!this.#isStopped) this.owner?.onBroken(error);
    }
  }

  /** The request that creates the session and one that restarts the stream are its headers. */
  #takeHeader({
    attributes,
    version,
    lang,
    isRestart,
    isTerminate,
    stanzaCount,
  }: RequestBody): void {
    const isFirst = this.#domain === undefined;
    if (!isFirst && !isRestart) {
      if (stanzaCount === 0 || isTerminate) return;
      throw new XmlError("bad-format", "the stream was to be restarted");
    }
    this.#expectsHeader = false;
    const { from, to = this.#domain } = attributes;
    this.owner?.onHeader({ to, from, lang, version: version ?? "1.0" });
  }

  /** 11: the client will be away for so long, and wants everything answered before. */
  #pauseFor(text: string): void {
    const seconds = within(text, PAUSE_SECONDS_MAX + 1);
    if (seconds > PAUSE_SECONDS_MAX) throw new XmlError("bad-format", "the pause is too long");
    this.#inactivitySeconds = seconds;
    while (this.#held.length > 0) this.#answer([]);
  }

  #flushSoon(): void {
    if (this.#isFlushDue || this.#isGone) return;
    this.#isFlushDue = true;
    process.nextTick(() => this.#flush());
  }

  #flush(): void {
    this.#isFlushDue = false;
    if (this.#isGone || this.#held.length === 0) return;
    if (this.#farewell !== undefined) {
      this.#sayFarewell(this.#farewell);
      return;
    }
    // Nothing is to be said in a pause that the client asked for, and nothing twice in a row.
    if (this.#queue.length > 0) this.#answer(this.#takeQueue());
    while (this.#held.length > this.#holdMax) this.#answer([]);
  }

  #takeQueue(): readonly Buffer[] {
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    return queue;
  }

  #sayFarewell({ condition, payload }: Farewell): void {
    const queue = this.#takeQueue();
    const [first, ...others] = this.#held.splice(0);
    if (first !== undefined) {
      first.timer.cancel();
      const body = terminal(condition, [...queue, ...payload]);
      this.#answers.add(first.rid, body, queue.length > 0);
      // As with TCP: what the system was given last counts as received.
      if (!first.exchange.isBroken) this.#answers.confirmAll();
      first.exchange.reply(body);
      this.owner?.onDrained();
    }
    for (const { exchange, timer } of others) {
      timer.cancel();
      exchange.reply(terminal(condition));
    }
    this.#gone();
  }

  /** Answers the oldest request that is held. */
  #answer(payload: readonly Buffer[]): void {
    const held = this.#held.shift();
    if (held === undefined) return;
    held.timer.cancel();
    const body = writeBody(this.#creation ?? {}, payload);
    this.#creation = undefined;
    const onSent = this.#answers.add(held.rid, body, payload.length > 0);
    held.exchange.reply(body, onSent);
    this.#watchInactivity();
  }

  /** The time of this request is over, so that of all before it is, too. */
  #answerUpTo(rid: number): void {
    while ((this.#held[0]?.rid ?? Number.POSITIVE_INFINITY) <= rid) this.#answer([]);
  }

  /** 11: from the last answer on, if no request is held. */
  #watchInactivity(): void {
    if (this.#isGone || this.#held.some(({ exchange }) => !exchange.isBroken)) return;
    this.#inactivity?.cancel();
    const delayMs = this.#inactivitySeconds * SECOND_MS;
    this.#inactivity = this.#settings.clock.after(delayMs, () => this.destroy());
  }

  #stopWaiting(): void {
    this.#inactivity?.cancel();
    this.#inactivity = undefined;
    this.#inactivitySeconds = this.#settings.inactivitySeconds;
  }

  #gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#isStopped = true;
    this.#inactivity?.cancel();
    for (const { exchange } of this.#early.values()) exchange.reply(terminal("item-not-found"));
    this.#early.clear();
    this.#onGone(this);
    this.owner?.onClosed();
  }
}
