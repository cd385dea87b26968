/** The real Cassandra that the test runner started, and what the tests do to it. */
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import type { AddressInfo, Socket } from "node:net";
import { connect, createServer } from "node:net";
import { setImmediate } from "node:timers/promises";
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
const serverPid = Number(fromEnvironment("ZONDA_TEST_CASSANDRA_PID"));

export const someKeyspace = (): string => `test_${randomUUID().replaceAll("-", "")}`;

/** Options for a keyspace; requests may take longer here than in a product: tests share a machine. */
export const optionsFor = (keyspace: string): CassandraOptions => ({
  contactPoints: [contactPoint],
  localDatacenter: DATACENTER,
  keyspace,
  replicationFactor: 1,
  requestTimeoutMs: 10_000,
});

/** Runs CQL behind the engine's back, each statement in order. @returns the last one's rows */
export async function meddle(...statements: readonly string[]) {
  const client = new Client({ contactPoints: [contactPoint], localDataCenter: DATACENTER });
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

/** Whether every thread of a process is stopped: state "T" after its name, in proc(5). */
function isStopped(pid: number): boolean {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).every((task) =>
    /\) T /.test(readFileSync(`${tasks}/${task}/stat`, "utf8")),
  );
}

/** Runs `work` while the server is stopped in its tracks: it accepts, and never answers. */
export async function whilePaused<T>(work: () => Promise<T>): Promise<T> {
  process.kill(serverPid, "SIGSTOP");
  try {
    while (!isStopped(serverPid)) await setImmediate(); // Its threads stop one after the other.
    return await work();
  } finally {
    process.kill(serverPid, "SIGCONT");
  }
}

/** A way to the server on which each of its answers takes so much longer. */
export async function slowLine(target: string, delayMs: number) {
  const [host = "", port = ""] = target.split(":");
  const sockets = new Set<Socket>();
  const server = createServer((client) => {
    const there = connect({ host, port: Number(port) });
    client.pipe(there);
    there.on("data", (chunk: Buffer) => {
      setTimeout(() => client.writable && client.write(chunk), delayMs);
    });
    for (const [one, other] of [
      [client, there],
      [there, client],
    ] as const) {
      sockets.add(one);
      one.on("error", () => other.destroy());
      one.on("close", () => other.destroy());
    }
  });
  await once(server.listen(0, "127.0.0.1"), "listening");
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
