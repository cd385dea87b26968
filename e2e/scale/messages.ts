/** What a message costs between two nodes, beside one that stays on its node. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Figures } from "./figures.ts";
import { crowd } from "./people.ts";
import type { SiteName } from "./site.ts";
import type { World } from "./world.ts";
import { withWorld } from "./world.ts";

export interface MessageSettings {
  readonly servers: readonly SiteName[];
  readonly sessions: number;
  readonly seconds: number;
  readonly rate: number;
  readonly sets: readonly string[];
}

/** By which bit the numbers of partners differ: a user's number says which of two nodes is his. */
const WAYS = { "between nodes": 1, "within a node": 2 } as const;
const WARM_UP_SECONDS = 2;

const partnersOf = (sessions: number, bit: number): readonly number[] =>
  Array.from({ length: sessions }, (_, at) => at ^ bit);

/** What is compiled as it runs is compiled before anything is measured. */
async function warmUp(world: World, sessions: number, bit: number): Promise<void> {
  const users = { group: "u", from: 0, to: sessions };
  await world.order({ kind: "chat", users, partners: partnersOf(sessions, bit) });
  await sleep(WARM_UP_SECONDS * 1_000);
  await world.order({ kind: "rest" });
  await sleep(500);
}

type Way = keyof typeof WAYS;

async function measure(world: World, way: Way, column: string, settings: MessageSettings) {
  const { figures } = world;
  const { sessions, seconds, rate } = settings;
  const users = { group: "u", from: 0, to: sessions };
  const partner = WAYS[way];
  await world.order({ kind: "chat", users, partners: partnersOf(sessions, partner) });
  await sleep(WARM_UP_SECONDS * 1_000);
  const before = await world.order({ kind: "counters" });
  const end = await world.meter();
  await sleep(seconds * 1_000);
  const cost = await end();
  const after = await world.order({ kind: "counters" });
  await world.order({ kind: "rest" });
  const count = after.counters.messages - before.counters.messages;
  figures.put("Message, closed loop, CPU µs of the nodes", column, (cost.nodesMs * 1_000) / count);
  figures.put("Messages, closed loop, 1/s", column, count / cost.seconds);
  await sleep(1_000);
  const stop = await world.meter();
  const { latenciesMs } = await world.order({
    ...{ kind: "pace", users, what: { partner }, perSecond: rate },
    ...{ seconds: seconds + WARM_UP_SECONDS, warmUpSeconds: WARM_UP_SECONDS },
  });
  const { nodesMs } = await stop();
  const sent = rate * (seconds + WARM_UP_SECONDS);
  figures.put(`Message, ${rate} a second, CPU µs of the nodes`, column, (nodesMs * 1_000) / sent);
  figures.putTimes(`Message, ${rate} a second`, column, latenciesMs, [0.5, 0.99]);
}

/** @param manner "" or how it differs from the usual, after a comma */
async function play(
  server: SiteName,
  manner: string,
  settings: MessageSettings,
  figures: Figures,
): Promise<void> {
  const { sessions, sets } = settings;
  const accounts = [...crowd({ users: sessions, contacts: 2 })];
  const users = { group: "u", from: 0, to: sessions };
  const options = { server, nodes: 2, accounts, loadProcesses: 2, sets, figures };
  await withWorld(options, async (world) => {
    const target = { ports: world.ports, tls: false };
    await world.order({ kind: "connect", target, users, inFlight: 8, acks: true });
    for (const bit of Object.values(WAYS)) await warmUp(world, sessions, bit);
    for (const way of ["within a node", "between nodes"] as const) {
      await measure(world, way, `${server}, ${way}${manner}`, settings);
    }
  });
}

export async function messages(settings: MessageSettings, figures: Figures): Promise<void> {
  for (const server of settings.servers) {
    await play(server, "", settings, figures);
    if (server !== "zonda") continue;
    const sets = [...settings.sets, "c2s.mirrored=false"];
    await play(server, ", not mirrored", { ...settings, sets }, figures);
  }
}
