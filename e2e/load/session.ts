/** One client session on a raw socket: logs in, then says what it receives. */
import type { Socket } from "node:net";
import { connect } from "node:net";
import type { SecureContext } from "node:tls";
import { connect as connectTls, createSecureContext } from "node:tls";
import { DOMAIN } from "../harness/peers/contract.ts";
import type { Target } from "./contract.ts";
import { attribute, LoadFramer } from "./framer.ts";
import { finalMessage, firstMessage, tokenMessage } from "./scram.ts";

/** First letters of what is received after login. */
export const MESSAGE = 109;
export const PRESENCE = 112;
export const IQ = 105;

export interface SessionOwner {
  /** The session is online: roster and presence are done, or the stream is resumed. */
  onOnline(session: LoadSession): void;
  /** A stanza once online; `letter` is the first of its name. */
  onStanza(session: LoadSession, letter: number, bytes: Buffer, start: number, end: number): void;
  /** The connection is gone; `why` when nobody asked for that. */
  onGone(session: LoadSession, why: string | undefined): void;
}

export interface SessionStart {
  readonly user: string;
  readonly target: Target;
  readonly owner: SessionOwner;
  /** Enables XEP-0198 after login. */
  readonly acks: boolean;
  /** Resumes this stream instead of binding. */
  readonly previous?: LoadSession;
  /** Logs in by XEP-0388, binding at once: to get a token, or with the one it was given before. */
  readonly token?: "wanted" | { readonly of: LoadSession };
}

const HEADER = `<?xml version='1.0'?><stream:stream to='${DOMAIN}' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>`;
const SASL = "urn:ietf:params:xml:ns:xmpp-sasl";
const SASL2 = "urn:xmpp:sasl:2";
const BIND2 = "<bind xmlns='urn:xmpp:bind:0'><tag>load</tag></bind>";
const BIND =
  "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>load</resource></bind></iq>";
const ROSTER = "<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>";
/** The answer to the second shows that the first is done: stanzas are handled in order. */
const ONLINE = `<presence/><iq type='get' id='o' to='${DOMAIN}'><ping xmlns='urn:xmpp:ping'/></iq>`;
const ENABLE = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>";

/** About 28,000 connections fit between one source address and the server. */
const CONNECTIONS_PER_SOURCE = 10_000;
/** What one read may bring; every plain connection of the process reads into the same memory. */
const readBuffer = Buffer.allocUnsafeSlow(65_536);
let opened = 0;
let context: SecureContext | undefined;

type Stage = "header" | "login" | "bind" | "roster" | "presence" | "enable" | "online" | "over";

export class LoadSession {
  readonly user: string;
  readonly #owner: SessionOwner;
  readonly #acks: boolean;
  readonly #manner: SessionStart["token"];
  readonly #socket: Socket;
  readonly #framer = new LoadFramer();
  #stage: Stage = "header";
  /** XEP-0198: what we received, and under what name the stream can be resumed. */
  #received = 0;
  #streamId = "";
  /** XEP-0484: what the next login may be done with. */
  #token = "";
  /** The stream of the previous session went on, rather than a new one being bound. */
  isResumed = false;
  /** Where it is connected to. */
  readonly port: number;
  /** Whose turn it is in a chat; free for the drills. */
  partner = "";
  turn = 0;

  constructor({ user, target, owner, acks, previous, token }: SessionStart) {
    this.#manner = token;
    if (typeof token === "object") this.#token = token.of.#token;
    this.user = user;
    this.#owner = owner;
    this.#acks = acks || previous !== undefined;
    if (previous !== undefined) {
      this.#streamId = previous.#streamId;
      this.#received = previous.#received;
    }
    const number = Number(/\d*$/.exec(user)?.[0] ?? 0);
    this.port = target.ports[number % target.ports.length] as number;
    this.#socket = dial(this.port, target.tls, (bytes) => this.#read(bytes));
    this.#socket.on("error", (error) => this.#end(error.message));
    this.#socket.on("close", () => this.#end("the server closed the connection"));
    this.write(HEADER);
  }

  get isOnline(): boolean {
    return this.#stage === "online";
  }

  write(text: string): void {
    this.#socket.write(text, "latin1");
  }

  /** Ends the stream, then the connection. */
  close(): void {
    this.#stage = "over";
    this.#socket.end("</stream:stream>");
    this.#socket.resume();
  }

  /** Cuts the connection, as a lost network does. */
  cut(): void {
    this.#stage = "over";
    this.#socket.destroy();
  }

  #read(bytes: Buffer): void {
    if (this.#stage === "over") return;
    this.#framer.push(bytes, this.#onElement);
  }

  #end(why: string): void {
    const isExpected = this.#stage === "over";
    this.#stage = "over";
    this.#owner.onGone(this, isExpected ? undefined : why);
    this.#socket.removeAllListeners("close");
    this.#socket.destroy();
  }

  readonly #onElement = (bytes: Buffer, start: number, end: number): void => {
    const letter = bytes[start + 1] as number;
    if (this.#stage === "online") {
      if (letter === MESSAGE || letter === PRESENCE || letter === IQ) {
        this.#received += 1;
        this.#owner.onStanza(this, letter, bytes, start, end);
      } else if (this.#acks && bytes[start + 2] === 32) {
        this.write(`<a xmlns='urn:xmpp:sm:3' h='${this.#received}'/>`); // It was <r xmlns=.../>.
      }
      return;
    }
    if (this.#stage !== "over") this.#negotiate(bytes.toString("latin1", start, end), letter);
  };

  #negotiate(text: string, letter: number): void {
    const name = /^<([\w:-]+)/.exec(text)?.[1] ?? "";
    switch (this.#stage) {
      case "header":
      case "login":
        this.#login(name, text);
        break;
      case "bind":
        this.#bind(name, text);
        break;
      case "roster":
        this.#advance(text, "r", "presence", ONLINE);
        break;
      case "presence":
        if (letter !== IQ || !hasId(text, "o")) this.#count(letter);
        else if (this.#acks) this.#go("enable", ENABLE);
        else this.#online();
        break;
      case "enable":
        if (name === "enabled") this.#enabled(text);
        else if (letter === MESSAGE || letter === PRESENCE || letter === IQ) this.#count(letter);
        else this.#unexpected(text);
    }
  }

  #login(name: string, text: string): void {
    switch (name) {
      case "stream:stream":
        return;
      case "stream:features":
        this.#stage = "login";
        this.write(this.#manner === undefined ? this.#auth() : this.#authenticate());
        return;
      case "challenge":
        this.write(
          `<response xmlns='${this.#manner === undefined ? SASL : SASL2}'>${finalMessage(this.user, />([^<]*)</.exec(text)?.[1] ?? "")}</response>`,
        );
        return;
      case "success":
        this.#token = / token=['"]([^'"]+)/.exec(text)?.[1] ?? this.#token;
        if (this.#manner === undefined) this.#go("bind", HEADER);
        else this.#go("roster", ROSTER);
        return;
      default:
        this.#unexpected(text);
    }
  }

  #auth(): string {
    return `<auth xmlns='${SASL}' mechanism='SCRAM-SHA-1'>${firstMessage(this.user)}</auth>`;
  }

  #authenticate(): string {
    const isFirst = this.#manner === "wanted";
    const mechanism = isFirst ? "SCRAM-SHA-1" : "HT-SHA-256-NONE";
    const first = isFirst ? firstMessage(this.user) : tokenMessage(this.user, this.#token);
    const fast = isFirst
      ? "<request-token xmlns='urn:xmpp:fast:0' mechanism='HT-SHA-256-NONE'/>"
      : "<fast xmlns='urn:xmpp:fast:0'/>";
    const agent = `d4565fa7-4d72-4749-b3d3-${Buffer.from(this.user).toString("hex").padStart(12, "0").slice(-12)}`;
    return (
      `<authenticate xmlns='${SASL2}' mechanism='${mechanism}'>` +
      `<initial-response>${first}</initial-response><user-agent id='${agent}'/>${BIND2}${fast}` +
      "</authenticate>"
    );
  }

  #go(stage: Stage, words: string): void {
    this.#stage = stage;
    this.write(words);
  }

  #bind(name: string, text: string): void {
    if (name === "stream:features") this.#startSession();
    else if (name === "resumed") this.#resumed();
    else if (name === "failed")
      this.write(BIND); // XEP-0198, 5: the client may bind then.
    else if (name !== "stream:stream") this.#advance(text, "b", "roster", ROSTER);
  }

  #startSession(): void {
    const previousId = this.#streamId;
    const h = this.#received;
    if (previousId === "") this.write(BIND);
    else this.write(`<resume xmlns='urn:xmpp:sm:3' previd='${previousId}' h='${h}'/>`);
  }

  #resumed(): void {
    this.isResumed = true;
    this.#online();
  }

  #enabled(text: string): void {
    this.#streamId = / id=['"]([^'"]+)/.exec(text)?.[1] ?? "";
    this.#received = 0;
    this.#online();
  }

  /** Goes on when the iq with that id has been answered well. */
  #advance(text: string, id: string, stage: Stage, words: string): void {
    const isAnswer = text.startsWith("<iq") && hasId(text, id);
    const isError = / type=['"]error/.test(text) || /^<(failed|stream:error)/.test(text);
    if (isError) this.#unexpected(text);
    else if (isAnswer) this.#go(stage, words);
  }

  /** What arrives between presence and its fence: contacts' presence, offline messages. */
  #count(letter: number): void {
    if (letter === MESSAGE || letter === PRESENCE) {
      this.#owner.onStanza(this, letter, EMPTY, 0, 0);
    }
  }

  #online(): void {
    this.#stage = "online";
    this.#owner.onOnline(this);
  }

  #unexpected(text: string): void {
    this.#end(`unexpected in stage ${this.#stage}: ${text.slice(0, 200)}`);
  }
}

const EMPTY = Buffer.alloc(0);
const hasId = (text: string, id: string): boolean =>
  text.includes(` id='${id}'`) || text.includes(` id="${id}"`);

function dial(port: number, tls: boolean, onBytes: (bytes: Buffer) => void): Socket {
  const source = `127.0.${1 + (Math.floor(opened / CONNECTIONS_PER_SOURCE) % 200)}.${1 + (process.pid % 200)}`;
  opened += 1;
  const place = { host: "127.0.0.1", port, localAddress: source, noDelay: true };
  if (!tls) {
    const callback = (length: number, buffer: Uint8Array) => {
      onBytes((buffer as Buffer).subarray(0, length));
      return true;
    };
    return connect({ ...place, onread: { buffer: readBuffer, callback } });
  }
  context ??= createSecureContext({ minVersion: "TLSv1.3", ecdhCurve: "X25519" });
  const options = {
    ...place,
    secureContext: context,
    rejectUnauthorized: false,
    servername: DOMAIN,
  };
  return connectTls(options).on("data", onBytes);
}

/** The id of a stanza. */
export const idOf = (bytes: Buffer, start: number, end: number): string =>
  attribute(bytes, start, end, "id");
