/** What carries the mesh: TCP with mutual TLS. The simulation brings wires of its own. */
import type { AddressInfo } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import { checkServerIdentity, connect, createServer } from "node:tls";
import { ConfigError } from "../base/errors.ts";
import { readApart } from "../sockets/read-apart.ts";
import type { MeshPeer } from "./contract.ts";
import type { MeshSettings } from "./settings.ts";

/** One end of a connection, as far as the mesh uses it. */
export type MeshSocket = Pick<
  TLSSocket,
  | "on"
  | "once"
  | "write"
  | "end"
  | "destroy"
  | "pause"
  | "resume"
  | "isPaused"
  | "setNoDelay"
  | "writableLength"
  | "remoteAddress"
>;

export interface PeerEvents {
  /** It has proved that it is a node. */
  onPeer(socket: MeshSocket): void;
  onStranger(address: string | undefined, reason: string): void;
  onError(error: Error): void;
}

export interface WireListener {
  readonly port: number;
  /** Accepts nobody any more. */
  close(): void;
}

type Surroundings = Pick<MeshSettings, "tls" | "serverName" | "limits">;

export interface Wires {
  /** Emits "secureConnect" once the peer has proved that it is a node. */
  dial(peer: MeshPeer, settings: Surroundings): MeshSocket;
  /** @throws ConfigError when the address cannot be listened on or the certificates do not fit */
  listen(
    address: { readonly host: string; readonly port: number },
    settings: Surroundings,
    events: PeerEvents,
  ): Promise<WireListener>;
}

export const tlsWires: Wires = {
  dial({ meshHost, meshPort }, { tls, serverName }) {
    const socket = connect({
      host: meshHost,
      port: meshPort,
      ca: tls.authority,
      cert: tls.certificate,
      key: tls.key,
      rejectUnauthorized: true,
      minVersion: "TLSv1.3",
      servername: serverName,
      checkServerIdentity: (_, certificate) => checkServerIdentity(serverName, certificate),
    });
    readApart(socket);
    return socket;
  },
  async listen({ host, port }, settings, events) {
    const server = makeServer(settings);
    server.on("tlsClientError", (error, socket) =>
      events.onStranger(socket.remoteAddress, error.message),
    );
    server.on("secureConnection", (socket) => {
      const stranger = checkServerIdentity(settings.serverName, socket.getPeerCertificate());
      if (stranger === undefined) {
        readApart(socket);
        events.onPeer(socket);
        return;
      }
      socket.on("error", () => undefined); // It may answer with a reset; we have parted anyway.
      socket.destroy();
      events.onStranger(socket.remoteAddress, stranger.message);
    });
    await bind(server, host, port);
    server.on("error", (error) => events.onError(error));
    return {
      port: (server.address() as AddressInfo).port,
      close: () => void server.close(),
    };
  },
};

/** @throws ConfigError: the certificates cannot be read */
function makeServer({ tls, limits }: Surroundings): Server {
  try {
    const server = createServer({
      ca: tls.authority,
      cert: tls.certificate,
      key: tls.key,
      minVersion: "TLSv1.3",
      requestCert: true,
      rejectUnauthorized: true,
      handshakeTimeout: limits.handshakeMs,
    });
    server.maxConnections = limits.connectionsMax;
    return server;
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`Cannot open the mesh: its certificates do not fit: ${why}`, { cause });
  }
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      const where = `${host}:${port}`;
      reject(new ConfigError(`Cannot listen for nodes on ${where}: ${cause.message}`, { cause }));
    });
    server.listen(port, host, () => {
      server.removeAllListeners("error");
      resolve();
    });
  });
}
