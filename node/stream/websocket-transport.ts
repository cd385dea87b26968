/** One stream over WebSocket (RFC 7395): each message is one element that stands alone. */
import type { Duplex } from "node:stream";
import { TLSSocket } from "node:tls";
import type { WebSocket } from "ws";
import type { WebPeer } from "../http/web.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { XmlError } from "../xml/errors.ts";
import { EMPTY_SCOPE, parseStanza } from "../xml/parser.ts";
import { escapeAttribute } from "../xml/write.ts";
import type { ChannelBindingType } from "./channel-binding.ts";
import { channelBindingsOf } from "./channel-binding.ts";
import type {
  OwnHeader,
  PeerHeader,
  StreamFailure,
  Transport,
  TransportLimits,
  TransportOwner,
} from "./contract.ts";
import { standingAlone, writeError } from "./header.ts";
import { NS_FRAMING } from "./namespaces.ts";
import type { Turns } from "./turns.ts";
import { PIECE_BYTES, Place } from "./turns.ts";

const CLOSE = Buffer.from(`<close xmlns='${NS_FRAMING}'/>`);
const TEXT = { binary: false } as const;
const LESS_THAN = 0x3c;
const NORMAL = 1000;
/** Of frames around a message that may come before it is whole. */
const FRAMING_BYTES_MAX = 4_096;
/** Around what a ping or pong of a client holds. */
const CONTROL_BYTES = 6;
/** Silent sweeps before the peer is pinged, and before it is taken for dead. */
const PING_SWEEPS = 4;
const DEAD_SWEEPS = 8;

interface Message {
  readonly data: Buffer;
  readonly isBinary: boolean;
}

export class WebSocketTransport implements Transport {
  owner: TransportOwner | undefined;
  readonly remoteAddress: string;
  readonly isSecure: boolean;
  readonly canStartTls = false;
  silentSweeps = 0;
  stalledSweeps = 0;
  readonly #websocket: WebSocket;
  readonly #socket: Duplex;
  readonly #waitingBytesMax: number;
  #stanzaBytesMax: number;
  /** Bytes since the last whole message. */
  #piecesBytes = 0;
  readonly #place: Place;
  /** Came when others had their turn, in order: no more than was read at once. */
  #early: Message[] = [];
  #earlyBytes = 0;
  #isPaused = false;
  #expectsHeader = true;
  #isStopped = false;
  #isEnding = false;
  #queue: Buffer[] = [];
  #queuedBytes = 0;
  #isFlushDue = false;
  /** The system has not taken the last write yet. */
  #isWriting = false;
  #writes = 0;

  /**
   * @param socket what the WebSocket runs over
   * @param turns what it shares with other connections
   */
  constructor(
    websocket: WebSocket,
    socket: Duplex,
    limits: TransportLimits,
    peer: WebPeer,
    turns?: Turns,
  ) {
    this.#websocket = websocket;
    this.#place = new Place(this, turns);
    this.#socket = socket;
    this.#waitingBytesMax = limits.waitingBytesMax;
    this.#stanzaBytesMax = limits.unauthenticatedStanzaBytesMax;
    this.remoteAddress = peer.address;
    this.isSecure = peer.isSecure;
    socket.on("data", (chunk: Buffer) => this.#received(chunk.length));
    websocket.on("message", (data, isBinary) => this.#arrived(data as Buffer, isBinary));
    const onControl = ({ length }: Buffer) => this.#controlled(length);
    websocket.on("ping", onControl);
    websocket.on("pong", onControl);
    websocket.on("error", () => undefined); // The library closes with the right code by itself.
    websocket.on("close", () => this.#closed());
  }

  channelBindings(): ReadonlyMap<ChannelBindingType, Buffer> {
    return this.#socket instanceof TLSSocket ? channelBindingsOf(this.#socket) : new Map();
  }

  certifiedAddresses(): readonly string[] {
    return []; // Certificates are not asked for over HTTP: browsers would ask people.
  }

  get isBacklogged(): boolean {
    return this.#isWriting;
  }

  get writesDone(): number {
    return this.#isWriting ? this.#writes - 1 : this.#writes;
  }

  get writesNeeded(): number {
    return this.#queue.length === 0 ? this.#writes : this.#writes + 1;
  }

  get writesOut(): number {
    return this.#writes;
  }

  /** RFC 7395, 3.8: pings take the place of whitespace; the silence of a dead peer shows. */
  sweep(): void {
    this.silentSweeps += 1;
    this.stalledSweeps = this.#isWriting ? this.stalledSweeps + 1 : 0;
    if (this.silentSweeps >= DEAD_SWEEPS) this.destroy();
    else if (this.silentSweeps >= PING_SWEEPS) this.keepAlive();
  }

  writeHeader({ from, id, to }: OwnHeader): void {
    const toPart = to === undefined ? "" : ` to='${escapeAttribute(to)}'`;
    this.write(
      Buffer.from(
        `<open xmlns='${NS_FRAMING}' from='${escapeAttribute(from)}' id='${escapeAttribute(id)}'` +
          `${toPart} version='1.0' xml:lang='en'/>`,
      ),
    );
  }

  write(bytes: Buffer): boolean {
    if (this.#isEnding || this.#websocket.readyState !== this.#websocket.OPEN) return false;
    const waiting = this.#queuedBytes + this.#websocket.bufferedAmount;
    if (waiting > 0 && waiting + bytes.length > this.#waitingBytesMax) {
      this.destroy();
      return false;
    }
    this.#queue.push(standingAlone(bytes));
    this.#queuedBytes += bytes.length;
    if (!this.#isFlushDue && !this.#isWriting) {
      this.#isFlushDue = true;
      process.nextTick(() => this.#flush());
    }
    return true;
  }

  writeEnd(failure: StreamFailure | undefined): void {
    if (failure !== undefined) this.write(Buffer.from(writeError(failure)));
    this.write(CLOSE);
  }

  keepAlive(): void {
    if (this.#websocket.readyState === this.#websocket.OPEN) this.#websocket.ping();
  }

  pause(): void {
    this.#isPaused = true;
    this.#websocket.pause();
  }

  resume(): void {
    this.#isPaused = false;
    if (this.#early.length > 0) this.#place.wait(this.#earlyBytes);
    else this.#websocket.resume();
  }

  /** Has a piece of what came handled, and waits again or reads on. */
  takeTurn(): void {
    let bytes = 0;
    while (!this.#isPaused && bytes < PIECE_BYTES) {
      const message = this.#early.shift();
      if (message === undefined) break;
      bytes += message.data.length;
      this.#earlyBytes -= message.data.length;
      this.#read(message);
    }
    if (!this.#isPaused) this.resume();
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

  /** RFC 7395, 3.6: the stream is closed by then; what is left is WebSocket's own handshake. */
  end(): void {
    if (this.#isEnding) return;
    this.#flush();
    this.#isEnding = true;
    if (this.#queue.length === 0) this.#websocket.close(NORMAL);
  }

  destroy(): void {
    this.#websocket.terminate();
  }

  /** What comes is counted before it is whole, so that nobody fills memory before logging in. */
  #received(bytes: number): void {
    this.silentSweeps = 0;
    this.#piecesBytes += bytes;
    this.owner?.onReceived(bytes);
    if (this.#piecesBytes <= this.#stanzaBytesMax + FRAMING_BYTES_MAX) return;
    this.#piecesBytes = 0;
    this.#broken(tooLarge(this.#stanzaBytesMax));
  }

  /** Pings and pongs are no pieces of a message. */
  #controlled(length: number): void {
    this.#piecesBytes -= length + CONTROL_BYTES;
  }

  #arrived(data: Buffer, isBinary: boolean): void {
    this.#piecesBytes = 0;
    if (this.#early.length === 0 && !this.#place.mustWait(data.length)) {
      this.#read({ data, isBinary });
      return;
    }
    this.#early.push({ data, isBinary });
    this.#earlyBytes += data.length;
    this.#websocket.pause();
  }

  #read({ data, isBinary }: Message): void {
    this.#place.passed(data.length);
    if (this.#isStopped) return;
    try {
      if (isBinary) throw new XmlError("bad-format", "a binary message");
      this.#take(parse(data, this.#stanzaBytesMax));
    } catch (error) {
      this.#broken(error);
    }
  }

  #take(element: ParsedStanza): void {
    const { ns, name } = element;
    if (ns === NS_FRAMING && name === "close") {
      this.owner?.onEnd();
      return;
    }
    if (this.#expectsHeader) {
      this.#expectsHeader = false;
      this.owner?.onHeader(headerOf(element));
      return;
    }
    if (ns === NS_FRAMING) throw new XmlError("bad-format", "a header where none is expected");
    // 3.3.3: a stanza says itself which namespace it is in.
    if (ns === "") throw new XmlError("invalid-namespace", "an element without a namespace");
    this.owner?.onStanza(element);
  }

  #broken(error: unknown): void {
    if (!this.#isStopped) this.owner?.onBroken(error);
  }

  #flush(): void {
    this.#isFlushDue = false;
    if (this.#isWriting || this.#queue.length === 0) return;
    const queue = this.#queue;
    this.#queue = [];
    this.#queuedBytes = 0;
    this.#isWriting = true;
    this.#writes += 1;
    this.#socket.cork();
    const last = queue.length - 1;
    for (let at = 0; at < last; at += 1) this.#websocket.send(queue[at] as Buffer, TEXT);
    this.#websocket.send(queue[last] as Buffer, TEXT, (error) => {
      if (!error) this.#written();
    });
    this.#socket.uncork();
  }

  #written(): void {
    this.#isWriting = false;
    this.stalledSweeps = 0;
    this.#flush();
    if (this.#isEnding && this.#queue.length === 0) this.#websocket.close(NORMAL);
    this.owner?.onDrained();
  }

  #closed(): void {
    // A peer that closes has said what it said.
    for (const message of this.#early.splice(0)) this.#read(message);
    this.#isStopped = true;
    this.owner?.onClosed();
  }
}

const tooLarge = (limit: number) => new XmlError("policy-violation", `more than ${limit} bytes`);

/** 3.3: one whole element and nothing around it. */
function parse(message: Buffer, limit: number): ParsedStanza {
  if (message.length > limit) throw tooLarge(limit);
  if (message[0] !== LESS_THAN) throw new XmlError("not-well-formed", "it begins with no element");
  return parseStanza(message, EMPTY_SCOPE);
}

/** 3.4: `<open/>` takes the place of the stream's start tag. */
function headerOf({ ns, name, attributes, lang }: ParsedStanza): PeerHeader {
  const { to, from, version } = attributes;
  const isOpen = ns === NS_FRAMING && name === "open";
  const fault = isOpen ? undefined : ns === NS_FRAMING ? "bad-format" : "invalid-namespace";
  return { to, from, version, lang, fault };
}
