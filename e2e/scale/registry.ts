/** What etcd bears: many nodes that only live, then one node that has very many routes. */
import { setTimeout as sleep } from "node:timers/promises";
import { systemClock } from "../../node/base/clock.ts";
import type { EtcdRoutes } from "../../node/routes/etcd.ts";
import { openEtcdRoutes } from "../../node/routes/etcd.ts";
import { cpuMs, machineTicks, memoryKib } from "../bench/usage.ts";
import type { Etcd } from "../harness/etcd.ts";
import { startEtcd } from "../harness/etcd.ts";
import { DOMAIN } from "../harness/peers/contract.ts";
import { progress } from "../harness/progress.ts";
import type { Figures } from "./figures.ts";

export interface RegistrySettings {
  readonly nodes: number;
  readonly routes: number;
  readonly seconds: number;
}

const JOIN_MS = 120_000;
const POLL_MS = 20;
const IN_FLIGHT = 512;
const DB_BYTES = /^etcd_mvcc_db_total_size_in_use_in_bytes (\S+)/m;

function join(etcd: Etcd, at: number): Promise<EtcdRoutes> {
  const name = `node-${at}`;
  return openEtcdRoutes({
    ...{ endpoints: [etcd.endpoint], requestTimeoutMs: 30_000, prefix: "/zonda/" },
    self: {
      ...{ incarnation: `${name}-0123456789abcdef`, name, meshHost: "127.0.0.1", meshPort: 5280 },
      ...{ version: "0.1.0", zone: "default" },
    },
    ...{ leaseSeconds: 30, clock: systemClock, cacheUsersMax: 1_000 },
    events: {
      onNodeUp: () => undefined,
      onNodeLapsed: () => undefined,
      onNodeBack: () => undefined,
      onNodeDown: () => undefined,
      onRouteLost: () => undefined,
      onNotice: () => undefined,
      onLeaseLost: () => undefined,
      onLeaseRegained: () => undefined,
    },
    notifySiblings: () => undefined,
  });
}

async function databaseBytes({ endpoint }: Etcd): Promise<number> {
  const page = await (await fetch(`${endpoint}/metrics`)).text();
  return Number(DB_BYTES.exec(page)?.[1] ?? Number.NaN);
}

async function untilAllKnow(all: readonly EtcdRoutes[]): Promise<void> {
  const untilMs = performance.now() + JOIN_MS;
  while (all.some(({ nodes }) => nodes.size < all.length - 1)) {
    if (performance.now() > untilMs) throw new Error("Cannot go on: nodes do not know each other");
    await sleep(POLL_MS);
  }
}

/** Nodes that hold their leases and watch each other. */
async function living(etcd: Etcd, all: EtcdRoutes[], settings: RegistrySettings, figures: Figures) {
  const done = progress(`${settings.nodes} nodes join`);
  while (all.length < settings.nodes - 1) all.push(await join(etcd, all.length));
  await untilAllKnow(all);
  done();
  const [machine, before] = [machineTicks(), cpuMs(etcd)];
  const own = cpuMs(process);
  await sleep(settings.seconds * 1_000);
  const used = cpuMs(etcd) - before;
  const after = machineTicks();
  const ours = cpuMs(process) - own; // etcd is a child of this process.
  figures.seeOthers((after.busy - machine.busy - ours / 10) / (after.total - machine.total));
  const column = `${settings.nodes} nodes`;
  figures.put("etcd, CPU ms a second, nodes idle", column, used / settings.seconds);
  const startedMs = performance.now();
  const [joining, joiningMs] = [all.length, cpuMs(etcd)];
  all.push(await join(etcd, joining));
  await untilAllKnow(all);
  figures.put("A node joins, all know it, ms", column, performance.now() - startedMs);
  figures.put("A node joins, CPU ms of etcd", column, cpuMs(etcd) - joiningMs);
}

/** One node binds them all, and leaves. */
async function binding(etcd: Etcd, all: readonly EtcdRoutes[], count: number, figures: Figures) {
  const column = `${count} routes`;
  const node = all.at(-1) as EtcdRoutes;
  const [memory, bytes] = [memoryKib(etcd), await databaseBytes(etcd)];
  const before = cpuMs(etcd);
  const startedMs = performance.now();
  let next = 0;
  const lane = async () => {
    while (next < count) {
      const user = `user-${next++}@${DOMAIN}`;
      const route = { user, resource: "phone.0123456789", available: true, priority: 0 };
      const holder = {
        node: `node-${all.length - 1}-0123456789abcdef`,
        session: `${next}-session`,
      };
      await node.bind({ ...route, ...holder });
    }
  };
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  const seconds = (performance.now() - startedMs) / 1_000;
  figures.put("Routes bound by one node, 1/s", column, count / seconds);
  figures.put("Route bound, CPU µs of etcd", column, ((cpuMs(etcd) - before) * 1_000) / count);
  figures.put(
    "Route, bytes of etcd's memory",
    column,
    ((memoryKib(etcd) - memory) * 1_024) / count,
  );
  figures.put(
    "Route, bytes of etcd's database",
    column,
    ((await databaseBytes(etcd)) - bytes) / count,
  );
  const leaveMs = performance.now();
  await node[Symbol.asyncDispose]();
  figures.put("Its lease is given back, ms", column, performance.now() - leaveMs);
}

export async function registry(settings: RegistrySettings, figures: Figures): Promise<void> {
  const etcd = await startEtcd();
  const all: EtcdRoutes[] = [];
  try {
    await living(etcd, all, settings, figures);
    await binding(etcd, all, settings.routes, figures);
  } finally {
    await Promise.all(all.map((node) => node[Symbol.asyncDispose]()));
    await etcd.stop();
  }
}
