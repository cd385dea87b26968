/**
 * One person with one device: stays connected whatever happens, resumes its stream where that is
 * possible (XEP-0198), binds anew where it is not, and tells the ledger what it sees.
 */
import type { Socket } from "node:net";
import { connect } from "node:net";
import { DOMAIN } from "../harness/peers/contract.ts";
import { PASSWORD } from "../harness/peers/keys.ts";
import { attribute, LoadFramer } from "../load/framer.ts";
import { finalMessage, firstMessage } from "../load/scram.ts";
import type { Ledger } from "./ledger.ts";

const HEADER = `<stream:stream to='${DOMAIN}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`;
const NS_SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
const NS_ACKS = "urn:xmpp:sm:3";
/** Longer without a word while logging in, or without an answer to `<r/>`, and it tries elsewhere. */
const PATIENCE_MS = 6_000;
/** Both double with each attempt that fails, so often at most: else a busy cluster never comes to an end. */
const DOUBLINGS_MAX = 3;
const RECONNECT_MS = { least: 100, most: 1_500 };
const REQUEST_EVERY = 5;

export interface World {
  readonly ledger: Ledger;
  /** Ports of the nodes that a load balancer would send a new connection to. */
  ports(): readonly number[];
  nowMs(): number;
  fraction(): number;
  /** What a client saw or did, for who looks for the cause of something. */
  note(name: string, what: string): void;
}

export interface Person {
  readonly name: string;
  readonly contact: string;
  /** Empty for a person's only one. */
  readonly device: string;
}

type Stage = "connecting" | "login" | "bind" | "enable" | "roster" | "online" | "away" | "left";

interface Sent {
  readonly id: string;
  readonly text: string;
}

export class ChaosClient {
  readonly name: string;
  readonly #contact: string;
  readonly #device: string;
  readonly #world: World;
  #socket: Socket | undefined;
  /** Of the node that it is connected to, or tries to be. */
  #port = 0;
  #framer = new LoadFramer();
  #stage: Stage = "away";
  #isRegistered = false;
  #streamId = "";
  #received = 0;
  #acknowledged = 0;
  /** Sent and not acknowledged, in order; an empty id stands for what is no letter. */
  #unacknowledged: Sent[] = [];
  /** Written while away. */
  #waiting: Sent[] = [];
  #spokenMs = 0;
  #askedMs = 0;
  /** Letters received on this stream, or the one it resumed, that the server may not know of. */
  #unconfirmed: string[] = [];
  /** So many of them are within the last `h` that was said, and were when `<r/>` was asked. */
  #told = 0;
  #toldWhenAsked = 0;
  #sinceRequest = 0;
  #awaySinceMs: number | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** Full address -> whether the last presence of it was available. */
  readonly seen = new Map<string, boolean>();
  /** Times a stream was resumed, and times one was begun anew after the first. */
  resumptions = 0;
  binds = 0;
  #longestAwayMs = 0;
  #failures = 0;
  lastFault = "";

  constructor({ name, contact, device }: Person, world: World) {
    this.name = name;
    this.#contact = contact;
    this.#device = device;
    this.#world = world;
    this.#awaySinceMs = world.nowMs();
  }

  get isOnline(): boolean {
    return this.#stage === "online";
  }

  /** The longest that it had no session after its first one, until now if it has none. */
  get longestAwayMs(): number {
    return Math.max(this.#longestAwayMs, this.#awayMs);
  }

  get #awayMs(): number {
    if (this.#awaySinceMs === undefined || this.binds === 0) return 0;
    return this.#world.nowMs() - this.#awaySinceMs;
  }

  start(): void {
    this.#dial();
  }

  /** Asks to see the contact; whoever is asked agrees and asks back. */
  subscribe(): void {
    this.#send("", `<presence type='subscribe' to='${this.#contact}@${DOMAIN}'/>`);
  }

  write(): void {
    const { ledger } = this.#world;
    const writer = `${this.name}${this.#device}`;
    const id = ledger.write(writer, this.#contact, this.#world.nowMs());
    const to = `${this.#contact}@${DOMAIN}`;
    this.#send(id, `<message type='chat' to='${to}' id='${id}'><body>${id}</body></message>`);
  }

  /** Looks after the connection; called about once a second. */
  tick(): void {
    const nowMs = this.#world.nowMs();
    if (this.#stage === "away" || this.#stage === "left") return;
    if (this.#stage !== "online") {
      if (nowMs - this.#spokenMs > PATIENCE_MS * this.#doubled)
        this.#lose("no answer while logging in");
      return;
    }
    if (this.#askedMs !== 0 && nowMs - this.#askedMs > PATIENCE_MS)
      this.#lose("no acknowledgement");
    else if (this.#unacknowledged.length > 0 || nowMs - this.#spokenMs > PATIENCE_MS) this.#ask();
  }

  /** Says good-bye, for good. */
  leave(): void {
    if (this.#stage === "online") this.#socket?.end("</stream:stream>");
    else this.#socket?.destroy();
    this.#stage = "left";
    clearTimeout(this.#timer);
  }

  #send(id: string, text: string): void {
    const sent = { id, text };
    if (this.#stage !== "online") {
      this.#waiting.push(sent);
      return;
    }
    this.#unacknowledged.push(sent);
    this.#note(`sent ${id} ${text.slice(0, 60)}`);
    this.#socket?.write(text);
    this.#sinceRequest += 1;
    if (this.#sinceRequest >= REQUEST_EVERY) this.#ask();
  }

  #ask(): void {
    this.#sinceRequest = 0;
    if (this.#askedMs !== 0) return;
    this.#askedMs = this.#world.nowMs();
    this.#toldWhenAsked = this.#told;
    this.#socket?.write(`<r xmlns='${NS_ACKS}'/>`);
  }

  #dial(): void {
    const ports = this.#world.ports();
    const port = ports[Math.floor(this.#world.fraction() * ports.length)];
    this.#port = port ?? 0;
    this.#stage = "connecting";
    this.#spokenMs = this.#world.nowMs();
    if (port === undefined) {
      this.#lose("no node");
      return;
    }
    this.#framer = new LoadFramer();
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    this.#socket = socket;
    socket.on("data", (bytes: Buffer) => {
      if (this.#socket !== socket) return;
      this.#spokenMs = this.#world.nowMs();
      this.#framer.push(bytes, (chunk, start, end) => {
        if (this.#socket === socket) this.#onElement(chunk, start, end);
      });
    });
    socket.on("error", (error) => this.#over(socket, error.message));
    socket.on("close", () => this.#over(socket, "closed"));
    socket.write(HEADER);
  }

  #over(socket: Socket, why: string): void {
    if (this.#socket === socket && this.#stage !== "left") this.#lose(why);
  }

  #lose(why: string): void {
    this.lastFault = why;
    this.#note(`lost while ${this.#stage} at ${this.#port}: ${why}`);
    this.#socket?.destroy();
    this.#socket = undefined;
    if (this.#stage === "online") this.#awaySinceMs = this.#world.nowMs();
    else this.#failures += 1;
    this.#stage = "away";
    this.#askedMs = 0;
    const { least, most } = RECONNECT_MS;
    const pauseMs = (least + this.#world.fraction() * (most - least)) * this.#doubled;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#dial(), pauseMs);
  }

  get #doubled(): number {
    return 2 ** Math.min(this.#failures, DOUBLINGS_MAX);
  }

  #onElement(bytes: Buffer, start: number, end: number): void {
    const text = bytes.toString("utf8", start, end);
    const name = /^<([\w:-]+)/.exec(text)?.[1] ?? "";
    if (name === "stream:error") {
      this.#lose(/<([\w-]+) xmlns/.exec(text)?.[1] ?? "error");
      return;
    }
    if (this.#stage !== "online") {
      this.#negotiate(name, text);
      return;
    }
    switch (name) {
      case "r":
        this.#told = this.#unconfirmed.length;
        this.#socket?.write(`<a xmlns='${NS_ACKS}' h='${this.#received}'/>`);
        return;
      case "a":
        this.#askedMs = 0;
        this.#confirm(this.#toldWhenAsked);
        this.#takeAcknowledgement(text);
        return;
      case "message":
        this.#received += 1;
        this.#onLetter(attribute(bytes, start, end, "id"), attribute(bytes, start, end, "type"));
        return;
      case "presence":
        this.#received += 1;
        this.#onPresence(text);
        return;
      case "iq":
        this.#received += 1;
        return;
    }
  }

  #onLetter(id: string, type: string): void {
    if (type === "error") {
      this.#note(`had ${id} returned`);
      this.#world.ledger.comeBack(id);
      return;
    }
    this.#note(`got ${id}, ${this.#received}`);
    this.#unconfirmed.push(id);
    this.#world.ledger.arrive(id, this.#world.nowMs(), this.#device);
  }

  /** The server has answered what came behind our word that we have so many. */
  #confirm(count: number): void {
    this.#unconfirmed.splice(0, count);
    this.#told = Math.max(0, this.#told - count);
    this.#toldWhenAsked = 0;
  }

  #note(what: string): void {
    this.#world.note(`${this.name}${this.#device}`, what);
  }

  #onPresence(text: string): void {
    const tag = text.slice(0, text.indexOf(">"));
    const from = /from=['"]([^'"]*)/.exec(tag)?.[1] ?? "";
    const type = /type=['"]([^'"]*)/.exec(tag)?.[1];
    this.#note(`presence ${type} from ${from}`);
    if (type === "subscribe") {
      this.#send("", `<presence type='subscribed' to='${from}'/>`);
    } else if (type === undefined || type === "unavailable")
      this.seen.set(from, type === undefined);
  }

  #takeAcknowledgement(text: string): void {
    const h = Number(/ h=['"](\d+)/.exec(text)?.[1] ?? Number.NaN);
    for (; this.#acknowledged < h; this.#acknowledged += 1) {
      const sent = this.#unacknowledged.shift();
      if (sent === undefined) break;
      if (sent.id !== "") this.#world.ledger.acknowledge(sent.id);
    }
    this.#note(`h ${h}`);
  }

  #negotiate(name: string, text: string): void {
    switch (name) {
      case "stream:features":
        this.#onFeatures();
        return;
      case "challenge": {
        const challenge = />([^<]*)</.exec(text)?.[1] ?? "";
        this.#socket?.write(
          `<response xmlns='${NS_SASL}'>${finalMessage(this.name, challenge)}</response>`,
        );
        return;
      }
      case "success":
        this.#stage = "bind";
        this.#framer = new LoadFramer();
        this.#socket?.write(HEADER);
        return;
      case "failure":
        this.#lose(`login refused: ${text}`);
        return;
      case "resumed":
        this.#onResumed(text);
        return;
      case "failed":
        this.#onFailed(text);
        return;
      case "enabled":
        this.#onEnabled(text);
        return;
      case "iq":
        this.#onAnswer(text);
        return;
    }
  }

  #onFeatures(): void {
    if (this.#stage === "bind") {
      if (this.#streamId === "") {
        this.#bind();
        return;
      }
      this.#told = this.#unconfirmed.length;
      this.#note(`asks for ${this.#streamId} at ${this.#port}`);
      const previous = `previd='${this.#streamId}' h='${this.#received}'`;
      this.#socket?.write(`<resume xmlns='${NS_ACKS}' ${previous}/>`);
      return;
    }
    this.#stage = "login";
    if (this.#isRegistered) {
      this.#authenticate();
      return;
    }
    const fields = `<username>${this.name}</username><password>${PASSWORD}</password>`;
    const query = `<query xmlns='jabber:iq:register'>${fields}</query>`;
    this.#socket?.write(`<iq type='set' id='register'>${query}</iq>`);
  }

  #authenticate(): void {
    const first = firstMessage(this.name);
    this.#socket?.write(`<auth xmlns='${NS_SASL}' mechanism='SCRAM-SHA-1'>${first}</auth>`);
  }

  #bind(): void {
    const bind = "<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>";
    this.#socket?.write(`<iq type='set' id='bind'>${bind}</iq>`);
  }

  #onAnswer(text: string): void {
    if (text.includes("id='register'") || text.includes('id="register"')) {
      const isThere = !text.includes("error") || text.includes("conflict");
      if (!isThere) {
        this.#lose(`not registered: ${text}`);
        return;
      }
      this.#isRegistered = true;
      this.#authenticate();
      return;
    }
    if (this.#stage === "bind") {
      if (text.includes("<error")) {
        this.#lose(`not bound: ${text}`);
        return;
      }
      this.#stage = "enable";
      this.#socket?.write(`<enable xmlns='${NS_ACKS}' resume='true'/>`);
    }
  }

  #onFailed(text: string): void {
    this.#note(`not resumed: ${text}`);
    this.#takeAcknowledgement(text);
    this.#streamId = "";
    for (const { id } of this.#unacknowledged) if (id !== "") this.#world.ledger.sendAnew(id);
    this.#waiting.unshift(...this.#unacknowledged);
    this.#unacknowledged = [];
    this.#bind();
  }

  #onEnabled(text: string): void {
    const isResumable = /resume=['"](true|1)/.test(text);
    this.#streamId = isResumable ? (/ id=['"]([^'"]+)/.exec(text)?.[1] ?? "") : "";
    this.#received = 0;
    this.#acknowledged = 0;
    // What the server does not know that we have, it must give to somebody again.
    for (const id of this.#unconfirmed) this.#world.ledger.expectAgain(id);
    this.#unconfirmed = [];
    this.#confirm(0);
    // Not resumable: what was sent before and not acknowledged is ours to send again.
    for (const { id } of this.#unacknowledged) if (id !== "") this.#world.ledger.sendAnew(id);
    const again = [...this.#unacknowledged, ...this.#waiting];
    this.#unacknowledged = [];
    this.#waiting = [];
    this.#note(`began anew with ${this.#streamId} at ${this.#port}`);
    this.#online();
    this.#world.ledger.begin(`${this.name}${this.#device}`, this.#world.nowMs());
    this.binds += 1;
    this.seen.clear();
    this.#send("", "<iq type='get' id='roster'><query xmlns='jabber:iq:roster'/></iq>");
    this.#send("", "<presence/>");
    for (const { id, text: words } of again) this.#send(id, words);
  }

  #onResumed(text: string): void {
    this.#note("resumed");
    this.#confirm(this.#told);
    this.#takeAcknowledgement(text);
    this.resumptions += 1;
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#online();
    for (const { text: words } of this.#unacknowledged) this.#socket?.write(words);
    for (const { id, text: words } of waiting) this.#send(id, words);
    this.#ask();
  }

  #online(): void {
    this.#stage = "online";
    this.#askedMs = 0;
    this.#failures = 0;
    this.#longestAwayMs = this.longestAwayMs;
    this.#awaySinceMs = undefined;
  }
}
