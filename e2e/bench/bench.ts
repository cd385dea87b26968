/**
 * `npm run bench`: Zonda beside ejabberd, Prosody and a floor, in one run on loopback.
 * `npm run bench -- --help` says how to run a part of it.
 */
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { numberOf, wordsOf } from "../harness/arguments.ts";
import { runProgram } from "../harness/lifetime.ts";
import { idleSessions } from "./idle.ts";
import { ROSTER } from "./population.ts";
import { json, otherWork, page, table } from "./report.ts";
import * as scenarios from "./scenarios.ts";
import type { Scene, Settings } from "./scene.ts";
import { withScene } from "./scene.ts";
import type { ServerName } from "./servers.ts";
import { ABILITIES, SERVERS } from "./servers.ts";
import { Sheet } from "./sheet.ts";

const PARTS = [
  ...["message", "tls", "login", "visit", "resume", "presence", "roster", "archive"],
  ...["idle", "growth"],
] as const;
type Part = (typeof PARTS)[number];

const DOCS = path.join(import.meta.dirname, "../../docs");

const HELP = `Usage: npm run bench -- [options]

  --servers LIST        of floor,zonda,ejabberd,prosody (all)
  --only LIST           of ${PARTS.join(",")} (all)
  --quick               about three minutes: fewer sessions, shorter stretches, no growth
  --sessions N          sessions of the main figures (2000)
  --idle-sessions N     sessions of the memory figures (15000)
  --seconds N           length of each stretch of steady load (6)
  --rate N              messages a second of the latency figures (1000)
  --write               write docs/benchmarks.md and .json also from part of a run

A whole run writes docs/benchmarks.md and docs/benchmarks.json.
`;

const FULL: Settings = {
  ...{ sessions: 2_000, idleSessions: 15_000, idleSeconds: 60, seconds: 6, rate: 1_000 },
  loadProcesses: 2,
};
const QUICK: Settings = {
  ...{ sessions: 400, idleSessions: 2_000, idleSeconds: 10, seconds: 2, rate: 1_000 },
  loadProcesses: 2,
};

interface Plan {
  readonly servers: readonly ServerName[];
  readonly parts: ReadonlySet<Part>;
  readonly settings: Settings;
  readonly isWritten: boolean;
}

function readPlan(): Plan | undefined {
  const text = { type: "string" } as const;
  const flag = { type: "boolean", default: false } as const;
  const { values } = parseArgs({
    options: {
      ...{ servers: text, only: text, sessions: text, "idle-sessions": text },
      ...{ seconds: text, rate: text, quick: flag, write: flag, help: flag },
    },
  });
  if (values.help) return undefined;
  const base = values.quick ? QUICK : FULL;
  const names = Object.keys(SERVERS) as ServerName[];
  // Connections of one process end at 20,000, and growth needs four times the sessions.
  const parts = values.quick ? PARTS.filter((part) => part !== "growth") : PARTS;
  const sessions = numberOf("sessions", values.sessions, base.sessions, 4_500);
  return {
    servers: values.servers === undefined ? names : wordsOf("servers", values.servers, names),
    parts: new Set(values.only === undefined ? parts : wordsOf("only", values.only, PARTS)),
    settings: {
      ...base,
      sessions: sessions - (sessions % 40),
      idleSessions: numberOf("idle-sessions", values["idle-sessions"], base.idleSessions, 18_000),
      seconds: numberOf("seconds", values.seconds, base.seconds, 600),
      rate: numberOf("rate", values.rate, base.rate, 100_000),
    },
    isWritten: values.write || Object.values(values).every((value) => !value),
  };
}

async function play(scene: Scene, { parts }: Plan): Promise<void> {
  const isFloor = scene.name === "floor";
  if (["message", "login", "growth"].some((part) => parts.has(part as Part))) {
    const atFull = parts.has("message") ? scenarios.plainMessages : async () => undefined;
    await scenarios.warmUp(scene);
    await scenarios.growingSessions(scene, atFull, parts.has("growth"));
  }
  if (parts.has("tls")) await scenarios.tlsSessions(scene);
  if (parts.has("visit") && !isFloor) await scenarios.visits(scene);
  if (parts.has("presence") && !isFloor) await scenarios.presence(scene);
  if (parts.has("roster") && !isFloor) await scenarios.rosterPushes(scene);
  if (parts.has("growth") && !isFloor) await scenarios.largerRosters(scene);
  if (parts.has("resume") && ABILITIES[scene.name].resumption) await scenarios.resumptions(scene);
  if (parts.has("resume") && ABILITIES[scene.name].tokens) await scenarios.tokenLogins(scene);
}

async function run(plan: Plan, sheet: Sheet): Promise<void> {
  const { servers, parts, settings } = plan;
  const isAny = [...parts].some((part) => part !== "idle" && part !== "archive");
  const base = { sheet, settings };
  for (const name of servers) {
    const isGrowing = parts.has("growth");
    const size = {
      ...{ users: (isGrowing ? 4 : 1) * settings.sessions, contacts: ROSTER },
      ...{ withCliques: parts.has("presence"), withLargerRosters: isGrowing },
    };
    const options = { ...base, name, size };
    if (isAny) await withScene({ ...options, archive: false }, (scene) => play(scene, plan));
    if (!parts.has("archive") || !ABILITIES[name].archive) continue;
    const small = { users: settings.sessions, contacts: ROSTER };
    await withScene({ ...options, size: small, archive: true }, scenarios.archive);
  }
  if (parts.has("idle")) await idleSessions(servers, base);
}

async function main(): Promise<void> {
  const plan = readPlan();
  if (plan === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const startedMs = performance.now();
  const sheet = new Sheet();
  await run(plan, sheet);
  const details = {
    command: ["npm run bench", ...process.argv.slice(2)].join(" ").replace("bench -", "bench -- -"),
    date: new Date().toISOString().slice(0, 10),
    minutes: (performance.now() - startedMs) / 60_000,
  };
  process.stdout.write(`${table(sheet)}\n\n${otherWork(sheet)}\n`);
  if (!plan.isWritten) return;
  await writeFile(path.join(DOCS, "benchmarks.md"), page(sheet, details));
  await writeFile(path.join(DOCS, "benchmarks.json"), json(sheet, details));
}

await runProgram(main);
