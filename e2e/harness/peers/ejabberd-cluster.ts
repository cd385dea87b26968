/**
 * ejabberd's own cluster on loopback: nodes that share a cookie, joined as its documentation says
 * (`ejabberdctl join_cluster`), which copies every table, so that each node has all accounts and rosters.
 */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { untilStopped } from "../lifetime.ts";
import { freePort } from "../ports.ts";
import type { Running } from "../process.ts";
import { startProcess } from "../process.ts";
import { untilListening } from "../wait.ts";
import type { PeerOptions } from "./contract.ts";
import type { EjabberdNode } from "./ejabberd.ts";
import { erlang, startEjabberd } from "./ejabberd.ts";
import { peerPackages } from "./packages.ts";

export interface EjabberdCluster {
  readonly nodes: readonly EjabberdNode[];
  readonly stop: () => Promise<void>;
}

/** Tells Erlang's nodes where the others listen. A machine that has one keeps its own. */
async function startEpmd(folder: string, port: number): Promise<Running> {
  const { folder: programs, environment } = await erlang(await peerPackages());
  const running = await startProcess({
    name: "epmd",
    command: path.join(programs, "epmd"),
    args: ["-port", `${port}`, "-address", "127.0.0.1"],
    log: path.join(folder, "epmd.log"),
    environment,
  });
  await untilListening(port, { what: "epmd", deadlineMs: 10_000, unless: running.failed });
  return running;
}

/** One after the other: each joins the first. @throws Error with the end of a log */
export async function startEjabberdCluster(
  options: PeerOptions,
  count: number,
): Promise<EjabberdCluster> {
  const epmdPort = await freePort();
  const epmd = await startEpmd(options.folder, epmdPort);
  const nodes: EjabberdNode[] = [];
  const stop = untilStopped(async () => {
    await Promise.all(nodes.map((node) => node.stop()));
    await epmd.stop();
  });
  const nameOf = (at: number) => `ejabberd${at}@127.0.0.1`;
  try {
    for (let at = 1; at <= count; at++) {
      const folder = path.join(options.folder, `node-${at}`);
      await mkdir(folder, { recursive: true });
      const member = { name: nameOf(at), epmdPort, ...(at > 1 && { joins: nameOf(1) }) };
      nodes.push(await startEjabberd({ ...options, folder }, { member }));
    }
  } catch (error) {
    await stop();
    throw error;
  }
  return { nodes, stop };
}
