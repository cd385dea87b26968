/**
 * A port that is listened on by several sockets, among which the kernel shares out connections (SO_REUSEPORT).
 * libuv takes one connection from each in a turn of the event loop. Behind a single socket of a node that is
 * busy, and so has long turns, clients that come back would wait until they give up, and be taken when they have.
 */
import { once } from "node:events";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer } from "node:net";
import { ConfigError } from "../base/errors.ts";

/** With turns of 20 ms, 800 connections a second. Only Linux shares them out evenly. */
const SOCKETS = process.platform === "linux" ? 16 : 1;
/** Connections that wait to be taken, for each socket. */
const BACKLOG = 512;
const SOCKET_OPTIONS = { noDelay: true, keepAlive: true, keepAliveInitialDelay: 60_000 };

export interface ListeningOptions {
  readonly host: string;
  /** 0: any that is free. */
  readonly port: number;
  /** Who is listened for, in the plural. */
  readonly whom: string;
  onSocket(socket: Socket): void;
  /** The system could not hand over a connection, for want of descriptors usually. */
  onAcceptError(error: Error): void;
}

export interface Listening {
  readonly port: number;
  /** Stops listening; connections go on. Resolves once the port is free and the last of them has closed. */
  close(): Promise<void>;
}

/** @throws ConfigError when the address cannot be listened on, also when others listen there together */
export async function listenTogether(options: ListeningOptions): Promise<Listening> {
  const { host, whom, onSocket, onAcceptError } = options;
  const servers: Server[] = [];
  const close = async (): Promise<void> => void (await Promise.all(servers.map(closeServer)));
  try {
    // One that shares with nobody finds out whether the port is free.
    const alone = createServer();
    const port = await listen(alone, { host, port: options.port, reusePort: false });
    await closeServer(alone);
    while (servers.length < SOCKETS) {
      const server = createServer(SOCKET_OPTIONS, onSocket);
      await listen(server, { host, port, reusePort: SOCKETS > 1 });
      server.on("error", onAcceptError);
      servers.push(server);
    }
    return { port, close };
  } catch (cause) {
    await close();
    const why = (cause as NodeJS.ErrnoException).code ?? (cause as Error).message;
    throw new ConfigError(`Cannot listen for ${whom} on ${host}:${options.port}: ${why}`, {
      cause,
    });
  }
}

interface Address {
  readonly host: string;
  readonly port: number;
  readonly reusePort: boolean;
}

/** @returns the port; @throws why it cannot */
async function listen(server: Server, address: Address): Promise<number> {
  server.listen({ ...address, backlog: BACKLOG });
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

const closeServer = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
  });
