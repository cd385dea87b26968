/**
 * `npm run bench`: Zonda beside ejabberd, Prosody and a floor, in one run on loopback.
 * `npm run bench -- --help` says how to run a part of it.
 */
import { readFile, writeFile } from "node:fs/promises";
import path from "node:path";
import { parseArgs } from "node:util";
import { numberOf, wordsOf } from "../harness/arguments.ts";
import { runProgram } from "../harness/lifetime.ts";
import type { Wanted } from "./growth.ts";
import * as growth from "./growth.ts";
import { idleSessions } from "./idle.ts";
import { ROSTER } from "./population.ts";
import { json, keepEarlier, otherWork, page, table } from "./report.ts";
import * as scenarios from "./scenarios.ts";
import type { Scene, SceneOptions, Settings } from "./scene.ts";
import { withScene } from "./scene.ts";
import type { ServerName } from "./servers.ts";
import { ABILITIES, SERVERS } from "./servers.ts";
import { LEVELS, Sheet } from "./sheet.ts";

const PARTS = [
  ...["message", "tls", "login", "visit", "resume", "presence", "roster", "archive"],
  ...["idle", "growth"],
] as const;
type Part = (typeof PARTS)[number];

const DOCS = path.join(import.meta.dirname, "../../docs");

const HELP = `Usage: npm run bench -- [options]

  --servers LIST        of floor,zonda,proxied,ejabberd,prosody (all; proxied is Zonda behind HAProxy)
  --only LIST           of ${PARTS.join(",")} (all)
  --quick               about three minutes: fewer sessions, shorter stretches, no growth
  --sessions N          sessions of the main figures (2000)
  --idle-sessions N     sessions of the memory figures (15000)
  --seconds N           length of each stretch of steady load (6)
  --rate N              messages a second of the latency figures (1000)
  --write               write docs/benchmarks.md and .json also from part of a run; rows that it did
                        not measure stay as they are, if machine and versions are the same

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

type SceneBase = Pick<SceneOptions, "name" | "sheet" | "settings">;

const NOTHING: Wanted = { presence: false, roster: false };

interface Plan {
  readonly servers: readonly ServerName[];
  readonly parts: ReadonlySet<Part>;
  readonly settings: Settings;
  readonly isWritten: boolean;
  /** Nothing is left out, so that nothing of earlier runs stays. */
  readonly isWhole: boolean;
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
  const isWhole = Object.entries(values).every(([name, value]) => name === "write" || !value);
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
    isWritten: values.write || isWhole,
    isWhole,
  };
}

async function messagesAndLogins(scene: Scene, parts: Plan["parts"]): Promise<void> {
  const { sessions } = scene.settings;
  await scene.connect(scenarios.users(sessions / 4), false);
  const login = await scene.connect(scenarios.users(sessions, sessions / 4), false);
  if (parts.has("login")) scene.sheet.put(scene.name, "loginPlain", login);
  if (parts.has("message")) await scenarios.plainMessages(scene);
  await scene.order({ kind: "disconnect" });
}

const wantedOf = (parts: Plan["parts"]): Wanted => {
  return { presence: parts.has("presence"), roster: parts.has("roster") };
};

async function play(scene: Scene, { parts }: Plan): Promise<void> {
  const isFloor = scene.name === "floor";
  const isAny = parts.has("message") || parts.has("login");
  await scenarios.warmUp(scene);
  if (isAny) await messagesAndLogins(scene, parts);
  if (parts.has("tls")) await scenarios.tlsSessions(scene);
  if (parts.has("visit") && !isFloor) await scenarios.visits(scene);
  if (parts.has("presence") && !isFloor) await scenarios.presence(scene);
  if (parts.has("roster") && !isFloor) await scenarios.rosterPushes(scene);
  if (parts.has("growth")) await growth.bySessions(scene, isFloor ? NOTHING : wantedOf(parts));
  if (parts.has("growth") && !isFloor) await growth.byRoster(scene, wantedOf(parts));
  if (parts.has("resume") && ABILITIES[scene.name].resumption) await scenarios.resumptions(scene);
  if (parts.has("resume") && ABILITIES[scene.name].tokens) await scenarios.tokenLogins(scene);
}

/** With the archive on: its own figures, and how they and others grow with sessions and users. */
async function playArchive({ parts, settings }: Plan, base: SceneBase): Promise<void> {
  const isGrowing = parts.has("growth");
  const small = { users: settings.sessions, contacts: ROSTER };
  await withScene({ ...base, size: small, archive: true }, async (scene) => {
    await scenarios.archive(scene);
    if (isGrowing) await growth.archiveBySessions(scene);
  });
  if (!isGrowing) return;
  for (const level of LEVELS) {
    // Small rosters: 16 times the accounts with full ones would take minutes to store.
    const size = { users: level * settings.sessions, contacts: ROSTER / 5, withCliques: true };
    await withScene({ ...base, size, archive: true }, (scene) =>
      growth.byUsers(scene, level, wantedOf(parts)),
    );
  }
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
    const own = { ...base, name };
    if (isAny) {
      await withScene({ ...own, size, archive: false }, (scene) => play(scene, plan));
    }
    if (parts.has("archive") && ABILITIES[name].archive) await playArchive(plan, own);
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
  const thisRun = {
    command: ["npm run bench", ...process.argv.slice(2)].join(" ").replace("bench -", "bench -- -"),
    date: new Date().toISOString().slice(0, 10),
    minutes: (performance.now() - startedMs) / 60_000,
  };
  process.stdout.write(`${table(sheet)}\n\n${otherWork(sheet)}\n`);
  if (!plan.isWritten) return;
  const file = path.join(DOCS, "benchmarks.json");
  const earlier = plan.isWhole ? [] : keepEarlier(sheet, await readFile(file, "utf8"));
  const runs = [...earlier.filter(({ command }) => command !== thisRun.command), thisRun];
  await writeFile(path.join(DOCS, "benchmarks.md"), page(sheet, runs));
  await writeFile(file, json(sheet, runs));
}

await runProgram(main);
