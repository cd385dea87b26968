/** Peers that lie, die, repeat, are slow or are not nodes at all. */

import { once } from "node:events";
import { createConnection } from "node:net";
import fc from "fast-check";
import { afterEach, expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { FrameKind } from "./contract.ts";
import { FrameType } from "./frame.ts";
import { encodeHello } from "./hello.ts";
import type { CountedMesh } from "./mesh.ts";
import type { FakePeer } from "./testing/cluster.ts";
import {
  closed,
  dialRaw,
  introduce,
  makeTls,
  NOTHING,
  pass,
  politely,
  sendFrame,
  startFakePeer,
  startMesh,
  until,
} from "./testing/cluster.ts";

const meshes: CountedMesh[] = [];
const peers: FakePeer[] = [];

/** A node on a fake clock whose one peer, "two", is not our code. */
async function facing(onFrame: Parameters<typeof startFakePeer>[0]) {
  const clock = new FakeClock();
  const mesh = await startMesh("one", () => NOTHING, { clock });
  meshes.push(mesh);
  const peer = await startFakePeer(onFrame);
  peers.push(peer);
  introduce(mesh, "two", peer.port);
  return { clock, mesh };
}

/** A real node that answers, for raw connections to bother. */
async function node() {
  const clock = new FakeClock();
  const got: string[] = [];
  const mesh = await startMesh(
    "one",
    (from, _, payload) => {
      got.push(`${from} ${payload}`);
      return payload;
    },
    { clock },
  );
  meshes.push(mesh);
  const friend = await startMesh("friend", () => NOTHING);
  meshes.push(friend);
  introduce(friend, "one", mesh.port);
  const stillServes = async () =>
    expect(String(await friend.request("one", FrameKind.deliver, Buffer.from("hi")))).toBe("hi");
  return { mesh, clock, got, stillServes };
}

const HELLO = encodeHello({ protocol: { min: 1, max: 1 }, incarnation: "rude" });

afterEach(async () => {
  for (const peer of peers.splice(0)) peer.close();
  await Promise.all(meshes.splice(0).map((mesh) => mesh[Symbol.asyncDispose]()));
});

test("a peer that dies mid-request fails it with mesh-down, and is dialled again", async () => {
  let lives = 0;
  const { mesh } = await facing(
    politely("two", (socket, { sequence }) => {
      lives += 1;
      if (lives === 1) socket.destroy();
      else sendFrame(socket, FrameType.answer, sequence, Buffer.from("back"));
    }),
  );
  await expect(mesh.request("two", FrameKind.deliver, NOTHING)).rejects.toMatchObject({
    code: "mesh-down",
  });
  expect(String(await mesh.request("two", FrameKind.deliver, NOTHING))).toBe("back");
  expect(mesh.stats.broken).toBe(1);
});

test("a silent peer fails requests with mesh-timeout, then its link is closed as dead", async () => {
  const types: number[] = [];
  const { mesh, clock } = await facing(politely("two", (_, { type }) => types.push(type)));
  const first = mesh.request("two", FrameKind.deliver, NOTHING);
  const timedOut = expect(first).rejects.toMatchObject({ code: "mesh-timeout" });
  await until(() => types.length === 1);
  await pass(clock, 5_250);
  await timedOut;
  await until(() => types.includes(FrameType.ping));
  const second = mesh.request("two", FrameKind.deliver, NOTHING);
  const down = expect(second).rejects.toMatchObject({ code: "mesh-down" });
  await pass(clock, 4_750);
  await down;
  expect(mesh.stats.timeouts).toBe(1);
  expect(mesh.stats.linksOpen).toBe(0);
});

test("a quiet link to a healthy peer is kept by pings", async () => {
  const clock = new FakeClock();
  const one = await startMesh("one", () => NOTHING, { clock });
  const two = await startMesh("two", (_, __, payload) => payload, { clock });
  meshes.push(one, two);
  introduce(one, "two", two.port);
  await one.request("two", FrameKind.deliver, NOTHING);
  for (let seconds = 0; seconds < 60; seconds += 1) {
    const before = one.stats.bytesReceived;
    clock.advance(1_000);
    if (seconds % 5 === 4) await until(() => one.stats.bytesReceived > before);
  }
  expect(String(await one.request("two", FrameKind.deliver, Buffer.from("still")))).toBe("still");
  expect(one.stats.dials).toBe(1);
});

test("an answer that comes after its deadline, or twice, or to nothing asked, is ignored", async () => {
  const late: (() => void)[] = [];
  const { mesh, clock } = await facing(
    politely("two", (socket, { sequence, type }) => {
      if (type !== FrameType.request) return;
      late.push(() => {
        for (const answered of [sequence, sequence, sequence + 77]) {
          sendFrame(socket, FrameType.answer, answered, Buffer.from(`${sequence}`));
        }
      });
    }),
  );
  const first = mesh.request("two", FrameKind.deliver, NOTHING);
  const timedOut = expect(first).rejects.toMatchObject({ code: "mesh-timeout" });
  await until(() => late.length === 1);
  await pass(clock, 5_250);
  await timedOut;
  const second = mesh.request("two", FrameKind.deliver, NOTHING);
  await until(() => late.length === 2);
  late[0]?.();
  late[1]?.();
  expect(String(await second)).toBe("2");
  expect(mesh.stats.malformed).toBe(0);
});

test.each([
  ["does not speak", () => undefined],
  [
    "says something else than hello",
    (socket: Parameters<typeof sendFrame>[0]) => sendFrame(socket, FrameType.pong, 0, NOTHING),
  ],
])("a peer that %s after the TLS handshake is given up", async (_, answer) => {
  const said: number[] = [];
  const { mesh, clock } = await facing((socket, { type }) => {
    said.push(type);
    answer(socket);
  });
  const request = mesh.request("two", FrameKind.deliver, NOTHING);
  const code = request.then(String, (error) => error.code);
  await until(() => said.length > 0);
  await pass(clock, 5_250);
  expect(["mesh-down", "mesh-timeout"]).toContain(await code);
  await until(() => mesh.stats.dialFailures === 1);
});

test.each([
  ["a hello of something else", FrameType.hello, Buffer.from("SSH-2.0-OpenSSH_9.2")],
  ["an answer before hello", FrameType.answer, NOTHING],
  ["a request on our own link", FrameType.request, NOTHING],
])("a dialled peer that sends %s is left with mesh-down", async (_, type, payload) => {
  const { mesh } = await facing((socket) => sendFrame(socket, type, 1, payload));
  await expect(mesh.request("two", FrameKind.deliver, NOTHING)).rejects.toMatchObject({
    code: "mesh-down",
  });
  expect(mesh.stats.malformed).toBe(1);
});

test.each([
  ["a frame with a wrong length", Buffer.from([0, 0, 0, 1, 1])],
  ["a frame longer than any", Buffer.from([0x7f, 0xff, 0xff, 0xff, 1, 1])],
  ["a frame of an unknown type", Buffer.from([0, 0, 0, 6, 200, 0, 0, 0, 0, 1])],
  ["an answer where only requests go", Buffer.from([0, 0, 0, 6, 2, 0, 0, 0, 0, 1])],
])("%s closes the link of its sender only", async (_, bytes) => {
  const { mesh, stillServes } = await node();
  await stillServes();
  const socket = await dialRaw(mesh.port);
  sendFrame(socket, FrameType.hello, 0, HELLO);
  await once(socket, "data");
  socket.write(bytes);
  await closed(socket);
  expect(mesh.stats.malformed).toBe(1);
  await stillServes();
  expect(mesh.stats.acceptedOpen).toBe(1);
});

test("a frame larger than a hello is refused before the hello", async () => {
  const { mesh, stillServes } = await node();
  const socket = await dialRaw(mesh.port);
  sendFrame(socket, FrameType.request, 1, Buffer.alloc(100_000));
  await closed(socket);
  expect(mesh.stats.malformed).toBe(1);
  await stillServes();
});

test("garbage after the TLS handshake and after the hello harms nobody else", async () => {
  const { mesh, stillServes } = await node();
  const garbage = fc.sample(fc.uint8Array({ minLength: 1, maxLength: 5_000 }), {
    seed: 42,
    numRuns: 40,
  });
  for (const [index, bytes] of garbage.entries()) {
    const socket = await dialRaw(mesh.port);
    if (index % 2 === 0) sendFrame(socket, FrameType.hello, 0, HELLO);
    socket.end(bytes);
    socket.resume();
    await closed(socket);
  }
  await stillServes();
  await until(() => mesh.stats.acceptedOpen === 1);
});

test("bytes that are not TLS harm nobody else", async () => {
  const { mesh, stillServes } = await node();
  for (const bytes of ["GET / HTTP/1.1\r\n\r\n", "\u0016\u0003\u0001", "\0".repeat(10_000)]) {
    const socket = createConnection(mesh.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.end(bytes);
    socket.resume();
    await closed(socket);
  }
  await stillServes();
  expect(mesh.stats.refused).toBeGreaterThan(0);
});

test("a client without a certificate of the authority reaches no handler", async () => {
  const { mesh, got, stillServes } = await node();
  const socket = await dialRaw(mesh.port, await makeTls());
  sendFrame(socket, FrameType.hello, 0, HELLO);
  sendFrame(socket, FrameType.request, 1, Buffer.from("let me in"), FrameKind.deliver);
  await closed(socket);
  expect(got).toEqual([]);
  await stillServes();
});

test("a peer that says no hello is closed after the deadline", async () => {
  const { mesh, clock } = await node();
  const socket = await dialRaw(mesh.port);
  await until(() => mesh.stats.acceptedOpen === 1);
  socket.resume();
  await pass(clock, 5_250);
  await closed(socket);
  await until(() => mesh.stats.acceptedOpen === 0);
});

test("frames on an older link of a peer that dialled again are not handled any more", async () => {
  const { mesh, got } = await node();
  const [old, recent] = [await dialRaw(mesh.port), await dialRaw(mesh.port)];
  for (const socket of [old, recent]) {
    sendFrame(socket, FrameType.hello, 0, HELLO);
    await once(socket, "data");
  }
  await closed(old);
  sendFrame(recent, FrameType.request, 1, Buffer.from("new"), FrameKind.deliver);
  await once(recent, "data");
  expect(got).toEqual(["rude new"]);
  recent.destroy();
});
