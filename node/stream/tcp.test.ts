import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { expect, test } from "vitest";
import { systemClock } from "../base/clock.ts";
import { ConfigError } from "../base/errors.ts";
import { systemRandom } from "../base/random.ts";
import { listen } from "./listener.ts";
import type { ConnectionOwner } from "./tcp.ts";
import { Connection, Flusher } from "./tcp.ts";

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

async function openPair(waitingBytesMax = 1_000_000) {
  const owner = new Owner();
  const { promise, resolve } = Promise.withResolvers<Connection>();
  const listener = createServer({ noDelay: true }, (socket) => {
    const connection = new Connection(socket, new Flusher(), waitingBytesMax);
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
