/** What goes wrong and when: everything follows from the seed, so that a run can be told again. */
import { seeded } from "../../node/modules/testing/weather.ts";

export const FAULT_KINDS = [
  "kill",
  "pause",
  "roll",
  "cut-etcd",
  "cut-mesh",
  "cut-store",
  "pause-etcd",
  "pause-store",
  "lose-etcd-leader",
  "fill-store",
] as const;
/** Drawn only where they are asked for: otherwise the seeds that there are would tell other series. */
export const ASKED_KINDS = ["etcd-gone"] as const;

export type FaultKind = (typeof FAULT_KINDS | typeof ASKED_KINDS)[number];

export interface Fault {
  readonly kind: FaultKind;
  /** Milliseconds after the begin of the trouble. */
  readonly atMs: number;
  readonly forMs: number;
  /** Which node, as a number that is taken modulo the nodes that run then. */
  readonly node: number;
}

/** Between two faults of a series everything is whole for this long, so that each is seen by itself. */
export const CALM_MS = { least: 3_000, most: 9_000 };
/** Longer than a lease for some of them, shorter for others. */
const TROUBLE_MS: Readonly<Record<FaultKind, readonly [number, number]>> = {
  kill: [1_000, 4_000],
  pause: [2_000, 14_000],
  roll: [1_000, 2_000],
  "cut-etcd": [2_000, 14_000],
  "cut-mesh": [1_000, 10_000],
  "cut-store": [1_000, 8_000],
  "pause-etcd": [1_000, 12_000],
  "pause-store": [1_000, 8_000],
  "lose-etcd-leader": [1_000, 8_000],
  "fill-store": [3_000, 10_000],
  "etcd-gone": [120_000, 120_000],
};

/** So that the series of one run are not those of the next seeds. */
const SEED_STEP = 1_000_003;

/** So many series at the same time, of which the first is that of the seed alone. */
export const planSeries = (
  seed: number,
  forMs: number,
  kinds: readonly FaultKind[],
  atOnce: number,
): readonly (readonly Fault[])[] =>
  Array.from({ length: atOnce }, (_, index) => planFaults(seed + index * SEED_STEP, forMs, kinds));

/** The faults of one series, one after another, for `forMs` milliseconds. */
export function planFaults(
  seed: number,
  forMs: number,
  kinds: readonly FaultKind[] = FAULT_KINDS,
): readonly Fault[] {
  const fraction = seeded(seed);
  const between = (least: number, most: number) => Math.round(least + fraction() * (most - least));
  const faults: Fault[] = [];
  let atMs = between(CALM_MS.least, CALM_MS.most);
  while (atMs < forMs) {
    const kind = kinds[Math.floor(fraction() * kinds.length)] as FaultKind;
    const trouble = between(...TROUBLE_MS[kind]);
    faults.push({ kind, atMs, forMs: trouble, node: between(0, 1_000) });
    atMs += trouble + between(CALM_MS.least, CALM_MS.most);
  }
  return faults;
}
