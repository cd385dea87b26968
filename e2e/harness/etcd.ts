/** A real etcd, with fsync, for tests and for `npm run cluster`: one member, alone or of several. */
import path from "node:path";
import { goBuild } from "./go-build.ts";
import { freePort } from "./ports.ts";
import { startProcess } from "./process.ts";
import { scratch } from "./scratch.ts";
import type { Server, ServerOptions } from "./server.ts";
import { serverOf } from "./server.ts";
import { isListening, waitFor } from "./wait.ts";

export interface EtcdOptions extends ServerOptions {
  /** Client port; a free one if left out. */
  readonly port?: number;
  /** Which one of several it is; alone if left out. */
  readonly member?: EtcdMember;
}

export interface EtcdMember {
  readonly name: string;
  readonly peerPort: number;
  /** All members, as etcd's --initial-cluster wants them. */
  readonly initialCluster: string;
}

export interface Etcd extends Server {
  readonly clientPort: number;
  /** "http://127.0.0.1:PORT" */
  readonly endpoint: string;
}

/** Builds etcd unless it is in the cache. @returns the path of the program */
export async function etcdProgram(): Promise<string> {
  const folder = await goBuild({
    name: "etcd",
    about: "etcd 3.6.7 (about 2 minutes the first time)",
    packages: ["go.etcd.io/etcd/server/v3"],
  });
  return path.join(folder, "server"); // Its package is called that.
}

/** Starts etcd and resolves once it takes requests. @throws Error with the end of its log */
export async function startEtcd(options: EtcdOptions = {}): Promise<Etcd> {
  const program = await etcdProgram();
  const { address = "127.0.0.1", netns, isUp = isListening } = options;
  const place = await scratch("etcd", options.dir);
  const { folder } = place;
  const clientPort = options.port ?? (await freePort());
  const endpoint = `http://${address}:${clientPort}`;
  const { name = "etcd", peerPort = await freePort(), initialCluster } = options.member ?? {};
  const peer = `http://${address}:${peerPort}`;
  const running = await startProcess({
    name: "etcd",
    command: program,
    args: [
      `--name=${name}`,
      `--data-dir=${path.join(folder, "data")}`,
      `--listen-client-urls=${endpoint}`,
      `--advertise-client-urls=${endpoint}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=${initialCluster ?? `${name}=${peer}`}`,
      "--log-level=warn",
    ],
    log: options.log ?? path.join(folder, "etcd.log"),
    netns,
  });
  const server = serverOf(running, place);
  try {
    // It opens the client port only after it has elected itself.
    const ask = async () => (await isUp(address, clientPort)) || undefined;
    await waitFor(ask, { what: "etcd", deadlineMs: 60_000, unless: running.failed });
  } catch (error) {
    await server.stop();
    throw error;
  }
  return { ...server, clientPort, endpoint };
}
