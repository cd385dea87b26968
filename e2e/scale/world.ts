/** A real cluster with its load, and a meter of what a stretch of time costs each part of it. */
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "cassandra-driver";
import type { Server } from "../bench/usage.ts";
import { cpuMs, machineTicks, memoryKib } from "../bench/usage.ts";
import type { PeerAccount } from "../harness/peers/contract.ts";
import type { Cluster } from "../harness/start-cluster.ts";
import { startCluster } from "../harness/start-cluster.ts";
import type { Order, Report } from "../load/contract.ts";
import type { Fleet } from "../load/fleet.ts";
import { startFleet } from "../load/fleet.ts";
import type { Figures } from "./figures.ts";
import { seed } from "./seed.ts";

export interface WorldOptions {
  readonly nodes: number;
  readonly accounts: Iterable<PeerAccount>;
  readonly loadProcesses: number;
  /** Further options of the nodes: "c2s.tls=required". */
  readonly sets: readonly string[];
  readonly figures: Figures;
}

/** Limits that would turn a load from one machine away, and the archive, are off as in the bench. */
const SETS = [
  ...["c2s.negotiationSeconds=600", "c2s.detachedMax=20000", "modules.archive.enabled=false"],
  ...["drain.deadlineSeconds=5", "drain.disconnectsPerSecond=100000", "log.level=error"],
];

/** What etcd and Cassandra did. */
export interface Operations {
  readonly puts: number;
  readonly deletions: number;
  readonly ranges: number;
  /** Commits: one carries many of the above. */
  readonly commits: number;
  readonly cassandra: number;
}

export interface Cost extends Operations {
  readonly nodesMs: number;
  readonly etcdMs: number;
  readonly cassandraMs: number;
  readonly seconds: number;
}

export class World {
  readonly cluster: Cluster;
  readonly fleet: Fleet;
  readonly figures: Figures;
  readonly #cql: Client;

  constructor(cluster: Cluster, fleet: Fleet, figures: Figures) {
    this.cluster = cluster;
    this.fleet = fleet;
    this.figures = figures;
    const { cqlPort, datacenter } = cluster.cassandra;
    this.#cql = new Client({
      contactPoints: [`127.0.0.1:${cqlPort}`],
      localDataCenter: datacenter,
    });
  }

  get ports(): readonly number[] {
    return this.cluster.nodes.filter((node) => node.isRunning()).map(({ c2s }) => c2s);
  }

  /** Gives an order; failures become notes. */
  async order(order: Order): Promise<Report> {
    const report = await this.fleet.order(order);
    for (const failure of report.failures) this.figures.note(`${order.kind}: ${failure}`);
    return report;
  }

  /** Memory of all nodes, KiB. */
  get nodesKib(): number {
    return this.cluster.nodes.reduce((sum, { pid }) => sum + memoryKib({ pid }), 0);
  }

  /** Begins to measure. @returns what ends it */
  async meter(): Promise<() => Promise<Cost>> {
    const before = await this.#reading();
    return async () => {
      const after = await this.#reading();
      const since = (key: Exclude<keyof typeof after, "nodes">) => after[key] - before[key];
      // Of a node that ended meanwhile nothing is known any more.
      const nodesMs = [...after.nodes].reduce(
        (sum, [pid, ms]) => sum + ms - (before.nodes.get(pid) ?? 0),
        0,
      );
      const ours = nodesMs + since("etcdMs") + since("cassandraMs") + since("loadMs");
      this.figures.seeOthers((since("busy") - ours / 10) / since("total"));
      return {
        ...{ nodesMs, etcdMs: since("etcdMs") },
        ...{ cassandraMs: since("cassandraMs"), seconds: since("ms") / 1_000 },
        ...{ puts: since("puts"), deletions: since("deletions"), ranges: since("ranges") },
        ...{ commits: since("commits"), cassandra: since("cassandra") },
      };
    };
  }

  async #reading() {
    const { nodes, etcd, cassandra } = this.cluster;
    const running = nodes.filter((node) => node.isRunning());
    return {
      ...machineTicks(),
      ms: performance.now(),
      nodes: new Map(running.map(({ pid }) => [pid, cpuMs({ pid })])),
      etcdMs: cpuMs(etcd.members[0] as Server),
      cassandraMs: cpuMs(cassandra),
      loadMs: this.fleet.pids.reduce((sum, pid) => sum + cpuMs({ pid }), 0),
      ...(await this.#operations()),
    };
  }

  async #operations(): Promise<Operations> {
    const page = await (await fetch(`${this.cluster.etcd.endpoints[0]}/metrics`)).text();
    const value = (name: string) => Number(new RegExp(`^${name} (\\S+)`, "m").exec(page)?.[1] ?? 0);
    const query = "SELECT name, value FROM system_views.cql_metrics";
    const { rows } = await this.#cql.execute(query);
    const counted = rows.filter(({ name }) => /statements_executed/.test(String(name)));
    return {
      puts: value("etcd_mvcc_put_total"),
      deletions: value("etcd_mvcc_delete_total"),
      ranges: value("etcd_mvcc_range_total"),
      commits: value("etcd_server_proposals_applied_total"),
      cassandra: counted.reduce((sum, row) => sum + Number(row.value), 0),
    };
  }

  async stop(): Promise<void> {
    await this.#cql.shutdown();
    await this.fleet.stop();
    await this.cluster.stop();
  }
}

/** Starts a cluster whose store has the accounts, plays, and ends it. */
export async function withWorld(
  { nodes, accounts, loadProcesses, sets, figures }: WorldOptions,
  play: (world: World) => Promise<void>,
): Promise<void> {
  const cluster = await startCluster({
    nodes,
    sets: [...SETS, ...sets],
    cassandra: { heapMb: 2_048 },
  });
  const world = new World(cluster, startFleet(loadProcesses), figures);
  try {
    await seed(cluster.cassandra, accounts);
    await sleep(1_000);
    await play(world);
  } finally {
    await world.stop();
  }
}
