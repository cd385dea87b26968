/** One server under test with its load, and how its use is taken over a stretch of time. */
import { mkdir } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Peer } from "../harness/peers/contract.ts";
import { progress } from "../harness/progress.ts";
import { scratch } from "../harness/scratch.ts";
import type { Counters, Group, Order, Report, Target } from "../load/contract.ts";
import type { Fleet } from "../load/fleet.ts";
import { startFleet } from "../load/fleet.ts";
import type { PopulationSize } from "./population.ts";
import { population } from "./population.ts";
import type { ServerName } from "./servers.ts";
import { makeCertificate, SERVERS } from "./servers.ts";
import type { Sheet } from "./sheet.ts";
import { slowShare } from "./steadiness.ts";
import { cpuMs, machineTicks } from "./usage.ts";

export interface Settings {
  /** Sessions of the main figures; growth goes from a quarter of it to four times as many. */
  readonly sessions: number;
  readonly idleSessions: number;
  readonly idleSeconds: number;
  /** How long each stretch of steady load is measured. */
  readonly seconds: number;
  /** Messages a second of the latency figures, for every server. */
  readonly rate: number;
  readonly loadProcesses: number;
}

/** What a stretch of load cost the server. */
export interface Stretch {
  readonly cpuMs: number;
  readonly seconds: number;
  readonly counters: Counters;
}

const LOGINS_AT_ONCE = 8;
const WARM_UP_SECONDS = 1.5;

export class Scene {
  readonly name: ServerName;
  readonly peer: Peer;
  readonly fleet: Fleet;
  readonly sheet: Sheet;
  readonly settings: Settings;

  constructor(name: ServerName, peer: Peer, fleet: Fleet, sheet: Sheet, settings: Settings) {
    this.name = name;
    this.peer = peer;
    this.fleet = fleet;
    this.sheet = sheet;
    this.settings = settings;
  }

  target(tls: boolean): Target {
    return { ports: [tls ? this.peer.tlsPort : this.peer.plainPort], tls };
  }

  /** Gives an order; failures become notes. */
  async order(order: Order): Promise<Report> {
    const report = await Promise.race([this.fleet.order(order), this.peer.failed]);
    for (const failure of report.failures) {
      this.sheet.note(`${this.name}, ${order.kind}: ${failure}`);
    }
    return report;
  }

  /** @returns CPU milliseconds of the server per login, over all that succeeded */
  async connect(users: Group, tls: boolean, acks = false): Promise<number> {
    const inFlight = LOGINS_AT_ONCE;
    const before = cpuMs(this.peer);
    const { done } = await this.order({
      ...{ kind: "connect", target: this.target(tls), users, inFlight, acks },
    });
    const size = users.to - users.from;
    if (done < size) this.sheet.note(`${this.name}: ${size - done} of ${size} logins failed`);
    return (cpuMs(this.peer) - before) / done;
  }

  /** What the load that runs already costs, over `seconds` after a warm-up. */
  async stretch(seconds: number): Promise<Stretch> {
    await sleep(WARM_UP_SECONDS * 1_000);
    const machine = machineTicks();
    const before = await this.order({ kind: "counters" });
    const [cpuBefore, startedMs] = [cpuMs(this.peer), performance.now()];
    await sleep(seconds * 1_000);
    const used = cpuMs(this.peer) - cpuBefore;
    const took = (performance.now() - startedMs) / 1_000;
    const after = await this.order({ kind: "counters" });
    this.#noteOthers(machine, used + after.cpuMs - before.cpuMs);
    const counters = { ...after.counters };
    for (const key of Object.keys(counters) as (keyof Counters)[]) {
      counters[key] -= before.counters[key];
    }
    return { cpuMs: used, seconds: took, counters };
  }

  #noteOthers(before: ReturnType<typeof machineTicks>, oursMs: number): void {
    const after = machineTicks();
    const total = after.total - before.total;
    const others = (after.busy - before.busy - oursMs / 10) / total;
    this.sheet.seeOthers(this.name, Math.max(0, others));
  }
}

export interface SceneOptions {
  readonly name: ServerName;
  readonly sheet: Sheet;
  readonly settings: Settings;
  readonly size: PopulationSize;
  readonly archive: boolean;
}

/** Starts a server and its load, runs `play`, and ends both. */
export async function withScene(
  { name, sheet, settings, size, archive }: SceneOptions,
  play: (scene: Scene) => Promise<void>,
): Promise<void> {
  sheet.seeSlow(name, slowShare());
  const place = await scratch(`bench-${name}`);
  const done = progress(`${name}: accounts and start${archive ? ", archive on" : ""}`);
  const certificate = await makeCertificate(place.folder);
  const folder = path.join(place.folder, "server");
  await mkdir(folder);
  const accounts = population(size);
  const peer = await SERVERS[name]({ folder, accounts, archive, ...certificate });
  sheet.versions[name] = peer.version;
  done();
  const fleet = startFleet(settings.loadProcesses);
  try {
    await play(new Scene(name, peer, fleet, sheet, settings));
  } finally {
    await fleet.stop();
    await peer.stop();
    await place.remove();
  }
}
