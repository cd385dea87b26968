/**
 * The server's end of one client stream: headers, framing, errors, closing (RFC 6120, section 4).
 * What is said between the headers is its owner's business.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { randomId } from "../base/random.ts";
import type { Framer, FrameSink, Scope } from "../xml/contract.ts";
import { XmlError } from "../xml/errors.ts";
import { createFramer } from "../xml/framer.ts";
import { parseStanza, parseStreamOpen } from "../xml/parser.ts";
import type { StreamFailure, StreamOwner } from "./contract.ts";
import { checkHeader, sharedScope, writeFailure, writeHeader } from "./header.ts";
import type { Connection, ConnectionOwner } from "./tcp.ts";
import type { TlsContexts } from "./tls.ts";

/** What all streams of a door share. */
export interface StreamSettings {
  /** Prepared domains; the first stands in our header when the peer's names none of them. */
  readonly domains: ReadonlySet<string>;
  readonly clock: Clock;
  readonly random: Random;
  /** Undefined on a door without certificates. */
  readonly tls: TlsContexts | undefined;
  /** Stanza size before login. */
  readonly unauthenticatedStanzaBytesMax: number;
  /** Stanza size after login. */
  readonly stanzaBytesMax: number;
  /** How long the peer gets to end its side after we ended ours. */
  readonly lingerMs: number;
  readonly stats: StreamStats;
  /** The connection is gone. */
  onClosed(stream: ServerStream): void;
  /** A bug of ours came up while reading; the stream it concerns has been ended. */
  onFault(error: unknown): void;
}

/** Plain counters, read by the metrics. */
export interface StreamStats {
  bytesIn: number;
  stanzasIn: number;
  stanzasOut: number;
  streamErrors: number;
}

type State = "header" | "open" | "closing" | "over";

const END_TAG = Buffer.from("</stream:stream>");
const SPACE = Buffer.from(" ");

export class ServerStream implements FrameSink, ConnectionOwner {
  readonly #connection: Connection;
  readonly #settings: StreamSettings;
  #framer: Framer;
  #scope: Scope | undefined;
  #owner: StreamOwner;
  #state: State = "header";
  #isHeaderSent = false;
  #domain = "";
  #lang: string | undefined;
  #peer: string | undefined;
  #linger: Timer | undefined;

  constructor(connection: Connection, settings: StreamSettings, owner: StreamOwner) {
    this.#connection = connection;
    this.#settings = settings;
    this.#owner = owner;
    this.#framer = createFramer(settings.unauthenticatedStanzaBytesMax);
    connection.owner = this;
  }

  set owner(owner: StreamOwner) {
    this.#owner = owner;
  }

  /** The domain of the last accepted header. */
  get domain(): string {
    return this.#domain;
  }

  /** Default language of the peer's stanzas, if it declared one. */
  get lang(): string | undefined {
    return this.#lang;
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  get isSecure(): boolean {
    return this.#connection.isSecure;
  }

  /** The bare address the peer's last header claimed, prepared: a hint before login. */
  get peer(): string | undefined {
    return this.#peer;
  }

  /** Whether bytes written now wait behind others that the system has not taken. */
  get isBacklogged(): boolean {
    return this.#connection.isBacklogged;
  }

  /** Whether our side can still speak. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  get isOver(): boolean {
    return this.#state === "over";
  }

  get connection(): Connection {
    return this.#connection;
  }

  /** Sends bytes between the headers; false when they were not taken. */
  write(bytes: Buffer): boolean {
    return this.#state === "open" && this.#connection.write(bytes);
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }

  /** RFC 6120, 4.6.1: shows both ends, and what is between them, that the stream lives. */
  keepAlive(): void {
    this.write(SPACE);
  }

  /** From now on the larger limit holds, and a new header is expected (RFC 6120, 6.4.6). */
  authenticated(): void {
    this.#framer.setStanzaLimit(this.#settings.stanzaBytesMax);
    this.#restart();
  }

  /**
   * Begins TLS after what was written. Whatever the peer sent behind its request was not protected
   * and is thrown away; a new header is expected (RFC 6120, 5.4.3.3).
   */
  startTls(): void {
    const { tls } = this.#settings;
    if (tls === undefined) throw new Error("Cannot start TLS: the door has no certificate");
    this.#framer.stop();
    this.#framer = createFramer(this.#settings.unauthenticatedStanzaBytesMax);
    this.#restart();
    this.#connection.startTls(tls);
  }

  /** Ends the stream now, with an error if one is given (RFC 6120, 4.9.1.1: after our header). */
  close(failure?: StreamFailure): void {
    if (this.#state === "over") return;
    this.#farewell(failure);
    this.#connection.end();
    this.#over();
  }

  /**
   * Ends our side only: the owner goes on hearing what the peer still says, which may be what it
   * received (XEP-0198), until the peer ends its side or `lingerMs` have passed.
   */
  closeGently(failure?: StreamFailure): void {
    if (this.#state === "open") this.#farewell(failure);
  }

  /** Drops the connection without a word. */
  destroy(): void {
    this.#over();
    this.#connection.destroy();
  }

  onBytes(chunk: Buffer): void {
    this.#settings.stats.bytesIn += chunk.length;
    try {
      this.#framer.feed(chunk, this);
    } catch (error) {
      const isPeers = error instanceof XmlError;
      if (!isPeers) this.#settings.onFault(error);
      this.close({ condition: isPeers ? error.condition : "internal-server-error" });
    }
  }

  onStreamOpen(startTag: Buffer): void {
    if (this.#state !== "header") return;
    const header = parseStreamOpen(startTag);
    const verdict = checkHeader(header, this.#settings.domains);
    if (verdict.kind === "refused") {
      this.close({ condition: verdict.condition });
      return;
    }
    this.#scope = sharedScope(header.scope);
    this.#domain = verdict.domain;
    this.#lang = header.lang;
    this.#peer = verdict.from;
    this.#sendHeader(verdict.from);
    this.#state = "open";
    this.#owner.onOpen(this);
  }

  onStanza(bytes: Buffer): void {
    if (this.#state === "over" || this.#scope === undefined) return;
    this.#settings.stats.stanzasIn += 1;
    this.#owner.onStanza(this, parseStanza(bytes, this.#scope));
  }

  onStreamClose(): void {
    if (this.#state === "over") return;
    if (this.#state === "open") this.#connection.write(END_TAG); // RFC 6120, 4.4.
    this.#connection.end();
    this.#over();
    this.#destroyLater();
  }

  onSecured(): void {}

  onDrained(): void {
    this.#owner.onDrained(this);
  }

  onClosed(): void {
    this.#linger?.cancel();
    this.#over();
    this.#settings.onClosed(this);
  }

  #restart(): void {
    this.#framer.reset();
    this.#scope = undefined;
    this.#state = "header";
    this.#isHeaderSent = false;
  }

  #sendHeader(to: string | undefined): void {
    if (this.#isHeaderSent) return;
    this.#isHeaderSent = true;
    const { domains, random } = this.#settings;
    const from = this.#domain || (domains.values().next().value ?? "");
    this.#connection.write(writeHeader(from, randomId(random), to));
  }

  #farewell(failure: StreamFailure | undefined): void {
    if (this.#state === "closing") return;
    this.#sendHeader(undefined);
    if (failure !== undefined) this.#settings.stats.streamErrors += 1;
    this.#connection.write(failure === undefined ? END_TAG : writeFailure(failure));
    this.#state = "closing";
    this.#connection.resume(); // What still comes must be read, or the peer gets a reset instead.
    this.#destroyLater();
  }

  #destroyLater(): void {
    this.#linger ??= this.#settings.clock.after(this.#settings.lingerMs, () => {
      this.#over();
      this.#connection.destroy();
    });
  }

  #over(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.#framer.stop();
    this.#owner.onOver(this);
  }
}
