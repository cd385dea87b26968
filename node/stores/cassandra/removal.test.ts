import { describe, expect, test } from "vitest";
import { planRemoval, RUN_MIN } from "./removal.ts";

const NOW_MS = 1_000_000_000;
const OLD_US = (NOW_MS - 3_600_000) * 1_000;
const FRESH_US = (NOW_MS - 1_000) * 1_000;

const id = (index: number) => `id-${String(index).padStart(4, "0")}`;
const ids = (from: number, to: number) =>
  Array.from({ length: to - from }, (_, offset) => id(from + offset));
const marks = (from: number, to: number, writtenUs = OLD_US) =>
  ids(from, to).map((name, offset) => ({ id: name, writtenUs: writtenUs + offset }));

describe("removing queued messages", () => {
  test("makes one range of a run of old messages, stamped as its newest", () => {
    expect(planRemoval(new Set(ids(0, 100)), marks(0, 100), NOW_MS)).toEqual({
      ranges: [{ fromId: id(0), toId: id(99), stampUs: OLD_US + 99 }],
      ids: [],
    });
  });

  test("never spans a message that is to stay", () => {
    const wanted = new Set([...ids(0, 20), ...ids(21, 41)]);
    expect(planRemoval(wanted, marks(0, 41), NOW_MS)).toEqual({
      ranges: [
        { fromId: id(0), toId: id(19), stampUs: OLD_US + 19 },
        { fromId: id(21), toId: id(40), stampUs: OLD_US + 40 },
      ],
      ids: [],
    });
  });

  test("takes messages one by one that were written a moment ago, or whose time is unknown", () => {
    const stored = [
      ...marks(0, 20),
      ...marks(20, 40, FRESH_US),
      { id: id(40), writtenUs: Infinity },
    ];
    expect(planRemoval(new Set(ids(0, 41)), stored, NOW_MS)).toEqual({
      ranges: [{ fromId: id(0), toId: id(19), stampUs: OLD_US + 19 }],
      ids: ids(20, 41),
    });
  });

  test("takes short runs one by one, and nothing that is not there", () => {
    const stored = marks(0, RUN_MIN - 1);
    expect(planRemoval(new Set(ids(0, 100)), stored, NOW_MS)).toEqual({
      ranges: [],
      ids: ids(0, RUN_MIN - 1),
    });
    expect(planRemoval(new Set(), marks(0, 50), NOW_MS)).toEqual({ ranges: [], ids: [] });
  });
});
