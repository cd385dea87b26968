/** A service that is measured: Zonda's cluster with its stores, or another server's. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { Client } from "cassandra-driver";
import { makeCertificate } from "../bench/servers.ts";
import type { Server } from "../bench/usage.ts";
import type { PeerAccount } from "../harness/peers/contract.ts";
import { startEjabberdCluster } from "../harness/peers/ejabberd-cluster.ts";
import { scratch } from "../harness/scratch.ts";
import type { Cluster } from "../harness/start-cluster.ts";
import { startCluster } from "../harness/start-cluster.ts";
import { seed } from "./seed.ts";

export interface SiteNode {
  readonly pid: number;
  /** For clients, plain. */
  readonly port: number;
  readonly isRunning: () => boolean;
  /** SIGKILL. Resolves when it is gone. */
  readonly kill: () => Promise<void>;
}

/** What etcd and Cassandra did. */
export interface Operations {
  readonly puts: number;
  readonly deletions: number;
  readonly ranges: number;
  /** Commits: one carries many of the above. */
  readonly commits: number;
  readonly cassandra: number;
}

export interface Site {
  /** Every node ever started, dead ones too. */
  readonly nodes: readonly SiteNode[];
  /** Servers that the nodes need and clients do not see, by name. */
  readonly stores: Readonly<Record<string, Server>>;
  readonly operations?: () => Promise<Operations>;
  readonly stop: () => Promise<void>;
}

export interface SiteOptions {
  readonly nodes: number;
  readonly accounts: Iterable<PeerAccount>;
  /** Further options of Zonda's nodes: "c2s.tls=required". */
  readonly sets: readonly string[];
}

/** Limits that would turn a load from one machine away, and the archive, are off as in the bench. */
const SETS = [
  ...["c2s.negotiationSeconds=600", "c2s.detachedMax=20000", "modules.archive.enabled=false"],
  ...["drain.deadlineSeconds=5", "drain.disconnectsPerSecond=100000", "log.level=error"],
];

async function operationsOf({ etcd }: Cluster, cql: Client): Promise<Operations> {
  const page = await (await fetch(`${etcd.endpoints[0]}/metrics`)).text();
  const value = (name: string) => Number(new RegExp(`^${name} (\\S+)`, "m").exec(page)?.[1] ?? 0);
  const { rows } = await cql.execute("SELECT name, value FROM system_views.cql_metrics");
  const counted = rows.filter(({ name }) => /statements_executed/.test(String(name)));
  return {
    puts: value("etcd_mvcc_put_total"),
    deletions: value("etcd_mvcc_delete_total"),
    ranges: value("etcd_mvcc_range_total"),
    commits: value("etcd_server_proposals_applied_total"),
    cassandra: counted.reduce((sum, row) => sum + Number(row.value), 0),
  };
}

async function startZonda({ nodes, accounts, sets }: SiteOptions): Promise<Site> {
  const cassandra = { heapMb: 2_048 };
  const cluster = await startCluster({ nodes, sets: [...SETS, ...sets], cassandra });
  await seed(cluster.cassandra, accounts);
  const { cqlPort, datacenter } = cluster.cassandra;
  const contactPoints = [`127.0.0.1:${cqlPort}`];
  const cql = new Client({ contactPoints, localDataCenter: datacenter });
  return {
    nodes: cluster.nodes.map(({ pid, c2s, isRunning, kill }) => {
      return { pid, port: c2s, isRunning, kill: () => kill("SIGKILL") };
    }),
    stores: { etcd: cluster.etcd.members[0] as Server, Cassandra: cluster.cassandra },
    operations: () => operationsOf(cluster, cql),
    stop: async () => {
      await cql.shutdown();
      await cluster.stop();
    },
  };
}

async function startEjabberds({ nodes, accounts }: SiteOptions): Promise<Site> {
  const place = await scratch("scale-ejabberd");
  const certificate = await makeCertificate(place.folder);
  const folder = path.join(place.folder, "servers");
  await mkdir(folder);
  const options = { folder, accounts, archive: false, ...certificate };
  const cluster = await startEjabberdCluster(options, nodes);
  return {
    nodes: cluster.nodes.map(({ pid, plainPort, isRunning, kill, exited }) => {
      const end = async () => {
        kill("SIGKILL");
        await exited;
      };
      return { pid, port: plainPort, isRunning, kill: end };
    }),
    stores: {},
    stop: async () => {
      await cluster.stop();
      await place.remove();
    },
  };
}

/** How each starts, with all accounts in its store. */
export const SITES = {
  zonda: startZonda,
  ejabberd: startEjabberds,
} satisfies Record<string, (options: SiteOptions) => Promise<Site>>;

export type SiteName = keyof typeof SITES;
