/** A listening socket for streams, with STARTTLS or with TLS from the first byte (XEP-0368). */

import type { AddressInfo, Socket } from "node:net";
import { createServer } from "node:net";
import { ConfigError } from "../base/errors.ts";
import { Connection, Flusher } from "./tcp.ts";
import type { TlsContexts } from "./tls.ts";

const BACKLOG = 4_096;
const KEEPALIVE_MS = 60_000;

export interface ListenerOptions {
  readonly host: string;
  readonly port: number;
  /** Given on a direct TLS port. */
  readonly directTls: TlsContexts | undefined;
  /** Bytes that may wait for a slow peer before it is dropped. */
  readonly waitingBytesMax: number;
  /** Undefined lets the address in; otherwise what to tell it, if anything, before closing. */
  admit(address: string): Buffer | undefined;
  onConnection(connection: Connection): void;
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
  const { host, port, directTls, waitingBytesMax } = options;
  const flusher = new Flusher();
  const onSocket = (socket: Socket): void => {
    const refusal = options.admit(socket.remoteAddress ?? "");
    if (refusal !== undefined) {
      refuse(socket, directTls === undefined ? refusal : undefined);
      return;
    }
    const connection = new Connection(socket, flusher, waitingBytesMax);
    options.onConnection(connection);
    if (directTls !== undefined) connection.startTls(directTls);
  };
  const server = createServer(
    { noDelay: true, keepAlive: true, keepAliveInitialDelay: KEEPALIVE_MS },
    onSocket,
  );
  await new Promise<void>((resolve, reject) => {
    server.once("error", (cause) => {
      const why = (cause as NodeJS.ErrnoException).code ?? cause.message;
      reject(new ConfigError(`Cannot listen for clients on ${host}:${port}: ${why}`, { cause }));
    });
    server.listen({ host, port, backlog: BACKLOG }, resolve);
  });
  server.removeAllListeners("error");
  server.on("error", options.onAcceptError);
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
