/** The real cluster that a run is about, and how faults are brought upon it, one or several at once. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterNode } from "../harness/cluster-node.ts";
import type { Cluster } from "../harness/start-cluster.ts";
import { isListening, waitFor } from "../harness/wait.ts";
import type { Burdens } from "./burdens.ts";
import type { Disk } from "./disk.ts";
import type { Cut } from "./network.ts";
import { cut, meshCuts } from "./network.ts";
import type { Fault, FaultKind } from "./plan.ts";

const REFILL_MS = 250;
/** Cassandra is started again, and reads its commit log. */
const STORE_BACK_MS = 300_000;
/** A node that starts while etcd or the store is away gives up at last; whatever keeps it starts it again. */
const STARTS_MAX = 4;

/** What is not about a node. */
const SHARED: Readonly<Partial<Record<FaultKind, string>>> = {
  "pause-etcd": "etcd",
  "lose-etcd-leader": "etcd",
  "etcd-gone": "etcd",
  "pause-store": "cassandra",
  "fill-store": "cassandra",
};

export interface Trouble {
  /** What it is about, in words. */
  readonly about: string;
  /** Brings the fault, waits, and mends it. */
  readonly suffer: () => Promise<void>;
}

export class Stage {
  readonly #cluster: Cluster;
  readonly #burdens: Burdens;
  readonly #disk: Disk | undefined;
  /** Told to end, so that a load balancer would send nobody to them. */
  readonly #leaving = new Set<ClusterNode>();

  /** @param disk of Cassandra, where it may be filled */
  constructor(cluster: Cluster, burdens: Burdens, disk?: Disk) {
    this.#cluster = cluster;
    this.#burdens = burdens;
    this.#disk = disk;
  }

  get running(): readonly ClusterNode[] {
    return this.#cluster.nodes.filter((node) => node.isRunning() && !this.#leaving.has(node));
  }

  get ports(): readonly number[] {
    return this.running.map(({ c2s }) => c2s);
  }

  /** @returns nothing where no node can bear it beside what is wrong already */
  take({ kind, forMs, node: number }: Fault): Trouble | undefined {
    const nodes = this.running.filter(({ name }) => this.#burdens.bears(kind, name));
    const node = nodes[number % nodes.length];
    if (node === undefined) return undefined;
    const end = this.#burdens.begin(kind, node.name);
    return {
      about: SHARED[kind] ?? node.name,
      suffer: () => this.#suffer(kind, node, forMs).finally(end),
    };
  }

  async #suffer(kind: FaultKind, node: ClusterNode, forMs: number): Promise<void> {
    const { etcd, cassandra } = this.#cluster;
    switch (kind) {
      case "kill":
        await node.kill("SIGKILL");
        await sleep(forMs);
        await this.#addNode();
        return;
      case "pause":
        node.pause();
        await sleep(forMs);
        node.resume();
        return;
      case "roll":
        await this.#addNode();
        this.#leaving.add(node);
        await node.kill("SIGTERM");
        await sleep(forMs);
        return;
      case "cut-etcd":
        return apart([{ uid: node.uid, ports: etcd.clientPorts }], forMs);
      case "cut-store":
        return apart([{ uid: node.uid, ports: [cassandra.cqlPort] }], forMs);
      case "cut-mesh": {
        const all = this.#cluster.nodes.filter((one) => one.isRunning());
        return apart(meshCuts(node, all), forMs);
      }
      case "pause-etcd":
      case "etcd-gone":
        etcd.pause();
        await sleep(forMs);
        etcd.resume();
        return;
      case "lose-etcd-leader": {
        const startAgain = await etcd.loseLeader();
        await sleep(forMs);
        await startAgain();
        return;
      }
      case "pause-store":
        cassandra.pause();
        await sleep(forMs);
        cassandra.resume();
        return;
      case "fill-store":
        return this.#fillStore(forMs);
      default:
        kind satisfies never;
    }
  }

  async #addNode(): Promise<void> {
    for (let start = 1; ; start += 1) {
      try {
        await this.#cluster.addNode();
        return;
      } catch (error) {
        if (start === STARTS_MAX) throw error;
      }
    }
  }

  /** Nobody lends a hand but whoever makes room, and whatever starts Cassandra again. */
  async #fillStore(forMs: number): Promise<void> {
    const disk = this.#disk;
    if (disk === undefined) throw new Error("Cannot fill the store's disk: it has none of its own");
    for (const untilMs = performance.now() + forMs; performance.now() < untilMs; ) {
      await disk.fill();
      await sleep(REFILL_MS);
    }
    await disk.empty();
    const { cqlPort } = this.#cluster.cassandra;
    const isBack = async () => (await isListening("127.0.0.1", cqlPort)) || undefined;
    await waitFor(isBack, { what: "Cassandra with room again", deadlineMs: STORE_BACK_MS });
  }
}

async function apart(cuts: readonly Cut[], forMs: number): Promise<void> {
  const mend = await cut(cuts);
  try {
    await sleep(forMs);
  } finally {
    await mend();
  }
}
