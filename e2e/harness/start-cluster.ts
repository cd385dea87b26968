/** A whole cluster on this machine: real etcd, real Cassandra, and nodes as separate processes. */
import { chmod, readdir } from "node:fs/promises";
import path from "node:path";
import type { KeyPair } from "../../node/config/certificates.ts";
import { makeAuthority } from "../../node/config/certificates.ts";
import type { Cassandra, CassandraOptions } from "./cassandra.ts";
import { startCassandra } from "./cassandra.ts";
import type { OwnConfig } from "./cluster-files.ts";
import { makeDomainCertificate, readOwn, save, saveAdminConfig } from "./cluster-files.ts";
import type { ClusterNode } from "./cluster-node.ts";
import { startClusterNode } from "./cluster-node.ts";
import type { EtcdMembers } from "./etcd-members.ts";
import { startEtcdMembers } from "./etcd-members.ts";
import { untilStopped } from "./lifetime.ts";
import type { Shared } from "./node-settings.ts";
import { freePort } from "./ports.ts";
import { scratch } from "./scratch.ts";
import { superviseCassandra } from "./supervised-cassandra.ts";

export interface ClusterOptions {
  /** How many nodes to begin with; 2 if left out. */
  readonly nodes?: number;
  /** Configuration file of all nodes; cluster.yaml beside this file if left out. */
  readonly config?: string;
  /** Further options for all nodes: "c2s.tls=required". */
  readonly sets?: readonly string[];
  /** Called with each line a node writes; nothing is kept if left out. */
  readonly onLine?: (node: string, line: string) => void;
  /** Each node runs as a user of its own, from this user id on; as we do if left out. */
  readonly firstUid?: number;
  /** Members of etcd; 1 if left out. */
  readonly etcdMembers?: number;
  readonly cassandra?: Pick<CassandraOptions, "heapMb" | "commitLog" | "dir">;
  /** Cassandra is kept in this folder, and started again when it ends by itself. */
  readonly cassandraDisk?: string | undefined;
}

export interface Cluster {
  readonly etcd: EtcdMembers;
  readonly cassandra: Cassandra;
  /** Every node ever started, dead ones too. */
  readonly nodes: readonly ClusterNode[];
  readonly domains: readonly string[];
  /** PEM file of the authority that clients must trust; none when the file brought its own. */
  readonly authority: string | undefined;
  /** A configuration file for `zonda user ...` against the cluster's data. */
  readonly adminConfig: string;
  /** Starts one more node; `preload` is loaded before its code. */
  readonly addNode: (preload?: string) => Promise<ClusterNode>;
  /** Ends all of it and removes what it kept. */
  readonly stop: () => Promise<void>;
}

const DEFAULT_CONFIG = path.join(import.meta.dirname, "cluster.yaml");

/** Starts it all and resolves once every node is ready. */
export async function startCluster(options: ClusterOptions = {}): Promise<Cluster> {
  const config = path.resolve(options.config ?? DEFAULT_CONFIG);
  const own = await readOwn(config);
  const { folder, remove } = await scratch("cluster");
  const nodes: ClusterNode[] = [];
  const servers: { stop(): Promise<void> }[] = [];
  const end = async () => {
    await Promise.all(nodes.map((node) => node.kill("SIGTERM")));
    await Promise.all(servers.map((server) => server.stop()));
    await remove();
  };
  const keep = <S extends { stop(): Promise<void> }>(server: S): S => {
    servers.push(server);
    return server;
  };
  try {
    const starting = [
      startEtcdMembers(options.etcdMembers ?? 1).then(keep),
      startStore(folder, options).then(keep),
    ] as const;
    await Promise.allSettled(starting); // If one fails, the other must still be known, to be ended.
    const [etcd, cassandra] = await Promise.all(starting);
    const { shared, mesh, authority } = await makeShared(folder, own, etcd, cassandra);
    if (options.firstUid !== undefined) await letOthersRead(folder);
    const addNode = nodeMaker({ options, config, folder, shared, mesh, nodes });
    await addNode(); // Alone, because it makes the tables that the others only use.
    await Promise.all(Array.from({ length: (options.nodes ?? 2) - 1 }, () => addNode()));
    nodes.sort((a, b) => a.name.localeCompare(b.name, "en", { numeric: true }));
    const adminConfig = await saveAdminConfig(folder, own, shared);
    const stop = untilStopped(end);
    return { etcd, cassandra, nodes, domains: own.domains, authority, adminConfig, addNode, stop };
  } catch (error) {
    await end();
    throw error;
  }
}

function startStore(folder: string, { cassandra, cassandraDisk }: ClusterOptions) {
  if (cassandraDisk === undefined) return startCassandra(cassandra);
  const log = path.join(folder, "cassandra.log"); // Not on a disk that may be full.
  return superviseCassandra({ ...cassandra, dir: cassandraDisk, log });
}

/** The nodes run as other users: keys of a test are no secret from them. */
async function letOthersRead(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const file of await readdir(folder)) await chmod(path.join(folder, file), 0o644);
}

async function makeShared(folder: string, own: OwnConfig, etcd: EtcdMembers, cassandra: Cassandra) {
  const mesh = await makeAuthority("zonda mesh");
  const tls = own.hasCertificate ? undefined : await makeDomainCertificate(folder, own.domains);
  const shared: Shared = {
    etcdEndpoints: etcd.endpoints,
    cqlPort: cassandra.cqlPort,
    datacenter: cassandra.datacenter,
    meshAuthority: await save(folder, "mesh-authority.crt", mesh.certificate),
    tls,
  };
  return { shared, mesh, authority: tls?.authority };
}

interface Making {
  readonly options: ClusterOptions;
  readonly config: string;
  readonly folder: string;
  readonly shared: Shared;
  readonly mesh: KeyPair;
  /** Where new nodes are put. */
  readonly nodes: ClusterNode[];
}

function nodeMaker({ options, config, folder, shared, mesh, nodes }: Making) {
  const { sets = [], onLine = () => undefined, firstUid } = options;
  let numbered = 0;
  return async (preload?: string): Promise<ClusterNode> => {
    numbered += 1;
    const name = `node-${numbered}`;
    const uid = firstUid === undefined ? undefined : firstUid + numbered;
    const ports = { c2s: await freePort(), http: await freePort(), mesh: await freePort() };
    const place = { name, folder: path.join(folder, name), ports };
    const start = {
      place,
      shared,
      authority: mesh,
      configFile: config,
      sets,
      onLine,
      uid,
      preload,
    };
    const node = await startClusterNode(start);
    nodes.push(node);
    return node;
  };
}
