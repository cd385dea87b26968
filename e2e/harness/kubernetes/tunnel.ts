/**
 * A way into a network namespace from outside it, without touching the machine's network: Unix
 * sockets do not know namespaces. The inner end is tunnel-inside.ts.
 */
import { existsSync } from "node:fs";
import type { Server, Socket } from "node:net";
import { connect, createServer } from "node:net";
import path from "node:path";
import { startProcess } from "../process.ts";
import { waitFor } from "../wait.ts";

const CONNECT_MS = 10_000;
const GREETING = "ok\n";

export interface Tunnel {
  /** Listens on loopback, outside, and passes each connection on. @returns the local port */
  readonly forward: (host: string, port: number) => Promise<number>;
  /** Whether something listens at that address, inside. */
  readonly isUp: (host: string, port: number) => Promise<boolean>;
  readonly stop: () => Promise<void>;
}

/** Connects to an address inside. @throws Error when nothing answers there */
function connectThrough(socketPath: string, host: string, port: number): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const socket = connect({ path: socketPath, allowHalfOpen: true });
    const fail = () => {
      socket.destroy();
      reject(new Error(`Cannot connect to ${host}:${port}: nothing answers`));
    };
    socket.setTimeout(CONNECT_MS, fail);
    socket.once("error", fail);
    socket.once("end", fail);
    socket.write(`${host} ${port}\n`);
    const onReadable = () => {
      if (socket.read(GREETING.length) === null) return;
      socket.off("readable", onReadable).off("error", fail).off("end", fail);
      socket.setTimeout(0);
      resolve(socket);
    };
    socket.on("readable", onReadable);
  });
}

function join(one: Socket, other: Socket): void {
  for (const [from, to] of [[one, other] as const, [other, one] as const]) {
    from.on("error", () => to.destroy());
    from.on("close", () => to.destroySoon());
    from.pipe(to);
  }
}

function listen(socketPath: string, host: string, port: number): Promise<Server> {
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (outer) => {
    outer.on("error", () => outer.destroy());
    connectThrough(socketPath, host, port).then(
      (inner) => join(outer, inner),
      () => outer.destroy(),
    );
  });
  return new Promise((resolve, reject) => {
    server.once("error", reject);
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}

/** Opens a way into `netns`. Its socket and log go into `folder`. */
export async function startTunnel(netns: string, folder: string): Promise<Tunnel> {
  const socketPath = path.join(folder, "tunnel.sock");
  const running = await startProcess({
    name: "tunnel",
    command: process.execPath,
    args: [path.join(import.meta.dirname, "tunnel-inside.ts"), socketPath],
    log: path.join(folder, "logs", "tunnel.log"),
    netns,
  });
  const ask = async () => existsSync(socketPath) || undefined;
  await waitFor(ask, { what: "the tunnel", deadlineMs: 20_000, unless: running.failed });
  const servers: Server[] = [];
  return {
    forward: async (host, port) => {
      const server = await listen(socketPath, host, port);
      servers.push(server);
      return (server.address() as { port: number }).port;
    },
    isUp: (host, port) =>
      connectThrough(socketPath, host, port).then(
        (socket) => {
          socket.destroy();
          return true;
        },
        () => false,
      ),
    stop: async () => {
      for (const server of servers) server.close();
      await running.stop();
    },
  };
}
