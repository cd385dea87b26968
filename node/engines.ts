/** Chooses the engines that the configuration names, and reads the files they need. */
import type { Clock } from "./base/clock.ts";
import type { Logger } from "./base/log.ts";
import type { Configuration } from "./config/schema.ts";
import { readPem } from "./domain-certificate.ts";
import type { NodeRecord, RouteSet, Routes, RoutesEvents } from "./routes/contract.ts";
import type { AskOwnRoutes } from "./routes/members.ts";
import { openMemoryRoutes } from "./routes/memory.ts";
import type { Stores } from "./stores/contract.ts";

type TlsFiles = Configuration["store"]["cassandra"]["tls"];

const readTls = async (files: TlsFiles, option: string) => {
  if (files.authority === undefined) return undefined;
  return {
    authority: await readPem(files.authority, `${option}.authority`),
    ...(files.certificate !== undefined && {
      certificate: await readPem(files.certificate, `${option}.certificate`),
    }),
    ...(files.key !== undefined && { key: await readPem(files.key, `${option}.key`) }),
  };
};

/** Of the nodes among each other. @throws ConfigError when a file cannot be read */
export async function readMeshTls({ mesh }: Configuration) {
  const { authority = "", certificate = "", key = "" } = mesh.tls; // The schema has seen to them.
  return {
    authority: await readPem(authority, "mesh.tls.authority"),
    certificate: await readPem(certificate, "mesh.tls.certificate"),
    key: await readPem(key, "mesh.tls.key"),
  };
}

/** Reads what the engines will need, and connects to nothing. @throws ConfigError */
export async function readEngineFiles(configuration: Configuration): Promise<void> {
  const { store, routes } = configuration;
  if (store.engine === "cassandra") await readTls(store.cassandra.tls, "store.cassandra.tls");
  if (routes.engine === "memory") return;
  await readTls(routes.etcd.tls, "routes.etcd.tls");
  await readMeshTls(configuration);
}

/** A node that keeps its data itself has them for itself. @throws ConfigError when another node serves them */
export async function occupyData({ store, data }: Configuration): Promise<Disposable | undefined> {
  if (store.engine !== "sqlite") return undefined;
  const { occupy } = await import("./stores/sqlite/occupancy.ts");
  return occupy(data);
}

/** Engines are loaded on first use: a node alone needs neither driver. */
export async function openStores({ store, data }: Configuration, log: Logger): Promise<Stores> {
  if (store.engine === "sqlite") {
    const { openSqliteStores } = await import("./stores/sqlite/sqlite.ts");
    return openSqliteStores({ directory: data });
  }
  const { openCassandraStores } = await import("./stores/cassandra/cassandra.ts");
  const { tls, ...options } = store.cassandra;
  return openCassandraStores({ ...options, log, tls: await readTls(tls, "store.cassandra.tls") });
}

export interface RoutesSurroundings {
  readonly self: NodeRecord;
  readonly clock: Clock;
  readonly log: Logger;
  readonly events: RoutesEvents;
  /** Rejects when the node may not have heard. */
  notifySiblings(incarnation: string, user: string, set: RouteSet): Promise<unknown> | undefined;
  readonly askOwnRoutes: AskOwnRoutes;
  /** See RefusalParts. */
  isRefused(via: string, node: string): Promise<boolean>;
}

export async function openRoutes(
  { routes, c2s: { sessionsPerUserMax } }: Configuration,
  surroundings: RoutesSurroundings,
): Promise<Routes> {
  if (routes.engine === "memory") return openMemoryRoutes({ ...surroundings, sessionsPerUserMax });
  const { openEtcdRoutes } = await import("./routes/etcd.ts");
  const { tls: files, ...options } = routes.etcd;
  const tls = await readTls(files, "routes.etcd.tls");
  return openEtcdRoutes({
    ...options,
    ...surroundings,
    cacheUsersMax: routes.cacheUsersMax,
    sessionsPerUserMax,
    ...(tls !== undefined && { tls }),
  });
}
