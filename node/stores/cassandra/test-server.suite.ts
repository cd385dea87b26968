/** The real Cassandra that the test runner started, and what the tests do to it. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { Client } from "cassandra-driver";
import type { CassandraOptions } from "./cassandra.ts";

function fromEnvironment(name: string): string {
  const value = process.env[name];
  if (value === undefined || value === "") {
    throw new Error(`${name} is not set: run npm test, which starts Cassandra`);
  }
  return value;
}

export const contactPoint = fromEnvironment("ZONDA_TEST_CASSANDRA");
export const DATACENTER = "datacenter1";

export const someKeyspace = (): string => `test_${randomUUID().replaceAll("-", "")}`;

/** Options for a keyspace; requests may take longer here than in a product: tests share a machine. */
export const optionsFor = (keyspace: string): CassandraOptions => ({
  contactPoints: [contactPoint],
  localDatacenter: DATACENTER,
  keyspace,
  replicationFactor: 1,
  requestTimeoutMs: 30_000,
});

/** Runs CQL behind the engine's back, each statement in order. @returns the last one's rows */
export async function meddle(...statements: readonly string[]) {
  const client = new Client({
    contactPoints: [contactPoint],
    localDataCenter: DATACENTER,
    socketOptions: { connectTimeout: 30_000 },
  });
  try {
    let rows: readonly Record<string, unknown>[] = [];
    for (const statement of statements) {
      rows = (await client.execute(statement, [], { readTimeout: 60_000 })).rows ?? [];
    }
    return rows;
  } finally {
    await client.shutdown();
  }
}

/** A way to the server on which each of its answers takes so much longer, and nothing passes while it is held. */
export async function slowLine(delayMs: number) {
  const [host = "", port = ""] = contactPoint.split(":");
  const sockets = new Set<Socket>();
  let isHeld = false;
  const join = (from: Socket, to: Socket, delay: number) => {
    sockets.add(from);
    if (isHeld) from.pause();
    from.on("data", (chunk: Buffer) => {
      setTimeout(() => to.writable && to.write(chunk), delay);
    });
    from.on("error", () => to.destroy());
    from.on("close", () => to.destroy());
  };
  const server = createServer((client) => {
    const there = connect({ host, port: Number(port) });
    join(client, there, 0);
    join(there, client, delayMs);
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  const { port: at } = server.address() as AddressInfo;
  return {
    contactPoints: [`127.0.0.1:${at}`],
    /** Runs `work` while it is held: connections are accepted, and nobody answers. */
    async whileHeld<T>(work: () => Promise<T>): Promise<T> {
      isHeld = true;
      for (const socket of sockets) socket.pause();
      try {
        return await work();
      } finally {
        isHeld = false;
        for (const socket of sockets) socket.resume();
      }
    },
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
