/** Meshes for tests: one authority, nodes that know each other, and peers that misbehave. */

import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import type { Server, TLSSocket } from "node:tls";
import { connect, createServer } from "node:tls";
import { systemClock } from "../../base/clock.ts";
import type { FakeClock } from "../../base/fake-clock.ts";
import type { Logger } from "../../base/log.ts";
import { issue, makeAuthority } from "../../config/certificates.ts";
import type { FrameHandler } from "../contract.ts";
import type { Frame } from "../frame.ts";
import { encodeFrames, FrameDecoder, FrameType } from "../frame.ts";
import { encodeHello } from "../hello.ts";
import type { CountedMesh, MeshOptions } from "../mesh.ts";
import { openMesh } from "../mesh.ts";
import type { MeshTls } from "../settings.ts";

export const SERVER_NAME = "node.cluster.test";
export const NOTHING = Buffer.alloc(0);
const HOST = "127.0.0.1";

export async function makeTls(name = SERVER_NAME): Promise<MeshTls> {
  const authority = await makeAuthority("cluster of a test");
  const { certificate, key } = await issue(authority, { commonName: "node", names: [name] });
  return { authority: authority.certificate, certificate, key };
}

/** Of the same cluster, but issued for another name. */
export async function makeTwoNames(other: string): Promise<readonly [MeshTls, MeshTls]> {
  const authority = await makeAuthority("cluster of a test");
  const issued = (name: string) => issue(authority, { commonName: "node", names: [name] });
  const [right, wrong] = [await issued(SERVER_NAME), await issued(other)];
  return [
    { authority: authority.certificate, ...right },
    { authority: authority.certificate, ...wrong },
  ];
}

/** The shared certificates of tests that do not care. */
export const TLS = await makeTls();

/** Remembers what is logged, as "message reason". */
export function listeningLog(lines: string[]): Logger {
  const say = (fields: object, message: string) => {
    lines.push(`${message} ${"reason" in fields ? fields.reason : ""}`);
  };
  const log: Logger = { debug: say, info: say, warn: say, error: say, child: () => log };
  return log;
}

export function startMesh(
  incarnation: string,
  onFrame: FrameHandler,
  options: Partial<MeshOptions> = {},
): Promise<CountedMesh> {
  return openMesh({
    host: HOST,
    port: 0,
    self: { incarnation },
    tls: TLS,
    serverName: SERVER_NAME,
    clock: systemClock,
    onFrame,
    ...options,
  });
}

export const introduce = (to: CountedMesh, incarnation: string, port: number): void =>
  to.addPeer({ incarnation, meshHost: HOST, meshPort: port });

/** Something that is not our code listens where a node should. */
export interface FakePeer {
  readonly port: number;
  close(): void;
}

/** @param onFrame what it does with the frames of whoever dialled it */
export async function startFakePeer(
  onFrame: (socket: TLSSocket, frame: Frame) => void,
  onConnection: (socket: TLSSocket) => void = () => undefined,
): Promise<FakePeer> {
  const sockets = new Set<TLSSocket>();
  const server: Server = createServer(
    { ca: TLS.authority, cert: TLS.certificate, key: TLS.key, requestCert: true },
    (socket) => {
      sockets.add(socket);
      const decoder = new FrameDecoder(1 << 24);
      socket.on("error", () => undefined);
      socket.on("data", (chunk: Buffer) => decoder.push(chunk, (frame) => onFrame(socket, frame)));
      onConnection(socket);
    },
  );
  await once(server.listen(0, HOST), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}

/** Answers a hello as the node `incarnation`, and gives every other frame to `then`. */
export const politely =
  (
    incarnation: string,
    then: (socket: TLSSocket, frame: Frame) => void,
    protocol = { min: 1, max: 1 },
  ) =>
  (socket: TLSSocket, frame: Frame): void => {
    if (frame.type !== FrameType.hello) then(socket, frame);
    else sendFrame(socket, FrameType.hello, 0, encodeHello({ protocol, incarnation }));
  };

export function sendFrame(
  socket: TLSSocket,
  type: Frame["type"],
  sequence: number,
  payload: Buffer,
  code = 0,
): void {
  socket.write(encodeFrames([{ type, code, sequence, payload }]));
}

/** A raw connection to a mesh's listener, with the given certificates. */
export async function dialRaw(port: number, tls: MeshTls = TLS): Promise<TLSSocket> {
  const socket = connect({
    host: HOST,
    port,
    ca: TLS.authority,
    cert: tls.certificate,
    key: tls.key,
    servername: SERVER_NAME,
  });
  socket.on("error", () => undefined);
  await Promise.race([once(socket, "secureConnect"), once(socket, "close")]);
  return socket;
}

/** Turns of the event loop until it is so; the test's own timeout is the deadline. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setImmediate(resolve));
}

/** Resolves when the connection is over, however it ended. */
export const closed = (socket: Socket): Promise<void> =>
  new Promise((resolve) => {
    if (socket.closed) resolve();
    else socket.once("close", () => resolve());
  });

/** Time goes by, and everything that is due is done on the way. */
export async function pass(clock: FakeClock, ms: number): Promise<void> {
  for (let passed = 0; passed < ms; passed += 250) {
    clock.advance(250);
    for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
  }
}
