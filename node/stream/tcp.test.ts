import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { systemRandom } from "../base/random.ts";
import { listen } from "./listener.ts";
import type { ConnectionOwner } from "./tcp.ts";
import { Connection, Flusher } from "./tcp.ts";
import { Turns } from "./turns.ts";

class Owner implements ConnectionOwner {
  received = "";
  drained = 0;
  closed = 0;
  onBytes(chunk: Buffer): void {
    this.received += chunk.toString();
  }
  onDrained(): void {
    this.drained += 1;
  }
  onClosed(): void {
    this.closed += 1;
  }
}

async function openPair(waitingBytesMax = 1_000_000, flusher = new Flusher()) {
  const owner = new Owner();
  const { promise, resolve } = Promise.withResolvers<Connection>();
  const listener = createServer({ noDelay: true }, (socket) => {
    const connection = new Connection(socket, flusher, waitingBytesMax);
    connection.owner = owner;
    resolve(connection);
  });
  await once(listener.listen(0, "127.0.0.1"), "listening");
  const peer: Socket = connect((listener.address() as AddressInfo).port, "127.0.0.1");
  peer.on("error", () => {});
  const connection = await promise;
  return {
    owner,
    connection,
    peer,
    listener,
    [Symbol.dispose]() {
      peer.destroy();
      connection.destroy();
      listener.close();
    },
  };
}

const turn = () => new Promise((resolve) => setImmediate(resolve));

async function until(condition: () => boolean): Promise<void> {
  const startMs = performance.now();
  while (!condition()) {
    if (performance.now() - startMs > 30_000) throw new Error("Cannot wait any more");
    await turn();
  }
}

test("what is written in one turn goes out together and in order", async () => {
  using pair = await openPair();
  for (const text of ["one ", "two ", "three"]) pair.connection.write(Buffer.from(text));
  const [chunk] = await once(pair.peer, "data");
  expect(`${chunk}`).toBe("one two three");
  await until(() => pair.owner.drained === 1);
});

test("an end sends what was written before it, and nothing after it", async () => {
  using pair = await openPair();
  let text = "";
  pair.peer.on("data", (chunk) => {
    text += chunk;
  });
  pair.connection.write(Buffer.from("last words"));
  pair.connection.end();
  expect(pair.connection.write(Buffer.from("too late"))).toBe(false);
  await once(pair.peer, "close");
  expect(text).toBe("last words");
  await until(() => pair.owner.closed === 1);
});

test("writes behind a blocked one are counted, and drained in order", async () => {
  using pair = await openPair(100_000_000);
  pair.peer.pause();
  const { connection } = pair;
  const block = Buffer.alloc(4_000_000, "x");
  connection.write(block);
  connection.write(block);
  await turn();
  await until(() => connection.isBacklogged);
  connection.write(Buffer.from("end"));
  expect(connection.writesNeeded - connection.writesDone).toBe(2);
  let length = 0;
  let tail = "";
  pair.peer.on("data", (chunk: Buffer) => {
    length += chunk.length;
    tail = (tail + chunk.toString()).slice(-4);
  });
  pair.peer.resume();
  await until(() => length === 8_000_003);
  expect(tail).toBe("xend");
  await until(() => connection.writesDone === connection.writesNeeded);
});

test("a peer that reads nothing is dropped when its bound is reached, but one large piece may pass", async () => {
  using pair = await openPair(10_000);
  pair.peer.pause();
  expect(pair.connection.write(Buffer.alloc(50_000_000))).toBe(true);
  await until(() => pair.connection.isBacklogged);
  expect(pair.connection.write(Buffer.from("more"))).toBe(false);
  expect(pair.connection.write(Buffer.from("more"))).toBe(false);
  await until(() => pair.owner.closed === 1);
});

test("what the system takes at once is written as soon as it is flushed", async () => {
  using pair = await openPair();
  const { connection } = pair;
  connection.write(Buffer.from("hello"));
  expect(connection.writesNeeded - connection.writesDone).toBe(1);
  connection.flush();
  expect(connection.isBacklogged).toBe(false);
  expect(connection.writesNeeded - connection.writesDone).toBe(0);
  expect(pair.owner.drained).toBe(1);
});

test("what a dropped connection was given last never counts as written", async () => {
  using pair = await openPair();
  const { connection } = pair;
  connection.write(Buffer.from("lost"));
  connection.destroy();
  connection.flush();
  await until(() => pair.owner.closed === 1);
  expect(connection.writesDone).toBe(0);
  expect(pair.owner.drained).toBe(0);
});

test("those who send more than can be handled hold up neither the event loop nor others", async () => {
  const clock = new FakeClock();
  const flusher = new Flusher(new Turns(clock));
  const pairs = Array.from({ length: 16 }, () => openPair(1_000_000, flusher));
  const [other, ...floods] = await Promise.all(pairs);
  using stack = new DisposableStack();
  for (const pair of [other, ...floods]) if (pair !== undefined) stack.use(pair);
  const text = Array.from({ length: 50_000 }, (_, at) => `${at} `).join("");
  for (const { owner, peer } of floods) {
    const onBytes = owner.onBytes.bind(owner);
    owner.onBytes = (chunk) => {
      onBytes(chunk);
      clock.advance(chunk.length / 4_096); // A millisecond for 4 KiB.
    };
    peer.write(text);
  }
  const handled = () => floods.reduce((sum, { owner }) => sum + owner.received.length, 0);
  let [longestMs, sinceMs, handledBefore] = [0, 0, 0];
  await until(() => {
    longestMs = Math.max(longestMs, clock.monotonicMs() - sinceMs);
    sinceMs = clock.monotonicMs();
    if (handled() > 0 && other?.peer.bytesWritten === 0) other.peer.write("a word");
    if (other?.owner.received === "") handledBefore = handled();
    return handled() === floods.length * text.length;
  });
  for (const { owner } of floods) expect(owner.received).toBe(text);
  expect(longestMs).toBeLessThan(100);
  expect(other?.owner.received).toBe("a word");
  expect(handledBefore).toBeLessThan((floods.length * text.length) / 2);
});

test("a reset is told once", async () => {
  using pair = await openPair();
  pair.peer.resetAndDestroy();
  await until(() => pair.owner.closed === 1);
  expect(pair.connection.write(Buffer.from("x"))).toBe(false);
  pair.connection.destroy();
  pair.connection.end();
  await turn();
  expect(pair.owner.closed).toBe(1);
});

test("a port that is taken is a configuration error that names it", async () => {
  using pair = await openPair();
  const { port } = pair.listener.address() as AddressInfo;
  const again = listen({
    host: "127.0.0.1",
    port,
    directTls: undefined,
    limits: { unauthenticatedStanzaBytesMax: 1, stanzaBytesMax: 1, waitingBytesMax: 1 },
    gate: { admit: () => undefined, release() {}, onTransport() {} },
    random: systemRandom,
    clock: systemClock,
    domain: () => "localhost",
    onAcceptError() {},
  });
  await expect(again).rejects.toThrow(ConfigError);
  await expect(again).rejects.toThrow(new RegExp(`127.0.0.1:${port}: EADDRINUSE`));
});
