/** Seed A: as many sessions as the machine holds, over several nodes, while others come and go. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Figures } from "./figures.ts";
import { crowd } from "./people.ts";
import type { World } from "./world.ts";
import { withWorld } from "./world.ts";

export interface SessionSettings {
  readonly nodes: number;
  /** Altogether. */
  readonly sessions: number;
  readonly contacts: number;
  readonly seconds: number;
  /** Visits a second. */
  readonly rate: number;
  readonly sets: readonly string[];
}

/** A process holds 20,000 sockets. */
const SESSIONS_PER_PROCESS = 16_000;
const LOGINS_AT_ONCE = 8;
const VISITS_AT_ONCE = 400;
const REST_MS = 20_000;

async function arrive(world: World, { sessions }: SessionSettings, column: string) {
  const { figures } = world;
  const put = (what: string, value: number) => figures.put(what, column, value);
  const target = { ports: world.ports, tls: false };
  const memory = world.nodesKib;
  const end = await world.meter();
  const { done, latenciesMs } = await world.order({
    ...{ kind: "connect", target, users: { group: "u", from: 0, to: sessions }, acks: false },
    inFlight: LOGINS_AT_ONCE,
  });
  const cost = await end();
  put("Sessions", done);
  put("Logins, 1/s", done / cost.seconds);
  put("Login, CPU ms of the nodes", cost.nodesMs / done);
  put("Login, CPU ms of etcd", cost.etcdMs / done);
  put("Login, CPU ms of Cassandra", cost.cassandraMs / done);
  put("Login, etcd reads", cost.ranges / done);
  put("Login, etcd writes", cost.puts / done);
  put("Login, etcd commits", cost.commits / done);
  put("Login, Cassandra statements", cost.cassandra / done);
  figures.putTimes("Login", column, latenciesMs, [0.5, 0.99]);
  await sleep(REST_MS);
  put("Session, KiB of the nodes", (world.nodesKib - memory) / done);
}

/** The second half of the users come and go, those of its last quarter never: they are absent. */
async function visit(world: World, settings: SessionSettings, column: string) {
  const { sessions, seconds, rate } = settings;
  const { figures } = world;
  const count = Math.min(rate * seconds, Math.floor(sessions / 4));
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
  figures.putTimes("Visit, until online", column, latenciesMs, [0.5, 0.99]);
  const most = { group: "u", from: paced.to, to: paced.to + count };
  const stop = await world.meter();
  const fast = await world.order({ ...common, users: most, inFlight: LOGINS_AT_ONCE });
  figures.put("Visits as fast as they go, 1/s", column, fast.done / (await stop()).seconds);
}

export async function sessions(settings: SessionSettings, figures: Figures): Promise<void> {
  const { nodes, sessions: count, contacts, sets } = settings;
  const accounts = crowd({ users: 2 * count, contacts });
  const loadProcesses = Math.max(2, Math.ceil(count / SESSIONS_PER_PROCESS));
  await withWorld({ nodes, accounts, loadProcesses, sets, figures }, async (world) => {
    const column = `${nodes} nodes`;
    await arrive(world, settings, column);
    await visit(world, settings, column);
  });
}
