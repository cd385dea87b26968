/**
 * A raw XMPP client: what it sends is under the exact control of a dialogue, what it receives is
 * kept in order. It never answers by itself.
 */
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { Element } from "ltx";
import { openBoshWire } from "./dialogue-bosh.ts";
import { type Arrival, describeArrival, Inbox } from "./dialogue-inbox.ts";
import { StreamReader } from "./dialogue-reader.ts";
import type { Conversation, Login, Mechanism } from "./dialogue-sasl.ts";
import { converse, converseWithToken } from "./dialogue-sasl.ts";
import { openWebSocketWire } from "./dialogue-websocket.ts";
import type { Via, Wire } from "./dialogue-wire.ts";

const SASL_NS = "urn:ietf:params:xml:ns:xmpp-sasl";
const SASL2_NS = "urn:xmpp:sasl:2";
const FAST_NS = "urn:xmpp:fast:0";
const TOKEN_MECHANISM = "HT-SHA-256-NONE";
const TLS_NS = "urn:ietf:params:xml:ns:xmpp-tls";
const BIND_NS = "urn:ietf:params:xml:ns:xmpp-bind";
const TRANSCRIPT_LINES = 24;
const LINE_LENGTH = 400;

export interface ClientOptions {
  readonly name: string;
  readonly domain: string;
  /** For each expectation. */
  readonly deadlineMs: number;
  /** What carries its stream; TCP if left out. */
  readonly via?: Via | undefined;
  /** Keeps a stanza out of the inbox when it answers true. */
  readonly hide: (stanza: Element) => boolean;
}

export class DialogueClient {
  readonly name: string;
  readonly inbox = new Inbox();
  /** Available presence that said what its sender's last one had said already. */
  readonly repeats = new WeakSet<Element>();
  readonly #lastPresence = new Map<string, string>();
  /** The newest lines on the wire, for the report of a failure. */
  readonly transcript: string[] = [];
  /** The offers of the newest stream. */
  features: Element | undefined;
  /** The full JID, once bound. */
  jid: string | undefined;
  readonly #options: ClientOptions;
  #socket: Socket | undefined;
  #wire: Wire | undefined;
  #generation = 0;
  #reader: StreamReader | undefined;

  constructor(options: ClientOptions) {
    this.#options = options;
    this.name = options.name;
  }

  /** Connects, with TLS from the first byte if told so. Sends nothing. */
  async dial(port: number, withTls: boolean): Promise<void> {
    this.inbox.clear();
    this.jid = undefined;
    const { via = "tcp" } = this.#options;
    if (via !== "tcp") {
      this.#wire = await this.#openWire(via, port);
      return;
    }
    const tcp = connect({ host: "127.0.0.1", port, noDelay: true });
    const socket = withTls ? this.#overTls(tcp) : tcp;
    await this.#opened(socket, withTls ? "secureConnect" : "connect");
  }

  #notePresence(element: Element): void {
    if (element.name !== "presence") return;
    const { from = "" } = element.attrs as Record<string, string>;
    const text = element.toString();
    if (this.#lastPresence.get(from) === text && element.attrs.type === undefined) {
      this.repeats.add(element);
    }
    this.#lastPresence.set(from, text);
  }

  /** Sends text as it is; a byte string (latin1) when told that it is one. */
  send(text: string, encoding: "utf8" | "latin1" = "utf8"): void {
    this.#note("sent", text);
    if (this.#wire === undefined) this.#socket?.write(text, encoding);
    else this.#wire.send(text);
  }

  /** Sends a stream header and waits for the server's and its features. */
  async openStream(): Promise<void> {
    if (this.#wire === undefined) this.#sendHeader();
    else this.#wire.openStream();
    await this.receive("header");
    const features = await this.receive("stanza");
    if (features.getName() !== "features") throw unexpected("features", features);
    this.features = features;
  }

  #sendHeader(): void {
    this.#restartReader();
    const { domain } = this.#options;
    const names = `xmlns="jabber:client" xmlns:stream="http://etherx.jabber.org/streams"`;
    this.send(`<?xml version="1.0"?><stream:stream ${names} to="${domain}" version="1.0">`);
  }

  #openWire(via: "websocket" | "bosh", port: number): Promise<Wire> {
    const open = via === "websocket" ? openWebSocketWire : openBoshWire;
    const generation = ++this.#generation;
    return open({
      domain: this.#options.domain,
      port,
      onText: (text) => this.#note("received", text),
      onArrival: (arrival) => {
        // A wire that was replaced no longer speaks for us.
        if (generation !== this.#generation) return;
        if (arrival.kind === "stanza") this.#arrived(arrival.element);
        else this.inbox.push(arrival);
      },
    });
  }

  #arrived(element: Element): void {
    this.#notePresence(element);
    if (!this.#options.hide(element)) this.inbox.push({ kind: "stanza", element });
  }

  /** From now on the server writes a new XML document. */
  #restartReader(): void {
    this.#reader = new StreamReader({
      onHeader: (element) => this.inbox.push({ kind: "header", element }),
      onStanza: (element) => this.#arrived(element),
      onEnd: () => this.inbox.push({ kind: "stream-end" }),
      onBroken: (why) => this.inbox.push({ kind: "broken", why }),
    });
  }

  next(): Promise<Arrival | undefined> {
    return this.inbox.next(this.#options.deadlineMs);
  }

  /** The next arrival, which must be of that kind. @throws Error saying what came instead */
  async receive(kind: "header" | "stanza"): Promise<Element> {
    const arrival = await this.next();
    if (arrival?.kind === kind) return arrival.element;
    throw new Error(`Cannot go on: a ${kind} was expected, got ${describeArrival(arrival)}`);
  }

  async startTls(): Promise<void> {
    this.send(`<starttls xmlns="${TLS_NS}"/>`);
    const answer = await this.receive("stanza");
    if (answer.getName() !== "proceed") throw unexpected("<proceed/>", answer);
    const tcp = this.#socket as Socket;
    for (const event of ["data", "error", "close"]) tcp.removeAllListeners(event);
    await this.#opened(this.#overTls(tcp), "secureConnect");
  }

  /**
   * Logs in and opens the stream that follows.
   * @returns the condition of the failure; undefined when it worked
   */
  async authenticate(mechanism: Mechanism, login: Login): Promise<string | undefined> {
    const conversation = converse(mechanism, login);
    this.send(`<auth xmlns="${SASL_NS}" mechanism="${mechanism}">${conversation.first}</auth>`);
    for (;;) {
      const answer = await this.receive("stanza");
      if (answer.getNS() !== SASL_NS) throw unexpected("an answer of SASL", answer);
      if (answer.getName() === "failure") {
        return answer.children.find((child) => typeof child !== "string")?.name ?? "failure";
      }
      if (answer.getName() === "success") {
        conversation.finish(answer.getText());
        break;
      }
      const response = conversation.answer(answer.getText());
      this.send(`<response xmlns="${SASL_NS}">${response}</response>`);
    }
    await this.openStream();
    return undefined;
  }

  /**
   * Logs in by XEP-0388, with a token or a mechanism. The answer is the next arrival; the features
   * that follow a success are taken.
   * @param extensions what else it asks for, as XML
   * @returns the token that it is given, if it is given one
   */
  async authenticateAtOnce(
    mechanism: Mechanism | { readonly token: string },
    login: Login,
    extensions: string,
  ): Promise<string | undefined> {
    const isToken = typeof mechanism !== "string";
    const conversation = isToken
      ? converseWithToken(login, mechanism.token)
      : converse(mechanism, login);
    const response = `<initial-response>${conversation.first}</initial-response>`;
    const name = isToken ? TOKEN_MECHANISM : mechanism;
    this.send(
      `<authenticate xmlns="${SASL2_NS}" mechanism="${name}">${response}${extensions}</authenticate>`,
    );
    let answer = await this.receive("stanza");
    while (answer.getName() === "challenge") {
      const next = conversation.answer(answer.getText());
      this.send(`<response xmlns="${SASL2_NS}">${next}</response>`);
      answer = await this.receive("stanza");
    }
    if (answer.getName() === "success") await this.#loggedIn(answer, conversation);
    this.inbox.putBack({ kind: "stanza", element: answer });
    return answer.getChild("token", FAST_NS)?.attrs.token;
  }

  async #loggedIn(success: Element, conversation: Conversation): Promise<void> {
    conversation.finish(success.getChildText("additional-data") ?? "");
    const address = success.getChildText("authorization-identifier") ?? "";
    if (address.includes("/")) this.jid = address;
    const features = await this.receive("stanza");
    if (features.getName() !== "features") throw unexpected("features", features);
    this.features = features;
  }

  /** Asks for the resource. @throws Error when the server refuses it */
  async bind(resource: string): Promise<void> {
    const wish = `<bind xmlns="${BIND_NS}"><resource>${resource}</resource></bind>`;
    this.send(`<iq type="set" id="bind">${wish}</iq>`);
    const answer = await this.receive("stanza");
    const jid = answer.getChild("bind", BIND_NS)?.getChildText("jid");
    if (!jid) throw unexpected("a bound resource", answer);
    this.jid = jid;
  }

  /** Says in the transcript that a login went well, in place of all its lines. */
  forgetLogin(): void {
    this.transcript.length = 0;
    this.transcript.push(`(has logged in as ${this.jid})`);
  }

  /** Cuts the connection without a word. */
  cut(): void {
    this.#note("sent", "(cuts the connection)");
    this.#socket?.destroy();
    this.#wire?.cut();
    this.jid = undefined;
  }

  #overTls(socket: Socket): Socket {
    // Which certificate a server shows is tested elsewhere; here it may be a self-made one.
    const { domain } = this.#options;
    return connectTls({ socket, servername: domain, rejectUnauthorized: false });
  }

  #opened(socket: Socket, event: "connect" | "secureConnect"): Promise<void> {
    this.#socket = socket;
    this.#restartReader();
    const decoder = new TextDecoder("utf-8", { fatal: true });
    socket.on("data", (chunk: Buffer) => {
      try {
        const text = decoder.decode(chunk, { stream: true });
        this.#note("received", text);
        this.#reader?.write(text);
      } catch (error) {
        this.inbox.push({ kind: "broken", why: (error as Error).message });
      }
    });
    return new Promise((resolve, reject) => {
      const { deadlineMs } = this.#options;
      const timer = setTimeout(() => socket.destroy(new Error("not in time")), deadlineMs);
      socket.once(event, () => {
        clearTimeout(timer);
        resolve();
      });
      socket.on("error", (cause) => {
        this.#note("received", `(error ${cause.message})`);
        reject(new Error(`Cannot connect: ${cause.message}`, { cause }));
      });
      socket.once("close", () => {
        clearTimeout(timer);
        this.#note("received", "(end of the connection)");
        // A socket that was replaced by TLS or by a new connection no longer speaks for us.
        if (this.#socket === socket) this.inbox.push({ kind: "disconnected" });
      });
    });
  }

  #note(who: "sent" | "received", text: string): void {
    const short = text.length > LINE_LENGTH ? `${text.slice(0, LINE_LENGTH)}...` : text;
    this.transcript.push(`${who === "sent" ? ">" : "<"} ${short}`);
    if (this.transcript.length > TRANSCRIPT_LINES) this.transcript.shift();
  }
}

const unexpected = (wanted: string, got: Element): Error =>
  new Error(`Cannot go on: ${wanted} was expected, got ${got.toString()}`);
