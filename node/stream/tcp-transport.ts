/** A stream over TCP: one XML document in each direction (RFC 6120, section 4). */
import type { Framer, FrameSink, Scope } from "../xml/contract.ts";
import { createFramer } from "../xml/framer.ts";
import { parseStanza } from "../xml/parser.ts";
import type { ChannelBindingType } from "./channel-binding.ts";
import type {
  OwnHeader,
  StreamFailure,
  Transport,
  TransportLimits,
  TransportOwner,
} from "./contract.ts";
import { END_TAG, readStartTag, writeFailure, writeHeader } from "./header.ts";
import type { Connection, ConnectionOwner } from "./tcp.ts";
import type { TlsContexts } from "./tls.ts";

const SPACE = Buffer.from(" ");

export class TcpTransport implements Transport, ConnectionOwner, FrameSink {
  owner: TransportOwner | undefined;
  silentSweeps = 0;
  stalledSweeps = 0;
  readonly #connection: Connection;
  readonly #limits: TransportLimits;
  #framer: Framer;
  /** Of the peer's last header; undefined while one is expected. */
  #scope: Scope | undefined;

  constructor(connection: Connection, limits: TransportLimits) {
    this.#connection = connection;
    this.#limits = limits;
    this.#framer = createFramer(limits.unauthenticatedStanzaBytesMax);
    connection.owner = this;
  }

  get remoteAddress(): string {
    return this.#connection.remoteAddress;
  }

  get isSecure(): boolean {
    return this.#connection.isSecure;
  }

  get canStartTls(): boolean {
    return !this.isSecure;
  }

  channelBindings(): ReadonlyMap<ChannelBindingType, Buffer> {
    return this.#connection.channelBindings();
  }

  certifiedAddresses(): readonly string[] {
    return this.#connection.certifiedAddresses();
  }

  get isBacklogged(): boolean {
    return this.#connection.isBacklogged;
  }

  get writesDone(): number {
    return this.#connection.writesDone;
  }

  get writesNeeded(): number {
    return this.#connection.writesNeeded;
  }

  get writesOut(): number {
    return this.#connection.writesBegun;
  }

  sweep(): void {
    this.silentSweeps += 1;
    this.stalledSweeps = this.isBacklogged ? this.stalledSweeps + 1 : 0;
  }

  writeHeader(header: OwnHeader): void {
    this.#connection.write(writeHeader(header));
  }

  write(bytes: Buffer): boolean {
    return this.#connection.write(bytes);
  }

  writeEnd(failure: StreamFailure | undefined): void {
    this.#connection.write(failure === undefined ? END_TAG : writeFailure(failure));
  }

  /** RFC 6120, 4.6.1. */
  keepAlive(): void {
    this.#connection.write(SPACE);
  }

  pause(): void {
    this.#connection.pause();
  }

  resume(): void {
    this.#connection.resume();
  }

  setStanzaLimit(bytes: number): void {
    this.#framer.setStanzaLimit(bytes);
  }

  restart(): void {
    this.#framer.reset();
    this.#scope = undefined;
  }

  stop(): void {
    this.#framer.stop();
  }

  startTls(contexts: TlsContexts, domain: string): void {
    this.#framer.stop();
    this.#framer = createFramer(this.#limits.unauthenticatedStanzaBytesMax);
    this.restart();
    this.#connection.startTls(contexts, domain);
  }

  end(): void {
    this.#connection.end();
  }

  destroy(): void {
    this.#connection.destroy();
  }

  onBytes(chunk: Buffer): void {
    this.silentSweeps = 0;
    this.owner?.onReceived(chunk.length);
    try {
      this.#framer.feed(chunk, this);
    } catch (error) {
      this.owner?.onBroken(error);
    }
  }

  onStreamOpen(startTag: Buffer): void {
    const { header, scope } = readStartTag(startTag);
    this.#scope = scope;
    this.owner?.onHeader(header);
  }

  onStanza(bytes: Buffer): void {
    if (this.#scope !== undefined) this.owner?.onStanza(parseStanza(bytes, this.#scope));
  }

  onStreamClose(): void {
    this.owner?.onEnd();
  }

  onDrained(): void {
    this.stalledSweeps = 0;
    this.owner?.onDrained();
  }

  onClosed(): void {
    this.owner?.onClosed();
  }
}
