/**
 * `npm run overload`: one node under twice the messages and twice the logins that it can serve, and
 * what it does then and after. Draws docs/overload.svg. Fails when a message was lost.
 */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { parseArgs } from "node:util";
import { answerHelp } from "../harness/help.ts";
import { runProgram } from "../harness/lifetime.ts";
import type { Counters, Order, Report } from "../load/contract.ts";
import { startFleet } from "../load/fleet.ts";
import { median } from "../load/latencies.ts";
import type { Panel } from "./plot.ts";
import { svg } from "./plot.ts";
import { machine } from "./report.ts";
import type { Scene, Settings } from "./scene.ts";
import { withScene } from "./scene.ts";
import { Sheet } from "./sheet.ts";
import { memoryKib } from "./usage.ts";

const FILE = path.join(import.meta.dirname, "../../docs/overload.svg");
const SESSIONS = 1_000;
const VISITORS = 4_000;
const PROBE_SECONDS = 4;
const CALM_SECONDS = 10;
const OVERLOAD_SECONDS = 30;
const SETTLE_SECONDS_MAX = 120;
const TIMES = 2;

const USAGE = `Usage: npm run overload

Measures what one node of this machine can do alone, then gives it twice the messages and twice the logins of
that, draws docs/overload.svg, and fails when a message that was written has not arrived in the end.
`;

const SETTINGS: Settings = {
  ...{ sessions: SESSIONS, idleSessions: 0, idleSeconds: 0, seconds: PROBE_SECONDS, rate: 0 },
  loadProcesses: 1,
};

const present = { group: "u", from: 0, to: SESSIONS };
const visitors = { group: "u", from: SESSIONS, to: SESSIONS + VISITORS };

interface Rates {
  readonly messages: number;
  readonly logins: number;
}

interface Second {
  /** Since the load began. */
  readonly at: number;
  readonly offered: Rates;
  readonly done: Rates;
  readonly failedLogins: number;
  readonly p99Ms: number;
  readonly memoryMib: number;
}

/** Messages and logins have load processes of their own: neither holds the other up. */
interface Loads {
  readonly scene: Scene;
  readonly messages: (order: Order) => Promise<Report>;
  readonly logins: (order: Order) => Promise<Report>;
}

/** What it can do of each, alone, in a closed loop. */
async function capacity({ scene, messages, logins }: Loads): Promise<Rates> {
  const partners = Array.from({ length: SESSIONS }, (_, at) => at ^ 1);
  await messages({ kind: "chat", users: present, partners });
  const { counters, seconds } = await scene.stretch(PROBE_SECONDS);
  await messages({ kind: "rest" });
  await sleep(500);
  const startedMs = performance.now();
  const target = scene.target(false);
  const { done } = await logins({
    ...{ kind: "connect", target, users: visitors, inFlight: 16, acks: false },
  });
  const tookSeconds = (performance.now() - startedMs) / 1_000;
  await logins({ kind: "disconnect" });
  return { messages: counters.messages / seconds, logins: done / tookSeconds };
}

async function offer({ scene, messages, logins }: Loads, rates: Rates): Promise<void> {
  await messages({ kind: "rest" });
  await logins({ kind: "rest" });
  await messages({ kind: "pour", users: present, perSecond: rates.messages });
  const target = scene.target(false);
  await logins({ kind: "arrive", target, users: visitors, perSecond: rates.logins });
}

/** Reads every second, or as often as a busy machine lets it, for so many seconds from `from` on. */
async function watch(
  loads: Loads,
  { from, seconds }: { readonly from: number; readonly seconds: number },
  offered: Rates,
): Promise<readonly Second[]> {
  const rows: Second[] = [];
  const startedMs = performance.now();
  const read = async () => [await loads.messages(TELL), await loads.logins(TELL)] as const;
  let atMs = performance.now();
  let [before, beforeLogins] = await read();
  while (performance.now() < startedMs + seconds * 1_000) {
    await sleep(1_000);
    const [after, afterLogins] = await read();
    const took = (performance.now() - atMs) / 1_000;
    atMs = performance.now();
    const since = (key: keyof Counters, one: Report, other: Report) =>
      (other.counters[key] - one.counters[key]) / took;
    const sorted = after.latenciesMs;
    rows.push({
      at: from + (atMs - startedMs) / 1_000,
      offered,
      done: {
        messages: since("messages", before, after),
        logins: since("online", beforeLogins, afterLogins),
      },
      failedLogins: since("failed", beforeLogins, afterLogins),
      p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? Number.NaN,
      memoryMib: memoryKib(loads.scene.peer) / 1_024,
    });
    [before, beforeLogins] = [after, afterLogins];
  }
  return rows;
}

const TELL: Order = { kind: "counters" };

/** Until all that was written has arrived. @returns how many messages have not */
async function settle({ messages }: Loads, sentBefore: Counters): Promise<number> {
  for (let second = 0; ; second++) {
    const { counters } = await messages(TELL);
    const sent = counters.sent - sentBefore.sent;
    const missing = sent - (counters.messages - sentBefore.messages);
    if (missing === 0 || second === SETTLE_SECONDS_MAX) return missing;
    await sleep(1_000);
  }
}

const beyond = (rows: readonly Second[], able: Rates): readonly Second[] =>
  rows.filter(({ offered }) => offered.messages > able.messages);

/** What the overload did, in figures. */
function figures(over: readonly Second[]): string {
  const logins = over.map(({ done }) => done.logins);
  const p99 = over.map(({ p99Ms }) => p99Ms).filter(Number.isFinite);
  const messages = over.reduce((sum, { done }) => sum + done.messages, 0) / over.length;
  const none = logins.filter((rate) => rate === 0).length;
  return (
    `${messages.toFixed(0)} messages a second, p99 at most ${Math.max(...p99).toFixed(0)} ms; logins a second: ` +
    `median ${median(logins).toFixed(0)}, none in ${none} of ${over.length} seconds`
  );
}

function draw(rows: readonly Second[], able: Rates, missing: number): string {
  const [grey, blue, red] = ["#888", "#06c", "#c30"];
  const curve = (title: string, colour: string, of: (row: Second) => number) => ({
    ...{ title, colour },
    points: rows.map((row) => [row.at, of(row)] as const).filter(([, y]) => Number.isFinite(y)),
  });
  const panels: readonly Panel[] = [
    {
      ...{ title: "Logins", unit: "1/s" },
      curves: [
        curve("offered", grey, ({ offered }) => offered.logins),
        curve("done", blue, ({ done }) => done.logins),
        curve("failed", red, ({ failedLogins }) => failedLogins),
      ],
    },
    {
      ...{ title: "Messages", unit: "1/s" },
      curves: [
        curve("offered", grey, ({ offered }) => offered.messages),
        curve("delivered", blue, ({ done }) => done.messages),
      ],
    },
    {
      ...{ title: "Latency of messages, p99", unit: "ms" },
      curves: [curve("", blue, ({ p99Ms }) => p99Ms)],
    },
    {
      ...{ title: "Memory of the node", unit: "MiB" },
      curves: [curve("", blue, ({ memoryMib }) => memoryMib)],
    },
  ];
  const over = beyond(rows, able);
  return svg({
    title: `One node beyond its capacity; ${missing} messages lost`,
    notes: [`Then: ${figures(over)}`, `${new Date().toISOString().slice(0, 10)}, ${machine()}`],
    seconds: rows.at(-1)?.at ?? 0,
    phase: {
      ...{ from: over[0]?.at ?? 0, to: over.at(-1)?.at ?? 0 },
      title:
        `${TIMES} × ${able.messages.toFixed(0)} messages and ${TIMES} × ${able.logins.toFixed(0)} logins a second, ` +
        "each what it could do alone; before and after a quarter of it",
    },
    panels,
  });
}

async function play(loads: Loads): Promise<void> {
  const { scene, messages } = loads;
  await scene.connect(present, false);
  const able = await capacity(loads);
  const times = (factor: number): Rates => ({
    messages: able.messages * factor,
    logins: able.logins * factor,
  });
  const before = (await messages(TELL)).counters;
  const rows: Second[] = [];
  for (const [factor, seconds] of [
    [1 / 4, CALM_SECONDS],
    [TIMES, OVERLOAD_SECONDS],
    [1 / 4, 2 * CALM_SECONDS],
  ] as const) {
    await offer(loads, times(factor));
    const from = rows.at(-1)?.at ?? 0;
    rows.push(...(await watch(loads, { from, seconds }, times(factor))));
  }
  await messages({ kind: "rest" });
  await loads.logins({ kind: "rest" });
  const missing = await settle(loads, before);
  const most = Math.max(...rows.map(({ memoryMib }) => memoryMib));
  process.stdout.write(
    `alone: ${able.messages.toFixed(0)} messages/s, ${able.logins.toFixed(0)} logins/s; ` +
      `memory at most ${most.toFixed(0)} MiB; ${missing} messages missing\n` +
      `beyond that: ${figures(beyond(rows, able))}\n` +
      `${scene.sheet.notes.map((note) => `${note}\n`).join("")}`,
  );
  await writeFile(FILE, draw(rows, able, missing));
  if (missing !== 0) throw new Error(`Cannot call it well: ${missing} messages did not arrive`);
}

async function main(): Promise<void> {
  answerHelp(USAGE);
  parseArgs({ options: {} });
  const size = { users: SESSIONS + VISITORS, contacts: 6 };
  const base = { name: "zonda", sheet: new Sheet(), settings: SETTINGS, archive: false } as const;
  await withScene({ ...base, size }, async (scene) => {
    const fleet = startFleet(1);
    try {
      await play({ scene, messages: scene.fleet.order, logins: fleet.order });
    } finally {
      await fleet.stop();
    }
  });
}

await runProgram(main);
