/** The figures, each from the load it stands for. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Chore, Group, Order } from "../load/contract.ts";
import { median, quantile } from "../load/latencies.ts";
import { CLIQUE_USERS } from "./population.ts";
import type { Scene, Stretch } from "./scene.ts";
import type { Paced } from "./sheet.ts";
import { cpuMs } from "./usage.ts";

const VISITS_AT_ONCE = 4;
const PACE_WARM_UP_SECONDS = 1;
const WARM_UP_SECONDS = 8;
const WARM_UP_LOGINS = 400;
const REST_MS = 500;
/** What one process of load can write and read, and still be on time. */
const LOADED_RATE_MAX = 20_000;
/** The same for all: what loads the best peer well, and not beyond what it can. */
const SAME_RATE = 10_000;

export const users = (to: number, from = 0): Group => ({ group: "u", from, to });

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
export async function chat(scene: Scene, size: number, seconds: number): Promise<Stretch> {
  await scene.order({ kind: "chat", users: users(size), partners: randomPartners(size) });
  const stretch = await scene.stretch(seconds);
  await scene.order({ kind: "rest" });
  await sleep(REST_MS);
  return stretch;
}

export const perMessageUs = ({ cpuMs, counters }: Stretch): number =>
  (cpuMs * 1_000) / counters.messages;

/** @returns CPU microseconds of the server per message */
async function pace(
  scene: Scene,
  perSecond: number,
  where: Paced,
  isAlone = false,
): Promise<number> {
  const { name, settings, sheet, peer } = scene;
  const seconds = settings.seconds + PACE_WARM_UP_SECONDS;
  const before = cpuMs(peer);
  const { latenciesMs, quartersMs } = await scene.order({
    ...{ kind: "pace", users: users(settings.sessions), perSecond, seconds, isAlone },
    warmUpSeconds: PACE_WARM_UP_SECONDS,
  });
  const used = cpuMs(peer) - before;
  sheet.put(name, `p50${where}`, quantile(latenciesMs, 0.5));
  sheet.put(name, `p99${where}`, quantile(latenciesMs, 0.99));
  sheet.put(name, `usual${where}`, median(quartersMs));
  return (used * 1_000) / (perSecond * seconds);
}

/**
 * Servers run for months: what is compiled as they run is compiled before anything is measured. Ours
 * goes on becoming cheaper for thousands of logins.
 */
async function warm(work: () => Promise<unknown>): Promise<void> {
  const untilMs = performance.now() + WARM_UP_SECONDS * 1_000;
  do await work();
  while (performance.now() < untilMs);
}

export async function warmUp(scene: Scene, tls = false): Promise<void> {
  const group = users(Math.min(scene.settings.sessions, WARM_UP_LOGINS));
  await warm(async () => {
    await scene.connect(group, tls);
    await scene.order({ kind: "disconnect" });
  });
}

/** Messages, plain: closed loop, then at three rates. The sessions are online. */
export async function plainMessages(scene: Scene): Promise<void> {
  const { name, sheet, settings } = scene;
  const stretch = await chat(scene, settings.sessions, settings.seconds);
  const rate = stretch.counters.messages / stretch.seconds;
  sheet.put(name, "messagePlain", perMessageUs(stretch));
  sheet.put(name, "ratePlain", rate);
  sheet.put(name, "messagePaced", await pace(scene, settings.rate, "Plain"));
  await pace(scene, Math.min(0.7 * rate, LOADED_RATE_MAX), "Loaded", true);
  if (rate > SAME_RATE) await pace(scene, SAME_RATE, "Same", true);
}

/** The same over TLS, with its logins. Nobody is online before or after. */
export async function tlsSessions(scene: Scene): Promise<void> {
  const { name, sheet, settings } = scene;
  await warmUp(scene, true);
  sheet.put(name, "loginTls", await scene.connect(users(settings.sessions), true));
  const stretch = await chat(scene, settings.sessions, settings.seconds);
  sheet.put(name, "messageTls", perMessageUs(stretch));
  sheet.put(name, "rateTls", stretch.counters.messages / stretch.seconds);
  await pace(scene, settings.rate, "Tls");
  await scene.order({ kind: "disconnect" });
}

export async function resumptions(scene: Scene): Promise<void> {
  const { name, sheet, settings, peer } = scene;
  const group = users(settings.sessions / 2);
  const order: Order = { kind: "resume", target: scene.target(false), users: group, inFlight: 8 };
  await scene.connect(group, false, true);
  await warm(() => scene.order(order));
  const before = cpuMs(peer);
  const { done } = await scene.order(order);
  sheet.put(name, "resumption", (cpuMs(peer) - before) / done);
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
  const order: Order = { kind: "return", target, users: group, inFlight };
  await warm(async () => {
    await scene.order(order);
    await scene.order({ kind: "disconnect" });
  });
  const before = cpuMs(peer);
  const { done } = await scene.order(order);
  sheet.put(name, "token", (cpuMs(peer) - before) / done);
  await scene.order({ kind: "disconnect" });
}

export async function visits(scene: Scene): Promise<void> {
  const { name, sheet, settings, peer } = scene;
  const present = users(settings.sessions / 10);
  const order: Order = {
    ...{ kind: "visits", target: scene.target(false), inFlight: VISITS_AT_ONCE, present },
    ...{ users: users(settings.sessions, present.to) },
    absent: { group: "o", from: 0, to: settings.sessions },
  };
  await scene.connect(present, false);
  await warm(() => scene.order(order));
  const before = cpuMs(peer);
  const { done } = await scene.order(order);
  sheet.put(name, "visit", (cpuMs(peer) - before) / done);
  await scene.order({ kind: "disconnect" });
}

/** What sessions that repeat a chore cost the server. */
export async function repeat(
  scene: Scene,
  group: Group,
  chore: Chore,
  seconds = scene.settings.seconds,
): Promise<Stretch> {
  await scene.order({ kind: "chore", users: group, chore });
  const stretch = await scene.stretch(seconds);
  await scene.order({ kind: "rest" });
  await sleep(REST_MS);
  return stretch;
}

/** CPU microseconds for each of what arrived. */
export const perPresenceUs = ({ cpuMs: ms, counters }: Stretch) =>
  (ms * 1_000) / counters.presences;
export const perPushUs = ({ cpuMs: ms, counters }: Stretch) => (ms * 1_000) / counters.pushes;
export const perAnswerUs = ({ cpuMs: ms, counters }: Stretch) => (ms * 1_000) / counters.answers;

export const CLIQUES: Group = { group: "p", from: 0, to: CLIQUE_USERS };
export const ROSTER_WRITERS: Group = users(64);
export const HISTORY_READERS: Group = users(16);

export async function presence(scene: Scene): Promise<void> {
  await scene.connect(CLIQUES, false);
  scene.sheet.put(scene.name, "presence", perPresenceUs(await repeat(scene, CLIQUES, "presence")));
  await scene.order({ kind: "disconnect" });
}

export async function rosterPushes(scene: Scene): Promise<void> {
  await scene.connect(ROSTER_WRITERS, false);
  scene.sheet.put(scene.name, "push", perPushUs(await repeat(scene, ROSTER_WRITERS, "roster")));
  await scene.order({ kind: "disconnect" });
}

/** With the archive on: what a message costs then, and reading it back. */
export async function archive(scene: Scene): Promise<void> {
  const { name, sheet, settings } = scene;
  // Fewer than elsewhere: a server that stores slowly must get through all of them in a moment.
  const size = settings.sessions / 20;
  await scene.connect(users(size), false);
  sheet.put(name, "archived", perMessageUs(await chat(scene, size, settings.seconds)));
  sheet.put(name, "history", perAnswerUs(await repeat(scene, HISTORY_READERS, "history")));
  await scene.order({ kind: "disconnect" });
}
