/** Seed A: as many sessions as the machine holds, over several nodes, while others come and go. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Figures } from "./figures.ts";
import { crowd } from "./people.ts";
import type { SiteName } from "./site.ts";
import type { World } from "./world.ts";
import { withWorld } from "./world.ts";

export interface SessionSettings {
  readonly servers: readonly SiteName[];
  /** One column for each, and for each server. */
  readonly nodes: readonly number[];
  /** Altogether; fewer where so few nodes hold no more. */
  readonly sessions: number;
  readonly contacts: number;
  readonly seconds: number;
  /** Visits a second. */
  readonly rate: number;
  readonly sets: readonly string[];
}

type Size = Pick<SessionSettings, "sessions" | "seconds" | "rate">;

/** A process may have 20,000 descriptors. */
const SESSIONS_PER_PROCESS = 16_000;
const SESSIONS_PER_NODE = 18_700;
const LOGINS_AT_ONCE = 8;
const VISITS_AT_ONCE = 400;
const REST_MS = 20_000;

/** Both go through all that is compiled as it runs, which is no cost of a session. */
const WARM_UP_LOGINS = 2_000;

const visitsIn = ({ sessions, seconds, rate }: Size): number =>
  Math.min(rate * seconds, Math.floor(sessions / 4));

async function connect(world: World, users: readonly [number, number]) {
  const [from, to] = users;
  const target = { ports: world.ports, tls: false };
  return world.order({
    ...{ kind: "connect", target, users: { group: "u", from, to }, acks: false },
    inFlight: LOGINS_AT_ONCE,
  });
}

async function arrive(world: World, { sessions }: Size, column: string) {
  const { figures } = world;
  const put = (what: string, value: number) => figures.put(what, column, value);
  const memory = world.nodesKib;
  const first = Math.min(WARM_UP_LOGINS, Math.floor(sessions / 4));
  const early = await connect(world, [0, first]);
  const end = await world.meter();
  const unwatch = world.watch(`${sessions} sessions`);
  const { done, latenciesMs } = await connect(world, [first, sessions]);
  unwatch();
  const { seconds, nodesMs, storesMs, operations } = await end();
  put("Sessions", early.done + done);
  put("Logins, 1/s", done / seconds);
  put("Login, CPU ms of the nodes", nodesMs / done);
  for (const [name, ms] of Object.entries(storesMs)) put(`Login, CPU ms of ${name}`, ms / done);
  if (operations !== undefined) {
    put("Login, etcd reads", operations.ranges / done);
    put("Login, etcd writes", operations.puts / done);
    put("Login, etcd commits", operations.commits / done);
    put("Login, Cassandra statements", operations.cassandra / done);
  }
  figures.putTimes("Login", column, latenciesMs, [0.5, 0.99]);
  await sleep(REST_MS);
  put("Session, KiB of the nodes", (world.nodesKib - memory) / (early.done + done));
  put("Memory of the load, MiB", world.loadKib / 1_024);
}

/** The second half of the users come and go, those of its last quarter never: they are absent. */
async function visit(world: World, size: Size, column: string) {
  const { sessions, rate } = size;
  const { figures } = world;
  const count = visitsIn(size);
  const common = {
    kind: "visits",
    target: { ports: world.ports, tls: false },
    inFlight: VISITS_AT_ONCE,
    present: { group: "u", from: 0, to: sessions },
    absent: { group: "u", from: Math.floor(1.5 * sessions), to: 2 * sessions },
  } as const;
  const paced = { group: "u", from: sessions, to: sessions + count };
  const end = await world.meter();
  const { done, latenciesMs } = await world.order({ ...common, users: paced, perSecond: rate });
  const cost = await end();
  figures.put("Visits at the set rate, 1/s", column, done / cost.seconds);
  figures.put("Visit, CPU ms of the nodes", column, cost.nodesMs / done);
  for (const [name, ms] of Object.entries(cost.storesMs)) {
    figures.put(`Visit, CPU ms of ${name}`, column, ms / done);
  }
  figures.putTimes("Visit, until online", column, latenciesMs, [0.5, 0.99]);
  const most = { group: "u", from: paced.to, to: paced.to + count };
  const stop = await world.meter();
  const fast = await world.order({ ...common, users: most, inFlight: LOGINS_AT_ONCE });
  figures.put("Visits as fast as they go, 1/s", column, fast.done / (await stop()).seconds);
}

async function measure(
  server: SiteName,
  nodes: number,
  settings: SessionSettings,
  figures: Figures,
): Promise<void> {
  const { contacts, sets } = settings;
  const sessions = Math.min(settings.sessions, nodes * SESSIONS_PER_NODE);
  const size = { ...settings, sessions };
  const accounts = crowd({ users: 2 * sessions, contacts });
  const loadProcesses = Math.max(2, Math.ceil(sessions / SESSIONS_PER_PROCESS));
  await withWorld({ server, nodes, accounts, loadProcesses, sets, figures }, async (world) => {
    const column = `${server}, ${nodes === 1 ? "1 node" : `${nodes} nodes`}`;
    await arrive(world, size, column);
    await visit(world, size, column);
  });
}

export async function sessions(settings: SessionSettings, figures: Figures): Promise<void> {
  for (const nodes of settings.nodes) {
    for (const server of settings.servers) await measure(server, nodes, settings, figures);
  }
}
