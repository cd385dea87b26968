/**
 * A listening socket for streams, with STARTTLS or with TLS from the first byte (XEP-0368), of clients
 * or of proxies on their behalf.
 */

import type { AddressInfo, BlockList, Server, Socket } from "node:net";
import { createServer } from "node:net";
import type { Clock } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { randomId } from "../base/random.ts";
import { readApart } from "../base/read-apart.ts";
import type { Gate, TransportLimits } from "./contract.ts";
import { writeFailure, writeHeader } from "./header.ts";
import { takeFromProxy } from "./proxied.ts";
import type { Origin } from "./tcp.ts";
import { Connection, Flusher, originOf } from "./tcp.ts";
import { TcpTransport } from "./tcp-transport.ts";
import type { TlsContexts } from "./tls.ts";
import type { Turns } from "./turns.ts";

const BACKLOG = 4_096;
/**
 * That share one port, where the system spreads connections over them. The event loop accepts a single
 * connection of each in a round: of one alone a busy node would let in so few that they had given up by then,
 * and who came back would stand behind all who had.
 */
const SOCKETS = process.platform === "linux" ? 8 : 1;
const KEEPALIVE_MS = 60_000;
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
  return await openSocket({ ...options, whom: "clients" }, (socket) => {
    if (trustedProxies === undefined) begin(socket, originOf(socket), directTls);
    else void fromProxy(socket, trustedProxies);
  });
}

export interface ConnectionsOptions {
  readonly host: string;
  readonly port: number;
  /** Who is listened for, in the plural. */
  readonly whom: string;
  /** Bytes that may wait for a slow peer before it is dropped. */
  readonly waitingBytesMax: number;
  /** Must give the connection an owner. */
  onConnection(connection: Connection): void;
  onAcceptError(error: Error): void;
}

type SocketOptions = Pick<ConnectionsOptions, "host" | "port" | "whom" | "onAcceptError">;

/** For peers whose streams are not those of clients. @throws ConfigError as `listen` does */
export async function listenForConnections(options: ConnectionsOptions): Promise<Listener> {
  const flusher = new Flusher();
  return await openSocket(options, (socket) => {
    options.onConnection(new Connection(socket, flusher, options.waitingBytesMax));
  });
}

async function openSocket(
  options: SocketOptions,
  onSocket: (socket: Socket) => void,
): Promise<Listener> {
  const { port } = options;
  // Only ours share it: whoever has it otherwise says so now.
  if (SOCKETS > 1 && port !== 0) await closed(await openOne(options, port, false, onSocket));
  const first = await openOne(options, port, SOCKETS > 1, onSocket);
  const { port: own } = first.address() as AddressInfo;
  const others = Array.from({ length: SOCKETS - 1 }, () => openOne(options, own, true, onSocket));
  const all = [first, ...(await Promise.all(others))];
  return {
    port: own,
    close: () => {
      for (const server of all) server.close();
    },
  };
}

async function openOne(
  { host, whom, onAcceptError }: SocketOptions,
  port: number,
  reusePort: boolean,
  onSocket: (socket: Socket) => void,
): Promise<Server> {
  const server = createServer(
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS },
    onSocket,
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      const why = (cause as NodeJS.ErrnoException).code ?? cause.message;
      reject(new ConfigError(`Cannot listen for ${whom} on ${host}:${port}: ${why}`, { cause }));
    });
    server.listen({ host, port, backlog: BACKLOG, reusePort }, resolve);
  });
  server.removeAllListeners("error");
  server.on("error", onAcceptError);
  return server;
}

const closed = (server: Server): Promise<void> =>
  new Promise((resolve) => server.close(() => resolve()));

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
