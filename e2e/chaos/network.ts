/**
 * A network namespace of its own, in which each node runs as a user of its own, so that packet
 * filters can tell whose packets they are: partitions one-way and both, by nftables.
 */
import { readdir } from "node:fs/promises";
import type { ClusterNode } from "../harness/cluster-node.ts";
import { run } from "../harness/run.ts";
import { requireTools } from "../harness/tools.ts";

const PREFIX = "zonda-chaos-";
const TABLE = "inet chaos";
/** First user id of nodes: no account of the machine has it. */
export const FIRST_UID = 61_000;

const NFT = {
  command: "nft",
  debian: "nftables",
  advice: "install nftables (Debian: apt-get install nftables)",
};
const IP = {
  command: "ip",
  debian: "iproute2",
  advice: "install iproute2 (Debian: apt-get install iproute2)",
};

/** Makes the namespace, with loopback. @returns its name */
export async function makeNetwork(): Promise<string> {
  if (process.getuid?.() !== 0) {
    throw new Error("Cannot make a network namespace: run as root (partitions need it)");
  }
  await requireTools([NFT, IP]);
  const name = `${PREFIX}${process.pid}`;
  await run("ip", ["netns", "add", name]);
  await run("ip", ["-n", name, "link", "set", "lo", "up"]);
  return name;
}

export async function removeNetwork(name: string): Promise<void> {
  const names: readonly string[] = await readdir("/run/netns").catch(() => []);
  if (names.includes(name)) await run("ip", ["netns", "delete", name]);
}

/** Packets of one node that are dropped. */
export interface Cut {
  readonly uid: number;
  /** Ports it can no longer reach, and on which it can no longer answer. */
  readonly ports: readonly number[];
}

/** The node and all others of these no longer reach each other, over the mesh. */
export function meshCuts(node: ClusterNode, nodes: readonly ClusterNode[]): readonly Cut[] {
  const others = nodes.filter((one) => one !== node);
  return [
    { uid: node.uid, ports: others.map(({ mesh }) => mesh) },
    ...others.map(({ uid }) => ({ uid, ports: [node.mesh] })),
  ];
}

/** Makes the table of rules, empty, in the network that this process is in. */
export async function openFilters(): Promise<void> {
  await requireTools([NFT]);
  await nft(
    `add table ${TABLE}`,
    `delete table ${TABLE}`, // Outside of a namespace, one may be left of who was killed.
    `add table ${TABLE}`,
  );
}

let chains = 0;

/** Drops these packets from now on, established connections included. @returns lets them pass again */
export async function cut(cuts: readonly Cut[]): Promise<() => Promise<void>> {
  chains += 1;
  const chain = `${TABLE} cut-${chains}`; // Of its own: others may have cut something else.
  const rules = cuts
    .filter(({ ports }) => ports.length > 0)
    .flatMap(({ uid, ports }) => {
      const set = `{ ${ports.join(", ")} }`;
      const whose = `add rule ${chain} meta skuid ${uid}`;
      return [`${whose} tcp dport ${set} drop`, `${whose} tcp sport ${set} drop`];
    });
  await nft(`add chain ${chain} { type filter hook output priority 0; }`, ...rules);
  return () => nft(`flush chain ${chain}`, `delete chain ${chain}`);
}

/** Takes the table away, where no namespace goes with it. */
export async function closeFilters(): Promise<void> {
  await nft(`delete table ${TABLE}`);
}

async function nft(...lines: readonly string[]): Promise<void> {
  await run("nft", ["-f", "-"], { input: `${lines.join("\n")}\n` });
}
