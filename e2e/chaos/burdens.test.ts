import { expect, test } from "vitest";
import { Burdens } from "./burdens.ts";
import type { FaultKind } from "./plan.ts";
import { ASKED_KINDS, CALM_MS, FAULT_KINDS } from "./plan.ts";

const KINDS: readonly FaultKind[] = [...FAULT_KINDS, ...ASKED_KINDS];

function burdensOf(goneMost = 1) {
  let nowMs = 0;
  const burdens = new Burdens(goneMost, () => nowMs);
  const pass = (ms: number) => {
    nowMs += ms;
  };
  return { burdens, pass };
}

test("after the calm of a series every fault may come, whatever was before", () => {
  for (const before of KINDS) {
    const { burdens, pass } = burdensOf();
    burdens.begin(before, "a")();
    pass(CALM_MS.least);
    expect(KINDS.filter((kind) => !burdens.bears(kind, "a"))).toEqual([]);
  }
});

test("no node goes while another is gone, or has just come back, unless that is asked for", () => {
  const { burdens, pass } = burdensOf();
  const end = burdens.begin("kill", "a");
  expect(KINDS.filter((kind) => !burdens.bears(kind, "b"))).toEqual(["kill", "pause", "roll"]);
  pass(60_000);
  end();
  expect(burdens.bears("pause", "b")).toBe(false);
  const { burdens: two } = burdensOf(2);
  two.begin("kill", "a");
  expect(two.bears("pause", "b")).toBe(true);
  two.begin("pause", "b");
  expect(two.bears("roll", "c")).toBe(false);
});

test("who is cut off from the other nodes does not go, and may be cut off from all else", () => {
  const { burdens } = burdensOf();
  burdens.begin("cut-mesh", "a");
  const barred = ["kill", "pause", "roll", "cut-mesh"];
  expect(KINDS.filter((kind) => !burdens.bears(kind, "a"))).toEqual(barred);
  expect(KINDS.filter((kind) => !burdens.bears(kind, "b"))).toEqual([]);
});

test("etcd and the store suffer one thing at a time", () => {
  const { burdens, pass } = burdensOf();
  const end = burdens.begin("etcd-gone", "");
  burdens.begin("pause-store", "");
  const barred = ["pause-etcd", "pause-store", "lose-etcd-leader", "fill-store", "etcd-gone"];
  expect(KINDS.filter((kind) => !burdens.bears(kind, "a"))).toEqual(barred);
  end();
  pass(CALM_MS.least);
  expect(burdens.bears("pause-etcd", "")).toBe(true);
});
