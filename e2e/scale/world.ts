/** A service with its load, and a meter of what a stretch of time costs each part of it. */
import { setTimeout as sleep } from "node:timers/promises";
import { cpuMs, machineTicks, memoryKib } from "../bench/usage.ts";
import { progress } from "../harness/progress.ts";
import type { Order, Report } from "../load/contract.ts";
import type { Fleet } from "../load/fleet.ts";
import { startFleet } from "../load/fleet.ts";
import type { Figures } from "./figures.ts";
import type { Operations, Site, SiteName, SiteOptions } from "./site.ts";
import { SITES } from "./site.ts";

export interface WorldOptions extends SiteOptions {
  /** Which service; Zonda if left out. */
  readonly server?: SiteName;
  readonly loadProcesses: number;
  readonly figures: Figures;
}

export interface Cost {
  readonly nodesMs: number;
  /** Of each store, by its name. */
  readonly storesMs: Readonly<Record<string, number>>;
  readonly seconds: number;
  /** Of a service whose stores can be asked. */
  readonly operations: Operations | undefined;
}

export class World {
  readonly site: Site;
  readonly fleet: Fleet;
  readonly figures: Figures;

  constructor(site: Site, fleet: Fleet, figures: Figures) {
    this.site = site;
    this.fleet = fleet;
    this.figures = figures;
  }

  get ports(): readonly number[] {
    return this.site.nodes.filter((node) => node.isRunning()).map(({ port }) => port);
  }

  /** Gives an order; failures become notes. */
  async order(order: Order): Promise<Report> {
    const report = await this.fleet.order(order);
    for (const failure of report.failures) this.figures.note(`${order.kind}: ${failure}`);
    return report;
  }

  /** Memory of all nodes, KiB. */
  get nodesKib(): number {
    return this.site.nodes.reduce((sum, node) => sum + memoryKib(node), 0);
  }

  /** Memory of what generates the load, KiB. */
  get loadKib(): number {
    return this.fleet.pids.reduce((sum, pid) => sum + memoryKib({ pid }), 0);
  }

  /** Says from time to time how much memory it all has. @returns what ends it */
  watch(what: string): () => void {
    const mib = (kib: number) => `${Math.round(kib / 1_024)} MiB`;
    return progress(what, () => `nodes ${mib(this.nodesKib)}, load ${mib(this.loadKib)}`);
  }

  /** Begins to measure. @returns what ends it */
  async meter(): Promise<() => Promise<Cost>> {
    const before = await this.#reading();
    return async () => {
      const after = await this.#reading();
      // Of a node that ended meanwhile nothing is known any more.
      const nodesMs = [...after.nodes].reduce(
        (sum, [pid, ms]) => sum + ms - (before.nodes.get(pid) ?? 0),
        0,
      );
      const storesMs = difference(after.stores, before.stores);
      const loadMs = after.loadMs - before.loadMs;
      const ours = Object.values(storesMs).reduce((sum, ms) => sum + ms, nodesMs + loadMs);
      const total = after.total - before.total;
      this.figures.seeOthers((after.busy - before.busy - ours / 10) / total);
      const { operations } = after;
      return {
        ...{ nodesMs, storesMs, seconds: (after.ms - before.ms) / 1_000 },
        operations: operations && difference(operations, before.operations as Operations),
      };
    };
  }

  async #reading() {
    const { nodes, stores, operations } = this.site;
    const running = nodes.filter((node) => node.isRunning());
    return {
      ...machineTicks(),
      ms: performance.now(),
      nodes: new Map(running.map(({ pid }) => [pid, cpuMs({ pid })])),
      stores: Object.fromEntries(
        Object.entries(stores).map(([name, server]) => [name, cpuMs(server)]),
      ),
      loadMs: this.fleet.pids.reduce((sum, pid) => sum + cpuMs({ pid }), 0),
      operations: await operations?.(),
    };
  }
}

function difference<T extends Readonly<Record<keyof T, number>>>(after: T, before: T): T {
  const entries = Object.entries<number>(after);
  const since = entries.map(([name, value]) => [name, value - before[name as keyof T]]);
  return Object.fromEntries(since) as T;
}

/** Starts a service whose store has the accounts, plays, and ends it. */
export async function withWorld(
  { server = "zonda", loadProcesses, figures, ...options }: WorldOptions,
  play: (world: World) => Promise<void>,
): Promise<void> {
  const done = progress(`${server}, ${options.nodes} nodes: start`);
  const site = await SITES[server](options);
  done();
  const fleet = startFleet(loadProcesses);
  try {
    await sleep(1_000);
    await play(new World(site, fleet, figures));
  } finally {
    await fleet.stop();
    await site.stop();
  }
}
