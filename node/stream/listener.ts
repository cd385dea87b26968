/** A listening socket for streams, with STARTTLS or with TLS from the first byte (XEP-0368). */

import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { ConfigError } from "../base/errors.ts";
import type { Random } from "../base/random.ts";
import { randomId } from "../base/random.ts";
import type { Gate, TransportLimits } from "./contract.ts";
import { writeFailure, writeHeader } from "./header.ts";
import { Connection, Flusher } from "./tcp.ts";
import { TcpTransport } from "./tcp-transport.ts";
import type { TlsContexts } from "./tls.ts";

const BACKLOG = 4_096;
const KEEPALIVE_MS = 60_000;

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Given on a direct TLS port. */
  readonly directTls: TlsContexts | undefined;
  readonly limits: TransportLimits;
  readonly gate: Gate;
  readonly random: Random;
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
  const { directTls, limits, gate } = options;
  const flusher = new Flusher();
  const onSocket = (socket: Socket): void => {
    const condition = gate.admit(socket.remoteAddress ?? "");
    if (condition !== undefined) {
      const header = { from: options.domain(), id: randomId(options.random), to: undefined };
      const words = Buffer.concat([writeHeader(header), writeFailure({ condition })]);
      refuse(socket, directTls === undefined ? words : undefined);
      return;
    }
    const connection = new Connection(socket, flusher, limits.waitingBytesMax);
    gate.onTransport(new TcpTransport(connection, limits));
    if (directTls !== undefined) connection.startTls(directTls);
  };
  return await openSocket({ ...options, whom: "clients" }, onSocket);
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

/** For peers whose streams are not those of clients. @throws ConfigError as `listen` does */
export async function listenForConnections(options: ConnectionsOptions): Promise<Listener> {
  const flusher = new Flusher();
  return await openSocket(options, (socket) => {
    options.onConnection(new Connection(socket, flusher, options.waitingBytesMax));
  });
}

async function openSocket(
  {
    host,
    port,
    whom,
    onAcceptError,
  }: Pick<ConnectionsOptions, "host" | "port" | "whom" | "onAcceptError">,
  onSocket: (socket: Socket) => void,
): Promise<Listener> {
  const server = createServer(
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS },
    onSocket,
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      const why = (cause as NodeJS.ErrnoException).code ?? cause.message;
      reject(new ConfigError(`Cannot listen for ${whom} on ${host}:${port}: ${why}`, { cause }));
    });
    server.listen({ host, port, backlog: BACKLOG }, resolve);
  });
  server.removeAllListeners("error");
  server.on("error", onAcceptError);
  return {
    port: (server.address() as AddressInfo).port,
    close: () => void server.close(),
  };
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
