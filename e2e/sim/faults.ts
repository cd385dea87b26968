/** What goes wrong: each kind with what it does, for how long, and how it ends. */
import type { SimCluster } from "./cluster.ts";
import { ETCD } from "./etcd-client.ts";
import type { Invariant } from "./invariants.ts";
import type { SimNode } from "./node.ts";
import { LEASE_SECONDS } from "./node.ts";
import { STORE } from "./store.ts";

/** gRPC notices a dead connection after this long. */
const STREAM_DEAD_MS = 8_000;

/** What makes a node go. */
const ENDS = ["drain", "kill", "kill-at-step", "power-off"];
/** After that a dead node is known, and everything has a shadow again. */
export const SHADOWED_AFTER_MS = 12_000;
/** So soon after nodes can speak to each other again their sessions have shadows again. */
export const SHADOWED_SOON_MS = 3_500;
/** What makes nodes go, or keeps them from each other: sessions may have no shadow for a while. */
export const APART = ["cut-mesh", "cut-mesh-one-way", "slow-mesh", "pause", "drain"];
/** What keeps a node from the others or its routes, so that it may not be done with its drain in time. */
export const KEPT_BACK = [
  ...APART.filter((kind) => kind !== "drain"),
  "isolate",
  "cut-off",
  "cut-etcd",
  "cut-etcd-one-way",
  "slow-etcd",
  "etcd-away",
  "etcd-replies",
  "lose-lease",
  "pause-etcd",
  "etcd-gone",
];
/** What keeps a node from all others, until it ends. */
export const ALONE = ["isolate", "cut-off"];
/** How long etcd is gone. */
export const GONE_MS = 120_000;

type Fault = (cluster: SimCluster) => void;

const anyNode = ({ world, alive }: SimCluster): SimNode | undefined =>
  world.pick(alive.filter(({ isServing }) => isServing));

/** Cuts a direction, or both, for a while. */
function cut(cluster: SimCluster, one: string, other: string, isOneWay: boolean): void {
  const { world, network } = cluster;
  const forMs = world.between(500, 15_000);
  network.cut(one, other);
  if (!isOneWay) network.cut(other, one);
  world.after(forMs, () => {
    network.heal(one, other);
    network.heal(other, one);
  });
}

function cutNodes(cluster: SimCluster, isOneWay: boolean): void {
  const [one, other] = [anyNode(cluster), anyNode(cluster)];
  if (one === undefined || other === undefined || one === other) return;
  const arrow = isOneWay ? "->" : "<->";
  const kind = isOneWay ? "cut-mesh-one-way" : "cut-mesh";
  cluster.world.fault(kind, `${one.machine} ${arrow} ${other.machine}`);
  cut(cluster, one.machine, other.machine, isOneWay);
}

/** A node and all others. @param besides what it does not reach either */
function isolate(
  cluster: SimCluster,
  kind: string,
  besides: readonly string[],
): SimNode | undefined {
  const { world, network, alive } = cluster;
  const node = anyNode(cluster);
  if (node === undefined) return undefined;
  const forMs = world.between(500, 15_000);
  world.fault(kind, `${node.machine} for ${Math.round(forMs)} ms`, forMs);
  const others = alive.filter((one) => one !== node).map(({ machine }) => machine);
  const ways = [...others, ...besides].flatMap((machine) => [
    [node.machine, machine] as const,
    [machine, node.machine] as const,
  ]);
  for (const [from, to] of ways) network.cut(from, to);
  world.after(forMs, () => {
    for (const [from, to] of ways) network.heal(from, to);
  });
  return node;
}

/** Only clients reach it. */
function cutOff(cluster: SimCluster): void {
  const node = isolate(cluster, "cut-off", [ETCD, STORE]);
  if (node !== undefined) breakSilent(cluster, node, [node.machine, ETCD]);
}

function cutEtcd(cluster: SimCluster, isOneWay: boolean): void {
  const node = anyNode(cluster);
  if (node === undefined) return;
  const { world } = cluster;
  const ends = [node.machine, ETCD] as const;
  const [one, other] = isOneWay && world.isSo(0.5) ? ([ends[1], ends[0]] as const) : ends;
  const kind = isOneWay ? "cut-etcd-one-way" : "cut-etcd";
  world.fault(kind, `${one} ${isOneWay ? "->" : "<->"} ${other}`);
  cut(cluster, one, other, isOneWay);
  breakSilent(cluster, node, [one, other]);
}

/** Its streams to etcd end, if nothing passes that way by then. */
function breakSilent(
  { world, network }: SimCluster,
  { etcd }: SimNode,
  [from, to]: readonly [string, string],
): void {
  world.after(STREAM_DEAD_MS, () => {
    if (network.isCut(from, to)) etcd.breakStreams();
  });
}

function cutStore(cluster: SimCluster): void {
  const node = anyNode(cluster);
  if (node === undefined) return;
  cluster.world.fault("cut-store", `${node.machine} <-> ${STORE}`);
  cut(cluster, node.machine, STORE, false);
}

/** Something is wrong with a shared part for a while. */
const forAWhile = (
  cluster: SimCluster,
  kind: string,
  worst: number,
  set: (value: number) => void,
) => {
  const { world } = cluster;
  world.fault(kind, "for a while");
  set(world.between(0.05, worst));
  world.after(world.between(500, 6_000), () => set(0));
};

function slow(cluster: SimCluster, kind: string, toward: string | undefined): void {
  const { world, network } = cluster;
  const node = anyNode(cluster);
  const other = toward ?? anyNode(cluster)?.machine;
  if (node === undefined || other === undefined || node.machine === other) return;
  world.fault(kind, `${node.machine} <-> ${other}`);
  const set = (factor: number) => {
    network.slow(node.machine, other, factor);
    network.slow(other, node.machine, factor);
  };
  set(world.between(5, 300));
  world.after(world.between(500, 10_000), () => set(1));
}

function pause(cluster: SimCluster): void {
  const { world, isOneAtATime } = cluster;
  const node = anyNode(cluster);
  if (node === undefined || node.isPaused) return;
  // Longer than a lease, it is a death to others.
  if (isOneAtATime && world.hadFault(["pause", ...ENDS], SHADOWED_AFTER_MS)) return;
  const forMs = world.isSo(isOneAtATime ? 0.2 : 0.7)
    ? world.between(50, 4_000)
    : world.between(4_000, 15_000);
  world.fault("pause", `${node.machine} for ${Math.round(forMs)} ms`, forMs);
  node.pause();
  world.after(forMs, () => node.goOn());
}

/** One node connects to etcd later than another. */
function reachLate({ world, network }: SimCluster, machine: string): void {
  network.cut(machine, ETCD);
  world.after(world.between(0, 5_000), () => network.heal(machine, ETCD));
}

/** etcd stands still for longer than leases last, and nodes reach it one after the other when it goes on. */
function standStill(cluster: SimCluster, kind: string, forMs: number, onOver: () => void): void {
  const { world, etcdHealth, model } = cluster;
  world.fault(kind, `for ${Math.round(forMs)} ms`, forMs);
  etcdHealth.isAway = true;
  model.pause();
  world.after(forMs, () => {
    etcdHealth.isAway = false;
    model.goOn();
    world.say("etcd goes on");
    for (const { machine } of cluster.alive) reachLate(cluster, machine);
    onOver();
  });
}

/** etcd stands still until all nodes have lost their leases; soon after it goes on, one of them dies. */
function pauseEtcd(cluster: SimCluster): void {
  const { world } = cluster;
  // What came of it is not over.
  if (world.hadFault(["pause-etcd", "etcd-gone"], SHADOWED_AFTER_MS)) return;
  const forMs = LEASE_SECONDS * 1_000 + world.between(500, 6_000);
  standStill(cluster, "pause-etcd", forMs, () => {
    const kind = world.isSo(0.5) ? "kill" : "power-off";
    world.after(world.between(0, 8_000), () => FAULTS[kind](cluster));
  });
}

/** Once a story: it is a long one. */
function loseEtcd(cluster: SimCluster): void {
  const { world } = cluster;
  if (world.faults.has("etcd-gone") || world.hadFault(["pause-etcd"], SHADOWED_AFTER_MS)) return;
  standStill(cluster, "etcd-gone", GONE_MS, () => {});
}

function jump(cluster: SimCluster): void {
  const { world } = cluster;
  const node = anyNode(cluster);
  if (node === undefined) return;
  node.clock.skewMs = world.isSo(0.5) ? 0 : world.between(-600_000, 600_000);
  world.fault("jump-clock", `${node.machine} is ${Math.round(node.clock.skewMs / 1_000)} s off`);
}

function loseLease(cluster: SimCluster): void {
  const { world, model } = cluster;
  const node = anyNode(cluster);
  const record = model.keys().find(({ key }) => key.toString() === `/zonda/nodes/${node?.machine}`);
  if (record === undefined) return;
  world.fault("lose-lease", `${node?.machine} (${record.lease})`);
  model.revoke(record.lease);
}

/** Never the last one: a service that is gone altogether promises nothing. */
function end(cluster: SimCluster, kind: string, how: (node: SimNode) => void): void {
  const { world, alive, isOneAtATime } = cluster;
  const node = anyNode(cluster);
  if (node === undefined || alive.filter(({ isServing }) => isServing).length < 2) return;
  if (isOneAtATime && world.hadFault(ENDS, SHADOWED_AFTER_MS)) return;
  world.fault(kind, node.machine);
  how(node);
}

const restartLater = (cluster: SimCluster, node: SimNode) => {
  const { world } = cluster;
  world.after(world.between(500, 8_000), () => cluster.restart(node));
};

export const FAULTS = {
  drop: (cluster) => {
    const device = cluster.world.pick(cluster.devices.filter(({ isOffline }) => !isOffline));
    if (device === undefined) return;
    cluster.world.fault("drop", device.full);
    device.lose(false, true);
  },
  silence: (cluster) => {
    const device = cluster.world.pick(cluster.devices.filter(({ isOffline }) => !isOffline));
    if (device === undefined) return;
    cluster.world.fault("silence", device.full);
    device.lose(true, true);
  },
  stall: (cluster) => {
    const device = cluster.world.pick(cluster.devices.filter(({ isBound }) => isBound));
    if (device === undefined) return;
    cluster.world.fault("stall", device.full);
    device.stall(cluster.world.between(100, 8_000));
  },
  "cut-mesh": (cluster) => cutNodes(cluster, false),
  "cut-mesh-one-way": (cluster) => cutNodes(cluster, true),
  "slow-mesh": (cluster) => slow(cluster, "slow-mesh", undefined),
  "cut-etcd": (cluster) => cutEtcd(cluster, false),
  "cut-etcd-one-way": (cluster) => cutEtcd(cluster, true),
  "slow-etcd": (cluster) => slow(cluster, "slow-etcd", ETCD),
  "etcd-away": (cluster) => {
    const { world, etcdHealth } = cluster;
    world.fault("etcd-away", "for a while");
    etcdHealth.isAway = true;
    world.after(world.between(300, 9_000), () => {
      etcdHealth.isAway = world.hadFault(["etcd-gone"], 0);
    });
  },
  "etcd-replies": (cluster) =>
    forAWhile(cluster, "etcd-replies", 0.6, (value) => {
      cluster.etcdHealth.lostReplies = value;
    }),
  "break-streams": (cluster) => {
    const node = anyNode(cluster);
    if (node === undefined) return;
    cluster.world.fault("break-streams", node.machine);
    node.etcd.breakStreams();
  },
  "lose-lease": loseLease,
  "slow-store": (cluster) => slow(cluster, "slow-store", STORE),
  "store-failures": (cluster) =>
    forAWhile(cluster, "store-failures", 0.5, (value) => {
      cluster.store.health.failures = value;
    }),
  "store-replies": (cluster) =>
    forAWhile(cluster, "store-replies", 0.5, (value) => {
      cluster.store.health.lostReplies = value;
    }),
  pause: pause,
  "jump-clock": jump,
  drain: (cluster) =>
    end(cluster, "drain", (node) => {
      void node.drain().then(() => restartLater(cluster, node));
    }),
  kill: (cluster) =>
    end(cluster, "kill", (node) => {
      node.kill("at once");
      restartLater(cluster, node);
    }),
  "kill-at-step": (cluster) =>
    end(cluster, "kill-at-step", (node) => {
      node.light(cluster.world.integer(1, 60));
      cluster.world.after(5_000, () => {
        node.kill("by the way");
        restartLater(cluster, node);
      });
    }),
  "power-off": (cluster) =>
    end(cluster, "power-off", (node) => {
      node.vanish();
      restartLater(cluster, node);
    }),
  isolate: (cluster) => void isolate(cluster, "isolate", []),
  "pause-etcd": pauseEtcd,
  "etcd-gone": loseEtcd,
  "cut-store": cutStore,
  "store-away": (cluster) => {
    const { world, store } = cluster;
    world.fault("store-away", "for a while");
    store.health.isAway = true;
    world.after(world.between(300, 9_000), () => {
      store.health.isAway = false;
    });
  },
  "cut-off": cutOff,
} as const satisfies Record<string, Fault>;
export type FaultKind = keyof typeof FAULTS;
/** Drawn only where they are asked for: otherwise the seeds that there are would tell other stories. */
export const ASKED_KINDS: readonly FaultKind[] = [
  "etcd-gone",
  "cut-store",
  "store-away",
  "cut-off",
];
const ALL_KINDS = Object.keys(FAULTS) as FaultKind[];
export const FAULT_KINDS = ALL_KINDS.filter((kind) => !ASKED_KINDS.includes(kind));

export interface Unheld {
  readonly invariant: Invariant;
  readonly reason: string;
  /** It holds in stories in which no node dies or stands still while another does. */
  readonly isOfSeveral?: true;
}

/** What does not hold whatever goes wrong. */
export const UNHELD_ALWAYS: readonly string[] = [
  "with several devices a message may come once more, and late, to one that has it",
  "a session that was resumed on another node may be given again what it had acknowledged: of a " +
    "stored message while the first node has the claim, or if another device did not acknowledge it",
  "what a client sends again after its node's death comes again to a session that has begun since, if " +
    "whoever knows that it was acknowledged is silent, or that session has moved",
  "an error that answers a message is lost with the session of its sender",
  "what a session was passed over for, and its user's other devices got, is lost to it with the node " +
    "that it came in at",
  "what was stored by a node that died before it could tell anybody waits for the next login",
  "that a session has gone is told again to a client that resumes, if the node that told it stood still or was cut off",
];

const MESH: readonly Unheld[] = [
  {
    invariant: "repeated",
    reason: "what is in doubt three times over is stored, and may be there twice",
  },
  { invariant: "order", reason: "what is stored in doubt comes later than what is sent after it" },
  {
    invariant: "missed",
    reason:
      "a session whose node is not reached for long goes on without what its other devices got",
  },
];

/** While such a fault lasts, a client may be given what no other node knows of. */
export const UNMIRRORED: readonly FaultKind[] = [
  "cut-mesh",
  "cut-mesh-one-way",
  "slow-mesh",
  "isolate",
  "cut-off",
  "pause",
];

/** Who stands still may be asked, or be the one that knows, when another one does. */
const STANDSTILL = MESH.map((one): Unheld => ({ ...one, isOfSeveral: true }));

/**
 * What does not hold yet, so that it is not checked in stories with such faults: each line goes when
 * it does. See docs/architecture.md as well.
 */
export const UNHELD: Readonly<Partial<Record<FaultKind, readonly Unheld[]>>> = {
  "jump-clock": [
    {
      invariant: "order",
      reason: "stored messages sort by the clocks of the nodes that took them",
    },
  ],
  "cut-mesh": MESH,
  "cut-mesh-one-way": MESH,
  "slow-mesh": MESH,
  isolate: MESH,
  "cut-off": MESH,
  pause: STANDSTILL,
  "lose-lease": [
    {
      invariant: "claims",
      reason: "a lease that somebody revoked is not given up before it is gone",
    },
  ],
};
