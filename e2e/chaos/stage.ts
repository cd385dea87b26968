/** The real cluster that a run is about, and how each fault is brought upon it. */
import { setTimeout as sleep } from "node:timers/promises";
import type { ClusterNode } from "../harness/cluster-node.ts";
import type { Cluster } from "../harness/start-cluster.ts";
import { isListening, waitFor } from "../harness/wait.ts";
import type { Disk } from "./disk.ts";
import type { Cut } from "./network.ts";
import { cut, mend, meshCuts } from "./network.ts";
import type { Fault } from "./plan.ts";

const REFILL_MS = 250;
/** Cassandra is started again, and reads its commit log. */
const STORE_BACK_MS = 300_000;

export class Stage {
  readonly #cluster: Cluster;
  readonly #disk: Disk | undefined;
  /** Told to end, so that a load balancer would send nobody to them. */
  readonly #leaving = new Set<ClusterNode>();

  /** @param disk of Cassandra, where it may be filled */
  constructor(cluster: Cluster, disk?: Disk) {
    this.#cluster = cluster;
    this.#disk = disk;
  }

  get running(): readonly ClusterNode[] {
    return this.#cluster.nodes.filter((node) => node.isRunning() && !this.#leaving.has(node));
  }

  get ports(): readonly number[] {
    return this.running.map(({ c2s }) => c2s);
  }

  /** Brings the fault, waits, and mends it. @returns what it was about, in words */
  async suffer({ kind, forMs, node: number }: Fault): Promise<string> {
    const node = this.running[number % this.running.length] as ClusterNode;
    const { etcd, cassandra } = this.#cluster;
    switch (kind) {
      case "kill":
        await node.kill("SIGKILL");
        await sleep(forMs);
        await this.#cluster.addNode();
        return node.name;
      case "pause":
        node.pause();
        await sleep(forMs);
        node.resume();
        return node.name;
      case "roll":
        await this.#cluster.addNode();
        this.#leaving.add(node);
        await node.kill("SIGTERM");
        await sleep(forMs);
        return node.name;
      case "cut-etcd":
        return this.#apart(node, [{ uid: node.uid, ports: etcd.clientPorts }], forMs);
      case "cut-store":
        return this.#apart(node, [{ uid: node.uid, ports: [cassandra.cqlPort] }], forMs);
      case "cut-mesh":
        return this.#apart(node, meshCuts(node, this.running), forMs);
      case "pause-etcd":
        etcd.pause();
        await sleep(forMs);
        etcd.resume();
        return "etcd";
      case "lose-etcd-leader": {
        const startAgain = await etcd.loseLeader();
        await sleep(forMs);
        await startAgain();
        return "etcd";
      }
      case "pause-store":
        cassandra.pause();
        await sleep(forMs);
        cassandra.resume();
        return "cassandra";
      case "fill-store":
        await this.#fillStore(forMs);
        return "cassandra";
      default:
        kind satisfies never;
        return "";
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

  async #apart(node: ClusterNode, cuts: readonly Cut[], forMs: number): Promise<string> {
    await cut(cuts);
    try {
      await sleep(forMs);
    } finally {
      await mend();
    }
    return node.name;
  }
}
