import { expect, test } from "vitest";
import type { Fault } from "./plan.ts";
import { ASKED_KINDS, CALM_MS, FAULT_KINDS, planFaults, planSeries } from "./plan.ts";

const MINUTES_10 = 600_000;

const words = ({ kind, atMs, forMs, node }: Fault) => `${atMs} ${kind} ${node} ${forMs}`;

test("a seed tells the series that it always told", () => {
  expect(planFaults(110, 60_000).map(words)).toEqual([
    "3765 pause-store 757 6792",
    "14997 cut-etcd 60 10780",
    "33598 pause-etcd 943 2818",
    "41078 lose-etcd-leader 737 7962",
    "54428 roll 645 1198",
  ]);
});

test("what is asked for by name is not drawn otherwise", () => {
  const kinds = new Set(planFaults(1, 100 * MINUTES_10).map(({ kind }) => kind));
  expect([...kinds].sort()).toEqual([...FAULT_KINDS].sort());
  const [gone] = planFaults(1, MINUTES_10, ASKED_KINDS);
  expect(gone).toMatchObject({ kind: "etcd-gone", forMs: 120_000 });
});

test("of several series the first is that of the seed, and the others differ from it", () => {
  const [first, second, ...rest] = planSeries(7, MINUTES_10, FAULT_KINDS, 2);
  expect(rest).toEqual([]);
  expect(first).toEqual(planFaults(7, MINUTES_10));
  expect(second).not.toEqual(first);
  expect(planSeries(7, MINUTES_10, FAULT_KINDS, 2)[1]).toEqual(second);
});

test("within a series the cluster is whole between two faults", () => {
  for (const series of planSeries(3, MINUTES_10, FAULT_KINDS, 3)) {
    for (const [index, { atMs, forMs }] of series.slice(0, -1).entries()) {
      const calmMs = (series[index + 1] as Fault).atMs - (atMs + forMs);
      expect(calmMs).toBeGreaterThanOrEqual(CALM_MS.least);
    }
  }
});
