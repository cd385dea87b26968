/**
 * `npm run chaos`: a real cluster with many clients, and a seeded series of faults. Ends with what
 * became of every message. Exit code 1 when something was lost, repeated, overtaken or left behind.
 */
import { spawn } from "node:child_process";
import { appendFileSync, createWriteStream, mkdirSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { seeded } from "../../node/modules/testing/weather.ts";
import { cassandraJars } from "../harness/cassandra.ts";
import { commandLine } from "../harness/command-line.ts";
import { etcdProgram } from "../harness/etcd.ts";
import { java } from "../harness/java.ts";
import { runProgram, untilStopped } from "../harness/lifetime.ts";
import type { Cluster } from "../harness/start-cluster.ts";
import { startCluster } from "../harness/start-cluster.ts";
import { Burdens } from "./burdens.ts";
import type { Disk } from "./disk.ts";
import { makeDisk } from "./disk.ts";
import { Ledger } from "./ledger.ts";
import { FIRST_UID, makeNetwork, openFilters, removeNetwork } from "./network.ts";
import type { Fault, FaultKind } from "./plan.ts";
import { ASKED_KINDS, FAULT_KINDS, planSeries } from "./plan.ts";
import type { Findings } from "./report.ts";
import { isClean, json, table } from "./report.ts";
import { Stage } from "./stage.ts";
import { Town } from "./town.ts";

const HELP = `Usage: npm run chaos -- [options]

Starts real etcd (three members), Cassandra and nodes in a network namespace of their own (as root), lets many
clients chat, breaks things, and says what became of every message.

  --seed S          what goes wrong follows from it; the clock if left out
  --minutes M       how long things go wrong (2)
  --nodes N         nodes (5)
  --clients N       clients (2000), of people in pairs
  --devices N       clients of one person (1)
  --rate N          messages a second, all together (200)
  --faults A,B,...  only these: ${FAULT_KINDS.join(", ")};
                    also, but only if asked for: ${ASKED_KINDS.join(", ")} (for two minutes)
  --at-once N       so many things go wrong at once at most (1); what contradicts another is left out
  --gone-at-once N  so many nodes are dead, stopped or about to leave at once at most (1): more of them
                    take sessions along (docs/architecture.md)
  --logs DIR        what the nodes log and what the clients see is written there
`;

const INSIDE = "ZONDA_CHAOS_INSIDE";
const ARRIVAL_MS = 600_000;
/** So that one, their leader, may be lost. */
const ETCD_MEMBERS = 3;
/** For Cassandra's data and its commit log, a quarter of it. */
const DISK_MB = 1_024;
const LEASE_SECONDS = 6;
const RESUME_SECONDS = 20;
/** After the last fault: leases lapse, windows close, clients come back. */
const SETTLE_MS = 90_000;
/** Windows are open for a minute more once the store is back. */
const GHOST_MS = (LEASE_SECONDS + Math.max(RESUME_SECONDS, 60) + 10) * 1_000;

interface Wish {
  readonly seed: number;
  readonly minutes: number;
  readonly nodes: number;
  readonly clients: number;
  readonly devices: number;
  readonly rate: number;
  readonly faults: readonly FaultKind[];
  readonly atOnce: number;
  readonly goneAtOnce: number;
  readonly logs: string | undefined;
}

function readWish(): Wish | undefined {
  const { values } = parseArgs({
    options: {
      seed: { type: "string" },
      minutes: { type: "string", default: "2" },
      nodes: { type: "string", default: "5" },
      clients: { type: "string", default: "2000" },
      devices: { type: "string", default: "1" },
      rate: { type: "string", default: "200" },
      faults: { type: "string", default: FAULT_KINDS.join(",") },
      "at-once": { type: "string", default: "1" },
      "gone-at-once": { type: "string", default: "1" },
      logs: { type: "string" },
      help: { type: "boolean", short: "h", default: false },
    },
  });
  if (values.help) return undefined;
  type Counted = "minutes" | "nodes" | "clients" | "devices" | "rate" | "at-once" | "gone-at-once";
  const number = (name: Counted, least: number, most: number) => {
    const value = Number(values[name]);
    if (value >= least && value <= most) return value;
    throw new Error(`Cannot use --${name} ${values[name]}: give a number from ${least} to ${most}`);
  };
  const faults = values.faults.split(",") as FaultKind[];
  const known: readonly FaultKind[] = [...FAULT_KINDS, ...ASKED_KINDS];
  const unknown = faults.find((kind) => !known.includes(kind));
  if (unknown !== undefined) throw new Error(`Cannot use --faults ${unknown}: see --help`);
  return {
    seed: values.seed === undefined ? Date.now() % 1_000_000 : Number(values.seed),
    minutes: number("minutes", 0, 600),
    nodes: number("nodes", 2, 20),
    clients: number("clients", 4, 15_000),
    devices: number("devices", 1, 8),
    rate: number("rate", 0, 20_000),
    faults,
    atOnce: number("at-once", 1, 8),
    goneAtOnce: number("gone-at-once", 1, 8),
    logs: values.logs,
  };
}

/** Runs this program again, inside a network of its own. */
async function enterNetwork(): Promise<number> {
  // Inside there is nowhere to fetch them from.
  await Promise.all([etcdProgram(), cassandraJars(), java()]);
  const name = await makeNetwork();
  const remove = untilStopped(() => removeNetwork(name));
  const [command = "", ...args] = commandLine({
    command: "unshare", // Nobody else sees what is mounted.
    args: ["--mount", process.execPath, ...process.argv.slice(1)],
    netns: name,
  });
  const env = { ...process.env, [INSIDE]: name };
  const child = spawn(command, args, { stdio: "inherit", env });
  const exited = new Promise<number>((resolve) => {
    child.on("exit", (status) => resolve(status ?? 1));
  });
  const end = untilStopped(async () => {
    child.kill("SIGTERM"); // It takes away what it made; dying with us, it could not.
    await exited;
  });
  const code = await exited;
  await end();
  await remove();
  return code;
}

const say = (text: string): void => void process.stderr.write(`${text}\n`);

async function raise({ nodes, logs }: Wish, disk: Disk | undefined): Promise<Cluster> {
  if (logs !== undefined) mkdirSync(logs, { recursive: true });
  const sets = [
    `routes.etcd.leaseSeconds=${LEASE_SECONDS}`,
    `c2s.resumeSeconds=${RESUME_SECONDS}`,
    "auth.scramIterations=4096",
    "drain.disconnectsPerSecond=100",
  ];
  return startCluster({
    nodes,
    sets,
    config: path.join(import.meta.dirname, "../load/cluster.yaml"),
    firstUid: FIRST_UID,
    etcdMembers: ETCD_MEMBERS,
    // One replica that ends must forget nothing; elsewhere the others have it.
    cassandra: { heapMb: 768, commitLog: disk === undefined ? "periodic" : "batch" },
    cassandraDisk: disk?.folder,
    onLine: (node, line) => {
      if (logs !== undefined) appendFileSync(path.join(logs, `${node}.log`), `${line}\n`);
    },
  });
}

/** Every letter, acknowledgement and stream of every client, a line each, if that is wanted. */
function notes({ logs }: Wish): (name: string, what: string) => void {
  if (logs === undefined) return () => undefined;
  const file = createWriteStream(path.join(logs, "clients.log"));
  return (name, what) => void file.write(`${new Date().toISOString()} ${name} ${what}\n`);
}

async function trouble(stage: Stage, wish: Wish): Promise<string[]> {
  const begun = performance.now();
  const done: string[] = [];
  const untilMs = wish.minutes * 60_000;
  const tell = (words: string) =>
    say(`${((performance.now() - begun) / 1_000).toFixed(0).padStart(5)} s  ${words}`);
  const suffer = async (series: readonly Fault[]) => {
    for (const fault of series) {
      if (performance.now() - begun > untilMs) break; // A slow machine is late with all of them.
      const waitMs = fault.atMs - (performance.now() - begun);
      if (waitMs > 0) await new Promise((resolve) => setTimeout(resolve, waitMs));
      const taken = stage.take(fault);
      if (taken === undefined) continue;
      const words = `${fault.kind} ${taken.about} ${(fault.forMs / 1_000).toFixed(1)} s`;
      if (wish.atOnce > 1) tell(`${words} begins`);
      await taken.suffer();
      done.push(words);
      tell(words);
    }
  };
  await Promise.all(planSeries(wish.seed, untilMs, wish.faults, wish.atOnce).map(suffer));
  return done;
}

async function play(wish: Wish): Promise<Findings> {
  say(`seed ${wish.seed}: ${wish.nodes} nodes, ${wish.clients} clients, ${wish.minutes} minutes`);
  await openFilters();
  const disk = wish.faults.includes("fill-store") ? await makeDisk(DISK_MB) : undefined;
  const cluster = await raise(wish, disk);
  const burdens = new Burdens(wish.goneAtOnce, () => performance.now());
  const stage = new Stage(cluster, burdens, disk);
  const ledger = new Ledger(wish.devices);
  const town = new Town(wish.clients, wish.devices, {
    ledger,
    ports: () => stage.ports,
    nowMs: () => performance.now(),
    fraction: seeded(wish.seed + 1),
    note: notes(wish),
  });
  await town.arrive((online) => say(`${online} online`), ARRIVAL_MS);
  say("everybody is there");
  town.write(wish.rate);
  const faults = await trouble(stage, wish);
  town.rest();
  const isSettled = await town.settle(SETTLE_MS);
  const longestSilenceMs = Math.max(...town.people.map(({ longestAwayMs }) => longestAwayMs));
  const ghosts = await town.ghosts(GHOST_MS);
  const { people } = town;
  const sum = (count: (one: (typeof people)[number]) => number) =>
    people.reduce((total, one) => total + count(one), 0);
  const findings = {
    ...ledger.verdict(),
    seed: wish.seed,
    faults,
    ghosts,
    isSettled,
    resumptions: sum(({ resumptions }) => resumptions),
    rebinds: sum(({ binds }) => Math.max(0, binds - 1)),
    longestSilenceMs,
  };
  town.leave();
  await cluster.stop();
  await disk?.remove();
  return findings;
}

async function main(): Promise<number> {
  const wish = readWish();
  if (wish === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  if (process.env[INSIDE] === undefined) return enterNetwork();
  const findings = await play(wish);
  process.stdout.write(`${table(findings)}\n${json(findings)}\n`);
  return isClean(findings) ? 0 : 1;
}

await runProgram(async () => {
  process.exitCode = await main();
});
