/**
 * The server's end of one client stream: headers, errors, closing (RFC 6120, section 4), over
 * whatever transport. What is said between the headers is its owner's business.
 */
import type { Clock, Timer } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { randomId } from "../base/random.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { XmlError } from "../xml/errors.ts";
import type {
  PeerHeader,
  StreamEnd,
  StreamFailure,
  StreamOwner,
  Transport,
  TransportOwner,
} from "./contract.ts";
import { checkHeader } from "./header.ts";
import type { TlsContexts } from "./tls.ts";

/** What all streams of a door share. */
export interface StreamSettings {
  /** Prepared domains; the first stands in our header when the peer's names none of them. */
  readonly domains: ReadonlySet<string>;
  readonly clock: Clock;
  readonly random: Random;
  /** Undefined on a door without certificates. */
  readonly tls: TlsContexts | undefined;
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

const CLOSED: StreamEnd = { kind: "closed" };
const LOST: StreamEnd = { kind: "lost" };

export class ServerStream implements TransportOwner {
  readonly transport: Transport;
  readonly #settings: StreamSettings;
  #owner: StreamOwner;
  #state: State = "header";
  /** Set by whoever ends the stream first. */
  #end: StreamEnd | undefined;
  #isHeaderSent = false;
  #domain = "";
  #lang: string | undefined;
  #peer: string | undefined;
  #linger: Timer | undefined;

  constructor(transport: Transport, settings: StreamSettings, owner: StreamOwner) {
    this.transport = transport;
    this.#settings = settings;
    this.#owner = owner;
    transport.owner = this;
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
    return this.transport.remoteAddress;
  }

  get isSecure(): boolean {
    return this.transport.isSecure;
  }

  /** Whether STARTTLS can be offered. */
  get canStartTls(): boolean {
    return this.#settings.tls !== undefined && this.transport.canStartTls;
  }

  /** The bare address the peer's last header claimed, prepared: a hint before login. */
  get peer(): string | undefined {
    return this.#peer;
  }

  /** Whether bytes written now wait behind others that the system has not taken. */
  get isBacklogged(): boolean {
    return this.transport.isBacklogged;
  }

  /** Whether our side can still speak. */
  get isOpen(): boolean {
    return this.#state === "open";
  }

  get isOver(): boolean {
    return this.#state === "over";
  }

  /** Sends bytes between the headers; false when they were not taken. */
  write(bytes: Buffer): boolean {
    return this.#state === "open" && this.transport.write(bytes);
  }

  pause(): void {
    this.transport.pause();
  }

  resume(): void {
    this.transport.resume();
  }

  keepAlive(): void {
    if (this.#state === "open") this.transport.keepAlive();
  }

  /** From now on the larger limit holds. */
  authenticated(): void {
    this.transport.setStanzaLimit(this.#settings.stanzaBytesMax);
  }

  /** Expects a new header (RFC 6120, 6.4.6). */
  restart(): void {
    this.transport.restart();
    this.#expectHeader();
  }

  /**
   * Begins TLS after what was written. Whatever the peer sent behind its request was not protected
   * and is thrown away; a new header is expected (RFC 6120, 5.4.3.3).
   */
  startTls(): void {
    const { tls } = this.#settings;
    if (tls === undefined) throw new Error("Cannot start TLS: the door has no certificate");
    this.transport.startTls(tls, this.#domain);
    this.#expectHeader();
  }

  /** Ends the stream now, with an error if one is given (RFC 6120, 4.9.1.1: after our header). */
  close(failure?: StreamFailure): void {
    if (this.#state === "over") return;
    this.#farewell(failure);
    this.transport.end();
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
    this.transport.destroy();
  }

  onReceived(bytes: number): void {
    this.#settings.stats.bytesIn += bytes;
  }

  onBroken(error: unknown): void {
    const isPeers = error instanceof XmlError;
    if (!isPeers) this.#settings.onFault(error);
    this.close({ condition: isPeers ? error.condition : "internal-server-error" });
  }

  onHeader(header: PeerHeader): void {
    if (this.#state !== "header") return;
    const verdict = checkHeader(header, this.#settings.domains);
    if (verdict.kind === "refused") {
      this.close({ condition: verdict.condition });
      return;
    }
    this.#domain = verdict.domain;
    this.#lang = header.lang;
    this.#peer = verdict.from;
    this.#sendHeader(verdict.from);
    this.#state = "open";
    this.#owner.onOpen(this);
  }

  onStanza(stanza: ParsedStanza): void {
    if (this.#state === "over" || this.#state === "header") return;
    this.#settings.stats.stanzasIn += 1;
    this.#owner.onStanza(this, stanza);
  }

  onEnd(): void {
    if (this.#state === "over") return;
    if (this.#state === "open") this.transport.writeEnd(undefined); // RFC 6120, 4.4.
    this.#end ??= CLOSED;
    this.transport.end();
    this.#over();
    this.#destroyLater();
  }

  onDrained(): void {
    this.#owner.onDrained(this);
  }

  onClosed(): void {
    this.#linger?.cancel();
    this.#over();
    this.#settings.onClosed(this);
  }

  #expectHeader(): void {
    this.#state = "header";
    this.#isHeaderSent = false;
  }

  #sendHeader(to: string | undefined): void {
    if (this.#isHeaderSent) return;
    this.#isHeaderSent = true;
    const { domains, random } = this.#settings;
    const from = this.#domain || (domains.values().next().value ?? "");
    this.transport.writeHeader({ from, id: randomId(random), to });
  }

  #farewell(failure: StreamFailure | undefined): void {
    if (this.#state === "closing") return;
    this.#sendHeader(undefined);
    this.#end ??= { kind: "ended", condition: failure?.condition };
    if (failure !== undefined) this.#settings.stats.streamErrors += 1;
    this.transport.writeEnd(failure);
    this.#state = "closing";
    this.transport.resume(); // What still comes must be read, or the peer gets a reset instead.
    this.#destroyLater();
  }

  #destroyLater(): void {
    this.#linger ??= this.#settings.clock.after(this.#settings.lingerMs, () => {
      this.#over();
      this.transport.destroy();
    });
  }

  #over(): void {
    if (this.#state === "over") return;
    this.#state = "over";
    this.transport.stop();
    this.#owner.onOver(this, this.#end ?? LOST);
  }
}
