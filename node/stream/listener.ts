/**
 * A listening socket for streams, with STARTTLS or with TLS from the first byte (XEP-0368), of clients
 * or of proxies on their behalf.
 */

import type { BlockList, Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import type { Random } from "../base/random.ts";
import { randomId } from "../base/random.ts";
import type { ListeningOptions } from "../sockets/listening.ts";
import { listenTogether } from "../sockets/listening.ts";
import { readApart } from "../sockets/read-apart.ts";
import type { Gate, TransportLimits } from "./contract.ts";
import { writeFailure, writeHeader } from "./header.ts";
import { takeFromProxy } from "./proxied.ts";
import type { Origin } from "./tcp.ts";
import { Connection, Flusher, originOf } from "./tcp.ts";
import { TcpTransport } from "./tcp-transport.ts";
import type { TlsContexts } from "./tls.ts";
import type { Turns } from "./turns.ts";

/** Between two words about proxies: a flood of connections must not become a flood of log lines. */
const COMPLAINT_MS = 1_000;

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Given on a direct TLS port, and where proxies may pass such connections on. */
  readonly directTls: TlsContexts | undefined;
  /** Given where only they connect, and say for whom (PROXY protocol). */
  readonly trustedProxies?: BlockList | undefined;
  readonly limits: TransportLimits;
  readonly gate: Gate;
  readonly random: Random;
  readonly clock: Clock;
  /** What its connections share with those of other listeners. */
  readonly turns?: Turns | undefined;
  /** Stands in the header of a stream that is refused before it began. */
  readonly domain: () => string;
  /** The system could not hand over a connection, for want of descriptors usually. */
  onAcceptError(error: Error): void;
}

export interface Listener {
  readonly port: number;
  /** Stops listening; connections go on. */
  close(): void;
}

/** @throws ConfigError when the address cannot be listened on. */
export async function listen(options: ListenerOptions): Promise<Listener> {
  const { directTls, limits, gate, trustedProxies } = options;
  const flusher = new Flusher(options.turns);
  const begin = (socket: Socket, origin: Origin, contexts: TlsContexts | undefined): void => {
    const condition = gate.admit(origin.address);
    if (condition !== undefined) {
      const header = { from: options.domain(), id: randomId(options.random), to: undefined };
      const words = Buffer.concat([writeHeader(header), writeFailure({ condition })]);
      refuse(socket, contexts === undefined ? words : undefined);
      return;
    }
    // Of one that a proxy has introduced something has been read.
    if (contexts === undefined && trustedProxies === undefined) readApart(socket);
    const connection = new Connection(socket, flusher, limits.waitingBytesMax, origin);
    gate.onTransport(new TcpTransport(connection, limits));
    if (contexts !== undefined) connection.startTls(contexts);
    else connection.resume();
  };
  let complainedMs = Number.NEGATIVE_INFINITY;
  const fromProxy = async (socket: Socket, proxies: BlockList): Promise<void> => {
    try {
      const taken = await takeFromProxy(socket, proxies);
      if (taken === undefined) return;
      begin(socket, taken.origin, taken.beginsTls ? directTls : undefined);
    } catch (error) {
      const nowMs = options.clock.monotonicMs();
      if (nowMs - complainedMs < COMPLAINT_MS) return;
      complainedMs = nowMs;
      options.onAcceptError(error as Error);
    }
  };
  const onSocket = (socket: Socket): void => {
    if (trustedProxies === undefined) begin(socket, originOf(socket), directTls);
    else void fromProxy(socket, trustedProxies);
  };
  return await open({ ...options, onSocket, whom: "clients" });
}

export interface ConnectionsOptions extends Omit<ListeningOptions, "onSocket"> {
  /** Bytes that may wait for a slow peer before it is dropped. */
  readonly waitingBytesMax: number;
  /** Must give the connection an owner. */
  onConnection(connection: Connection): void;
}

/** For peers whose streams are not those of clients. @throws ConfigError as `listen` does */
export async function listenForConnections(options: ConnectionsOptions): Promise<Listener> {
  const flusher = new Flusher();
  const onSocket = (socket: Socket): void =>
    options.onConnection(new Connection(socket, flusher, options.waitingBytesMax));
  return await open({ ...options, onSocket });
}

async function open(options: ListeningOptions): Promise<Listener> {
  const { port, close } = await listenTogether(options);
  return { port, close: () => void close() };
}

/** Says no without giving the peer a connection to hold. */
function refuse(socket: Socket, words: Buffer | undefined): void {
  socket.on("error", () => socket.destroy());
  if (words === undefined) {
    socket.destroy();
    return;
  }
  socket.write(words);
  socket.destroySoon();
}
