/** The figures, each from the load it stands for. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Group } from "../load/contract.ts";
import { CLIQUE_USERS, LARGER_ROSTER_USERS, LARGER_ROSTERS } from "./population.ts";
import type { Scene, Stretch } from "./scene.ts";
import type { RowName } from "./sheet.ts";
import { cpuMs } from "./usage.ts";

const VISITS_AT_ONCE = 4;
const PACE_WARM_UP_SECONDS = 1;
const WARM_UP_LOGINS = 1_000;
const HISTORY_READERS = 16;
const ROSTER_WRITERS = 64;

const users = (to: number, from = 0): Group => ({ group: "u", from, to });

/** Who chats with whom: everybody has one partner, drawn by lot. */
function randomPartners(size: number): readonly number[] {
  const order = Array.from({ length: size }, (_, at) => at);
  for (let at = size - 1; at > 0; at--) {
    const other = Math.floor(Math.random() * (at + 1));
    [order[at], order[other]] = [order[other] as number, order[at] as number];
  }
  const partners = new Array<number>(size).fill(0);
  for (let at = 0; at + 1 < size; at += 2) {
    const [one, two] = [order[at] as number, order[at + 1] as number];
    partners[one] = two;
    partners[two] = one;
  }
  return partners;
}

/** A closed loop: one message of every pair is always under way. */
async function chat(scene: Scene, size: number, seconds: number): Promise<Stretch> {
  await scene.order({ kind: "chat", users: users(size), partners: randomPartners(size) });
  const stretch = await scene.stretch(seconds);
  await scene.order({ kind: "rest" });
  await sleep(500);
  return stretch;
}

const perMessageUs = ({ cpuMs, counters }: Stretch): number => (cpuMs * 1_000) / counters.messages;

const quantile = (sorted: Float64Array, part: number): number =>
  sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;

/** @returns CPU microseconds of the server per message */
async function pace(scene: Scene, perSecond: number, rows: readonly [RowName, RowName]) {
  const { name, settings, sheet, peer } = scene;
  const seconds = settings.seconds + PACE_WARM_UP_SECONDS;
  const before = cpuMs(peer.pid);
  const { latenciesMs } = await scene.order({
    ...{ kind: "pace", users: users(settings.sessions), perSecond, seconds },
    warmUpSeconds: PACE_WARM_UP_SECONDS,
  });
  const used = cpuMs(peer.pid) - before;
  sheet.put(name, rows[0], quantile(latenciesMs, 0.5));
  sheet.put(name, rows[1], quantile(latenciesMs, 0.99));
  return (used * 1_000) / (perSecond * seconds);
}

/** Messages, plain: closed loop, then at two rates. The sessions are online. */
export async function plainMessages(scene: Scene, isGrowing: boolean): Promise<void> {
  const { name, sheet, settings } = scene;
  const stretch = await chat(scene, settings.sessions, settings.seconds);
  const rate = stretch.counters.messages / stretch.seconds;
  sheet.put(name, "messagePlain", perMessageUs(stretch));
  if (isGrowing) sheet.put(name, "message4", perMessageUs(stretch));
  sheet.put(name, "ratePlain", rate);
  sheet.put(name, "messagePaced", await pace(scene, settings.rate, ["p50Plain", "p99Plain"]));
  await pace(scene, 0.7 * rate, ["p50Loaded", "p99Loaded"]);
}

/** The same over TLS, with its logins. Nobody is online before or after. */
export async function tlsSessions(scene: Scene): Promise<void> {
  const { name, sheet, settings } = scene;
  sheet.put(name, "loginTls", await scene.connect(users(settings.sessions), true));
  const stretch = await chat(scene, settings.sessions, settings.seconds);
  sheet.put(name, "messageTls", perMessageUs(stretch));
  sheet.put(name, "rateTls", stretch.counters.messages / stretch.seconds);
  await pace(scene, settings.rate, ["p50Tls", "p99Tls"]);
  await scene.order({ kind: "disconnect" });
}

/** Servers run for months: what is compiled as they run is compiled before anything is measured. */
export async function warmUp(scene: Scene): Promise<void> {
  await scene.connect(users(Math.min(scene.settings.sessions, WARM_UP_LOGINS)), false);
  await scene.order({ kind: "disconnect" });
}

/** Messages and logins while the sessions become four and sixteen times as many. */
export async function growingSessions(
  scene: Scene,
  atFull: (scene: Scene, isGrowing: boolean) => Promise<void>,
  isGrowing: boolean,
): Promise<void> {
  const { name, sheet, settings } = scene;
  const { sessions, seconds } = settings;
  const quarter = sessions / 4;
  const first = await scene.connect(users(quarter), false);
  if (isGrowing) {
    sheet.put(name, "login1", first);
    sheet.put(name, "message1", perMessageUs(await chat(scene, quarter, seconds / 2)));
  }
  const login = await scene.connect(users(sessions, quarter), false);
  sheet.put(name, "loginPlain", login);
  if (isGrowing) sheet.put(name, "login4", login);
  await atFull(scene, isGrowing);
  if (isGrowing) {
    sheet.put(name, "login16", await scene.connect(users(4 * sessions, sessions), false));
    sheet.put(name, "message16", perMessageUs(await chat(scene, 4 * sessions, seconds / 2)));
  }
  await scene.order({ kind: "disconnect" });
}

export async function largerRosters(scene: Scene): Promise<void> {
  for (const [at, size] of LARGER_ROSTERS.entries()) {
    const group = { group: `r${size}n`, from: 0, to: LARGER_ROSTER_USERS };
    const login = await scene.connect(group, false);
    scene.sheet.put(
      scene.name,
      (["roster1", "roster4", "roster16"] as const)[at] ?? "roster1",
      login,
    );
  }
  await scene.order({ kind: "disconnect" });
}

export async function resumptions(scene: Scene): Promise<void> {
  const { name, sheet, settings, peer } = scene;
  const group = users(settings.sessions / 2);
  await scene.connect(group, false, true);
  const before = cpuMs(peer.pid);
  const { done } = await scene.order({
    ...{ kind: "resume", target: scene.target(false), users: group, inFlight: 8 },
  });
  sheet.put(name, "resumption", (cpuMs(peer.pid) - before) / done);
  await scene.order({ kind: "disconnect" });
}

/** Every user has logged in before and was given a token; no session is left from then. */
export async function tokenLogins(scene: Scene): Promise<void> {
  const { name, sheet, settings, peer } = scene;
  const group = users(settings.sessions / 2);
  const target = scene.target(true);
  const inFlight = 8;
  await scene.order({
    ...{ kind: "connect", target, users: group, inFlight, acks: false, wantsToken: true },
  });
  await scene.order({ kind: "disconnect" });
  const before = cpuMs(peer.pid);
  const { done } = await scene.order({ kind: "return", target, users: group, inFlight });
  sheet.put(name, "token", (cpuMs(peer.pid) - before) / done);
  await scene.order({ kind: "disconnect" });
}

export async function visits(scene: Scene): Promise<void> {
  const { name, sheet, settings, peer } = scene;
  const present = users(settings.sessions / 10);
  await scene.connect(present, false);
  const before = cpuMs(peer.pid);
  const { done } = await scene.order({
    ...{ kind: "visits", target: scene.target(false), inFlight: VISITS_AT_ONCE, present },
    ...{ users: users(settings.sessions, present.to) },
    absent: { group: "o", from: 0, to: settings.sessions },
  });
  sheet.put(name, "visit", (cpuMs(peer.pid) - before) / done);
  await scene.order({ kind: "disconnect" });
}

export async function presence(scene: Scene): Promise<void> {
  const group = { group: "p", from: 0, to: CLIQUE_USERS };
  await scene.connect(group, false);
  await scene.order({ kind: "chore", users: group, chore: "presence" });
  const { cpuMs: used, counters } = await scene.stretch(scene.settings.seconds);
  scene.sheet.put(scene.name, "presence", (used * 1_000) / counters.presences);
  await scene.order({ kind: "disconnect" });
}

export async function rosterPushes(scene: Scene): Promise<void> {
  const group = users(ROSTER_WRITERS);
  await scene.connect(group, false);
  await scene.order({ kind: "chore", users: group, chore: "roster" });
  const { cpuMs: used, counters } = await scene.stretch(scene.settings.seconds);
  scene.sheet.put(scene.name, "push", (used * 1_000) / counters.pushes);
  await scene.order({ kind: "disconnect" });
}

/** With the archive on: what a message costs then, and reading it back. */
export async function archive(scene: Scene): Promise<void> {
  const { name, sheet, settings } = scene;
  // Fewer than elsewhere: a server that stores slowly must get through all of them in a moment.
  const size = settings.sessions / 20;
  await scene.connect(users(size), false);
  const stretch = await chat(scene, size, settings.seconds);
  sheet.put(name, "archived", perMessageUs(stretch));
  await scene.order({ kind: "chore", users: users(HISTORY_READERS), chore: "history" });
  const { cpuMs: used, counters } = await scene.stretch(settings.seconds);
  sheet.put(name, "history", (used * 1_000) / counters.answers);
  await scene.order({ kind: "disconnect" });
}
