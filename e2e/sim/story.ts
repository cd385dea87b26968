/** One story, told by its seed: people talk while things go wrong, then everything is put right. */

import type { Broken, Release } from "./cluster.ts";
import { SimCluster } from "./cluster.ts";
import type { Device } from "./device.ts";
import type { FaultKind } from "./faults.ts";
import {
  ALONE,
  APART,
  FAULTS,
  GONE_MS,
  KEPT_BACK,
  SHADOWED_AFTER_MS,
  SHADOWED_SOON_MS,
  UNHELD,
} from "./faults.ts";
import { Checks } from "./invariants.ts";
import type { Session } from "./ledger.ts";
import { Ledger } from "./ledger.ts";
import type { SimNode } from "./node.ts";
import { LEASE_SECONDS, RESUME_SECONDS } from "./node.ts";

export interface Told {
  readonly seed: number;
  readonly lines: readonly string[];
  readonly events: number;
  readonly faults: number;
  readonly messages: number;
  readonly broken: readonly Broken[];
}

const START_MS = 5_000;
const TROUBLE_MS = 45_000;
/** Leases lapse, windows close, and clients that were silent are found out. */
const REST_MS = (LEASE_SECONDS + RESUME_SECONDS) * 1_000 + 130_000;
const END_MS = 60_000;
/** While nobody who leaves can come back: people stay, or nobody would be left to speak. */
const STAYS = 0.998;

/**
 * @param kinds what may go wrong
 * @param isStrict checks also what is known not to hold
 * @param releases that nodes are of; this one if left out
 * @param atOnceMax how many messages somebody sends to somebody at once, at most
 */
export async function tell(
  seed: number,
  kinds: readonly FaultKind[],
  isStrict = false,
  releases?: readonly Release[],
  atOnceMax = 1,
): Promise<Told> {
  const cluster = new SimCluster(seed, sizesOf(seed), releases);
  const { world, ledger } = cluster;
  const checks = new Checks(cluster);
  const check = () => checks.afterEvent();
  let lastDeathMs = Number.NEGATIVE_INFINITY;
  const doubt = (why: string) => {
    // It had in its hands what is not in one place that survives yet.
    // What is stored may be with a client already: it was to be removed.
    const stored = cluster.store.storedIds();
    for (const said of ledger.said.values()) {
      const isSure = said.isAccepted && Ledger.isDone(said);
      if (!Ledger.isSpread(said)) said.mayBeMissed = true;
      if (stored.has(said.id) || !isSure) said.doubt ??= why;
    }
  };
  cluster.listen({
    onMessage: (...message) => checks.onMessage(...message),
    onThere: (device) => checks.onThere(device),
    onDeath(node) {
      const isFirst = world.nowMs - lastDeathMs > SHADOWED_AFTER_MS;
      lastDeathMs = world.nowMs;
      const { length: serving } = cluster.alive.filter(({ isServing }) => isServing);
      // One death loses nothing, where another node can have been a shadow.
      const isApart =
        world.hadFault(APART, SHADOWED_AFTER_MS) || world.hadFault(ALONE, SHADOWED_SOON_MS);
      if (isFirst && serving >= 2 && !isApart) return;
      doubt(`${node.machine} died`);
      linger(cluster, node);
    },
    onGone(node) {
      forget(cluster, node);
      forgetLate(cluster, node);
    },
    onLeftLate(node) {
      // Otherwise it has to be in time.
      if (world.hadFault(KEPT_BACK, SHADOWED_AFTER_MS)) doubt(`${node.machine} left late`);
    },
  });
  await world.run(START_MS, check);
  cluster.isOneAtATime = seed % 2 === 0;
  // What lasts that long is to begin and to end in it.
  const untilMs = START_MS + TROUBLE_MS + (kinds.includes("etcd-gone") ? GONE_MS : 0);
  startTalking(cluster, seed, atOnceMax, untilMs);
  startTrouble(cluster, kinds, untilMs);
  if (isStrict) cluster.unheld = new Set();
  await world.run(untilMs, check);
  await putRight(cluster, check);
  checks.atRest();
  world.say("everybody comes");
  for (const device of cluster.devices) device.come();
  await world.run(world.nowMs + END_MS, check);
  checks.atRest();
  checks.atEnd();
  const faults = [...world.faults.values()].reduce((sum, count) => sum + count, 0);
  const { story: lines, events } = world;
  return { seed, lines, events, faults, messages: ledger.said.size, broken: cluster.broken };
}

/** Who were shown to each other at a node without shadows: nobody knows that any more. */
function linger({ devices }: SimCluster, gone: SimNode): void {
  const there = devices.filter(({ node }) => node === gone);
  for (const { seen, lingering } of there) {
    for (const { full } of there) if (seen.has(full)) lingering.add(full);
  }
}

/**
 * What a session was passed over for that nobody has taken over yet, or that was out of reach, the node remembers that
 * it came in at. With that one it is lost to the session, whatever the other devices have.
 */
function forget({ world, devices, alive, ledger }: SimCluster, gone: SimNode): void {
  if ((gone.parts.router?.stats().passedOver ?? 0) === 0) return;
  const isKeptBack = world.hadFault(KEPT_BACK, SHADOWED_AFTER_MS);
  const others = alive.filter((node) => node !== gone);
  const isOut = (full: string) => {
    const id = devices.find((device) => device.full === full)?.sessionId;
    return isKeptBack || !others.some(({ sessions }) => sessions.get(full)?.id === id);
  };
  for (const said of ledger.said.values()) {
    const { entries, awaited, copies } = said;
    const lacks = ({ session }: Session) => !copies.some((copy) => copy.session === session);
    const isOver = awaited.some((one) => lacks(one) && isOut(one.device));
    if (isOver && entries.has(gone.machine)) said.mayBeMissed = true;
  }
}

/** What was late for the archive is lost to it with its node. */
function forgetLate({ ledger }: SimCluster, { machine, parts }: SimNode): void {
  if ((parts.counts?.archive?.late ?? 0) === 0) return;
  for (const said of ledger.said.values()) said.mayBeUnarchived ||= said.entries.has(machine);
}

/** In some stories with two devices each fourth message is for one of them. */
const nameFor = ({ ledger }: SimCluster, seed: number): string => {
  const count = ledger.said.size;
  return seed % 7 === 1 && count % 4 === 0 ? `device${1 + ((count / 4) % 2)}` : "";
};

/** Small clusters and big ones, people with one device and with two. */
const sizesOf = (seed: number) => ({
  nodes: 2 + (seed % 3),
  users: 3 + (seed % 2),
  devices: seed % 7 < 2 ? 2 : 1,
});

/** Until trouble is over, everybody comes and goes, and says something now and then. */
function startTalking(cluster: SimCluster, seed: number, atOnceMax: number, untilMs: number): void {
  const { world, devices, users } = cluster;
  const speak = (device: Device, user: string) => {
    const count = atOnceMax === 1 ? 1 : world.integer(1, atOnceMax);
    for (let left = count; left > 0; left -= 1) device.speak(user, nameFor(cluster, seed));
  };
  for (const device of devices) {
    const others = users.filter((user) => user !== device.user);
    const act = () => {
      if (world.nowMs >= untilMs) return;
      const dice = world.fraction();
      if (device.isBound && dice < 0.85) speak(device, world.pick(others) ?? device.user);
      else if (!device.isWanted) device.come();
      else if (dice > (world.hadFault(["etcd-gone"], 0) ? STAYS : 0.97)) device.leave();
      world.after(world.between(20, 2_000), act);
    };
    world.after(world.between(0, 3_000), act);
  }
}

function startTrouble(cluster: SimCluster, kinds: readonly FaultKind[], untilMs: number): void {
  const { world } = cluster;
  if (kinds.length === 0) return;
  // Few kinds a story, so that stories differ, and some are about one thing only.
  const count = world.integer(1, Math.min(6, kinds.length));
  const chosen = Array.from({ length: count }, () => world.pick(kinds) as FaultKind);
  world.say(`trouble: ${[...new Set(chosen)].join(", ")}`);
  const all = chosen.flatMap((kind) => UNHELD[kind] ?? []);
  const unheld = all.filter(({ isOfSeveral }) => !isOfSeveral || !cluster.isOneAtATime);
  cluster.unheld = new Set(unheld.map(({ invariant }) => invariant));
  const strike = () => {
    if (world.nowMs >= untilMs) return;
    FAULTS[world.pick(chosen) as FaultKind](cluster);
    world.after(world.between(200, 6_000), strike);
  };
  world.after(world.between(0, 4_000), strike);
}

/** Nothing is wrong from now on, and some stay away for good. */
async function putRight(cluster: SimCluster, check: () => void): Promise<void> {
  const { world, network, etcdHealth, store, devices } = cluster;
  world.say("everything is put right");
  etcdHealth.isAway = false;
  cluster.model.goOn();
  etcdHealth.lostReplies = 0;
  store.health.failures = 0;
  store.health.lostReplies = 0;
  store.health.isAway = false;
  for (const node of cluster.alive) {
    node.goOn();
    node.clock.skewMs = 0;
  }
  network.healAll(); // What waited at a paused node comes before what is new.
  for (const device of devices) {
    const dice = world.fraction();
    if (dice < 0.4) device.lose(dice < 0.2, false);
    else device.come();
  }
  await world.run(world.nowMs + REST_MS, check);
}
