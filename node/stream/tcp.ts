/**
 * One TCP connection, plain or TLS. There are very many of them: handlers live on the module and
 * find their connection through the socket, so that none costs a closure.
 */
import type { Socket } from "node:net";
import { TLSSocket } from "node:tls";
import { readApart } from "../sockets/read-apart.ts";
import type { ChannelBindingType } from "./channel-binding.ts";
import { channelBindingsOf } from "./channel-binding.ts";
import { certifiedAddresses } from "./client-certificate.ts";
import type { Certificates, TlsContexts } from "./tls.ts";
import type { Turns } from "./turns.ts";
import { PIECE_BYTES, Place } from "./turns.ts";

/** Whom a connection tells what happens to it. */
export interface ConnectionOwner {
  onBytes(chunk: Buffer): void;
  /** Everything written has been handed to the system. */
  onDrained(): void;
  /** Once; the socket is gone. */
  onClosed(): void;
}

/**
 * XEP-0368: the protocol's name in ALPN, behind its length. Each TLS socket keeps a copy, which of a
 * Buffer is a piece of a large one, and of other views has its own memory.
 */
const ALPN = new DataView(Uint8Array.from(Buffer.from("\x0bxmpp-client")).buffer);

const NOTHING = Buffer.alloc(0);

const NO_BINDINGS: ReadonlyMap<ChannelBindingType, Buffer> = new Map();

/** Where a connection comes from. */
export interface Origin {
  readonly address: string;
  /** Whether a proxy speaks TLS with the client, and plainly with us. */
  readonly isTls: boolean;
}

export const originOf = (socket: Socket): Origin => ({
  address: socket.remoteAddress ?? "",
  isTls: false,
});

interface Upgrade {
  readonly certificates: Certificates;
  readonly domain: string | undefined;
}

const CONNECTION = Symbol("connection");
type OwnedSocket = Socket & { [CONNECTION]?: Connection };

function onData(this: OwnedSocket, chunk: Buffer): void {
  this[CONNECTION]?.received(chunk);
}
function onClose(this: OwnedSocket): void {
  this[CONNECTION]?.closed();
}
const goOn = (connection: Connection): void => connection.goOn();
/** Resets and handshake failures: the socket closes by itself, and "close" tells. */
function onError(): void {}

/** Connections with something to write, collected until the end of this turn of the event loop. */
export class Flusher {
  readonly turns: Turns | undefined;
  #dirty: Connection[] = [];
  readonly #run = () => {
    const dirty = this.#dirty;
    this.#dirty = [];
    for (const connection of dirty) connection.flush();
  };

  /** @param turns what its connections share; without, each handles whatever it has read */
  constructor(turns?: Turns) {
    this.turns = turns;
  }

  add(connection: Connection): void {
    if (this.#dirty.push(connection) === 1) process.nextTick(this.#run);
  }
}

export class Connection {
  readonly remoteAddress: string;
  readonly #isTlsAtProxy: boolean;
  #socket: OwnedSocket;
  #owner: ConnectionOwner | undefined;
  readonly #flusher: Flusher;
  readonly #waitingBytesMax: number;
  /** Not yet handed to the socket; undefined while there is nothing. */
  #queued: Buffer | undefined;
  /** The same, behind it: mostly there is nothing. */
  #behind: Buffer[] | undefined;
  #queuedBytes = 0;
  /** The socket has not finished the last write. */
  #isWriting = false;
  /** Writes begun so far, one for each turn that had something to send. */
  #writes = 0;
  /** Nothing is handed to the owner. */
  #isPaused = false;
  /** The socket reads nothing either, since something came meanwhile. */
  #isStopped = false;
  /** What came meanwhile. */
  #early: Buffer | undefined;
  readonly #place: Place;
  #isOver = false;
  #isEnding = false;
  /** TLS begins as soon as everything before it is written, or has begun. */
  #upgrade: Upgrade | undefined;

  constructor(
    socket: Socket,
    flusher: Flusher,
    waitingBytesMax: number,
    origin = originOf(socket),
  ) {
    this.#socket = socket;
    this.#flusher = flusher;
    this.#place = new Place(this, flusher.turns);
    this.#waitingBytesMax = waitingBytesMax;
    this.remoteAddress = origin.address;
    this.#isTlsAtProxy = origin.isTls;
    this.#isStopped = socket.isPaused(); // As one is that a proxy has introduced.
    this.#attach(socket);
  }

  /** Must be set in the turn the connection is made in. */
  set owner(owner: ConnectionOwner) {
    this.#owner = owner;
  }

  get isSecure(): boolean {
    return this.#isTlsAtProxy || this.#socket instanceof TLSSocket;
  }

  /** Whether bytes wait behind a write that the system has not taken yet. */
  get isBacklogged(): boolean {
    return this.#isWriting;
  }

  /** Writes that the system has taken. */
  get writesDone(): number {
    return this.#isWriting ? this.#writes - 1 : this.#writes;
  }

  /** Writes that the system has been given: of none of them it is sure that it never arrives. */
  get writesBegun(): number {
    return this.#writes;
  }

  /** What `writesDone` will be when it has taken everything there is now. */
  get writesNeeded(): number {
    return this.#queued === undefined ? this.#writes : this.#writes + 1;
  }

  /** What a login can be bound to; empty without TLS. */
  channelBindings(): ReadonlyMap<ChannelBindingType, Buffer> {
    if (!(this.#socket instanceof TLSSocket) || this.#upgrade === undefined) return NO_BINDINGS;
    const { certificates, domain } = this.#upgrade;
    const shown = certificates.shownTo(this.#socket.servername || undefined, domain);
    return channelBindingsOf(this.#socket, shown.endPoint);
  }

  /** The addresses that the client's certificate proves, as they stand in it. */
  certifiedAddresses(): readonly string[] {
    return this.#socket instanceof TLSSocket ? certifiedAddresses(this.#socket) : [];
  }

  /**
   * Queues bytes for the end of this turn. False when they were not taken: the connection is over,
   * or its peer is so slow that it has just been dropped.
   */
  write(bytes: Buffer): boolean {
    if (this.#isOver || this.#isEnding || this.#socket.destroyed) return false;
    const notTaken = this.#isWriting ? this.#socket.writableLength : 0;
    const waiting = this.#queuedBytes + notTaken;
    if (waiting > 0 && waiting + bytes.length > this.#waitingBytesMax) {
      this.destroy();
      return false;
    }
    this.#queuedBytes += bytes.length;
    if (this.#queued === undefined) {
      this.#queued = bytes;
      if (!this.#isWriting) this.#flusher.add(this);
    } else if (this.#behind === undefined) this.#behind = [bytes];
    else this.#behind.push(bytes);
    return true;
  }

  /** Hands what is queued to the socket, as one write. */
  flush(): void {
    const first = this.#queued;
    const behind = this.#behind;
    if (first === undefined || this.#isWriting || this.#isOver) return;
    this.#queued = undefined;
    this.#behind = undefined;
    this.#queuedBytes = 0;
    this.#isWriting = true;
    this.#writes += 1;
    // Copying together what is small costs less than a vectored write, and in TLS makes one record.
    const whole = behind === undefined ? first : Buffer.concat([first, ...behind]);
    if (this.#upgrade !== undefined || this.#isEnding) {
      this.#writeAndWait(whole);
      return;
    }
    // A plain socket has mostly passed it on by now: to look is cheaper than to be called back.
    const socket = this.#socket;
    socket.write(whole);
    if (socket.writableLength > 0) this.#writeAndWait(NOTHING);
    else if (!socket.destroyed && !socket.errored) this.#written();
  }

  #writeAndWait(bytes: Buffer): void {
    // After a failure nothing is known to be written: "close" follows and tells.
    this.#socket.write(bytes, (error) => error || this.#written());
  }

  /**
   * Starts TLS as the server, once everything written so far is out. Reads nothing until then.
   * @param domain whose certificate is shown to a client that names none by SNI
   */
  startTls(contexts: TlsContexts, domain?: string): void {
    this.#upgrade = { certificates: contexts.inForce, domain };
    this.#isPaused = false;
    this.#isStopped = false;
    this.#early = undefined; // It was not protected.
    this.#socket.off("data", onData);
    this.#socket.pause();
    this.flush();
    if (!this.#isWriting) this.#upgradeNow();
  }

  /** Each step of a login pauses, and mostly nothing comes: only then is the socket stopped. */
  pause(): void {
    this.#isPaused = true;
  }

  resume(): void {
    this.#isPaused = false;
    // Later: whoever resumes may not be done.
    if (this.#isStopped) process.nextTick(goOn, this);
  }

  /** Hands over what came while it was paused, and reads on unless it is paused again. */
  goOn(): void {
    if (this.#isPaused || !this.#isStopped || this.#isOver) return;
    const early = this.#early;
    if (early !== undefined && this.#place.mustWait(early.length)) return;
    this.#early = undefined;
    if (early !== undefined) this.#hand(early);
    if (this.#isPaused || !this.#isStopped || this.#isOver) return;
    this.#isStopped = false;
    this.#socket.resume();
  }

  /** Has a piece of what came handled, and waits again or reads on. */
  takeTurn(): void {
    if (this.#isPaused || !this.#isStopped || this.#isOver) return;
    const early = this.#early;
    this.#early =
      early === undefined || early.length <= PIECE_BYTES ? undefined : early.subarray(PIECE_BYTES);
    if (early !== undefined) this.#hand(early.subarray(0, PIECE_BYTES));
    if (this.#early === undefined) this.goOn();
    else this.#place.wait(this.#early.length);
  }

  /** Sends what is queued, then ends our side. Reading goes on until the peer ends its own. */
  end(): void {
    if (this.#isOver || this.#isEnding) return;
    this.#isEnding = true;
    this.flush();
    if (!this.#isWriting || this.#queued === undefined) this.#socket.end();
  }

  /** Drops the connection now. */
  destroy(): void {
    this.#socket.destroy();
  }

  received(chunk: Buffer): void {
    if (this.#isOver) return;
    if (!this.#isPaused && this.#early === undefined && !this.#place.mustWait(chunk.length)) {
      this.#hand(chunk);
      return;
    }
    this.#early = this.#early === undefined ? chunk : Buffer.concat([this.#early, chunk]);
    this.#isStopped = true;
    this.#socket.pause();
  }

  #hand(bytes: Buffer): void {
    this.#place.passed(bytes.length);
    this.#owner?.onBytes(bytes);
  }

  closed(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#queued = undefined;
    this.#behind = undefined;
    this.#early = undefined;
    this.#owner?.onClosed();
  }

  #attach(socket: OwnedSocket): void {
    socket[CONNECTION] = this;
    socket.on("data", onData);
    socket.on("error", onError);
    socket.on("close", onClose);
  }

  #written(): void {
    this.#isWriting = false;
    if (this.#isOver) return;
    if (this.#queued !== undefined) this.flush();
    if (this.#isWriting) {
      this.#owner?.onDrained();
      return;
    }
    if (this.#isEnding) this.#socket.end();
    this.#upgradeNow();
    this.#owner?.onDrained();
  }

  #upgradeNow(): void {
    const upgrade = this.#upgrade;
    const raw = this.#socket;
    if (upgrade === undefined || raw instanceof TLSSocket || this.#isOver || raw.destroyed) return;
    const { certificates, domain } = upgrade;
    raw.off("data", onData);
    raw.off("close", onClose);
    const socket: OwnedSocket = new TLSSocket(raw, {
      ...certificates.optionsFor(domain),
      isServer: true,
      ALPNProtocols: ALPN,
      requestCert: certificates.asksForCertificates,
      rejectUnauthorized: false, // Who has none, or another's, logs in by other means.
    });
    readApart(socket);
    this.#socket = socket;
    this.#attach(socket);
  }
}
