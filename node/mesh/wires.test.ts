import { expect, test } from "vitest";
import { DEFAULT_LIMITS } from "./settings.ts";
import { SERVER_NAME, TLS } from "./testing/cluster.ts";
import type { MeshSocket } from "./wires.ts";
import { tlsWires } from "./wires.ts";

const SETTINGS = { tls: TLS, serverName: SERVER_NAME, limits: DEFAULT_LIMITS };
const HOST = "127.0.0.1";

/** Both ends of a connection. */
async function connected(): Promise<readonly [MeshSocket, MeshSocket]> {
  const taken = Promise.withResolvers<MeshSocket>();
  const events = {
    onPeer: (socket: MeshSocket) => taken.resolve(socket),
    onStranger() {},
    onError() {},
  };
  const { port, close } = await tlsWires.listen({ host: HOST, port: 0 }, SETTINGS, events);
  const peer = { incarnation: "b", meshHost: HOST, meshPort: port };
  const dialled = tlsWires.dial(peer, SETTINGS);
  const accepted = await taken.promise;
  close();
  return [dialled, accepted];
}

/** All that comes, until the other end ends. */
function read(socket: MeshSocket): Promise<readonly Buffer[]> {
  const chunks: Buffer[] = [];
  socket.on("data", (chunk: Buffer) => chunks.push(chunk));
  return new Promise((resolve) => socket.on("end", () => resolve(chunks)));
}

const bytesOf = (length: number): Buffer =>
  Buffer.from(Uint8Array.from({ length }, (_, at) => at % 251));

test("what is kept of what was read keeps little besides, at either end", async () => {
  const [dialled, accepted] = await connected();
  const [ofDialled, ofAccepted] = [read(dialled), read(accepted)];
  const said = bytesOf(200_000);
  for (const socket of [dialled, accepted]) {
    for (let at = 0; at < 100_000; at += 500) socket.write(said.subarray(at, at + 500));
    socket.write(said.subarray(100_000));
    socket.end();
  }
  for (const chunks of [await ofDialled, await ofAccepted]) {
    expect(Buffer.concat(chunks).equals(said)).toBe(true);
    expect(chunks.some(({ length }) => length === 500)).toBe(true);
    for (const { buffer, length } of chunks) {
      expect(buffer.byteLength).toBeLessThanOrEqual(Math.max(length, 8_192));
    }
  }
});

test("who stops reading for a while gets all of it, in order", async () => {
  const [dialled, accepted] = await connected();
  const chunks = read(accepted);
  accepted.once("data", () => {
    accepted.pause();
    setImmediate(() => accepted.resume());
  });
  const said = bytesOf(200_000);
  dialled.write(said);
  dialled.end();
  expect(Buffer.concat(await chunks).equals(said)).toBe(true);
});
