import { expect, test } from "vitest";
import type { Clock } from "../base/clock.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { LoopDelay } from "./loop-delay.ts";

/** A clock on which every timer fires so much later than it should. */
function late(clock: FakeClock) {
  const lateness = { ms: 0 };
  const slow: Clock = {
    nowMs: () => clock.nowMs(),
    monotonicMs: () => clock.monotonicMs(),
    after: (delayMs, callback) => clock.after(delayMs + lateness.ms, callback),
  };
  return { slow, lateness };
}

const KINDS = ["history", "connection"] as const;

test("history is put off first, and then new connections", () => {
  const clock = new FakeClock();
  const { slow, lateness } = late(clock);
  const delay = new LoopDelay(slow, 100);
  const putOffAt = (ms: number) => {
    lateness.ms = ms;
    clock.advance(100 * (250 + 2_000));
    return KINDS.filter((kind) => delay.isPutOff(kind));
  };
  expect(putOffAt(90)).toEqual([]);
  expect(putOffAt(110)).toEqual(["history"]);
  expect(putOffAt(490)).toEqual(["history"]);
  expect(putOffAt(510)).toEqual(["history", "connection"]);
  expect(putOffAt(0)).toEqual([]);
});

test("what waits puts off what comes after it, though timers are on time", () => {
  const clock = new FakeClock();
  const waitedMs = { history: 600, connection: 90 };
  const delay = new LoopDelay(clock, 100, (work) => waitedMs[work]);
  const putOff = () => {
    clock.advance(100 * 250);
    return KINDS.filter((kind) => delay.isPutOff(kind));
  };
  expect(putOff()).toEqual(["history"]);
  waitedMs.connection = 510;
  expect(putOff()).toEqual(["history", "connection"]);
});

test("a single stall puts off history for less than two seconds, and no connection", () => {
  const clock = new FakeClock();
  const { slow, lateness } = late(clock);
  const delay = new LoopDelay(slow, 200);
  lateness.ms = 1_000;
  clock.advance(250); // The next timer is set after this one, on time again.
  lateness.ms = 0;
  clock.advance(1_000);
  expect(delay.meanMs).toBeCloseTo(0, 0);
  lateness.ms = 1_000;
  clock.advance(250);
  clock.advance(1_000);
  expect(delay.isPutOff("history")).toBe(true);
  expect(delay.isPutOff("connection")).toBe(false);
  lateness.ms = 0;
  clock.advance(2_000);
  expect(delay.isPutOff("history")).toBe(false);
});

test("with 0 nothing is put off, and after the stop nothing is measured", () => {
  const clock = new FakeClock();
  const { slow, lateness } = late(clock);
  const delay = new LoopDelay(slow, 0);
  lateness.ms = 5_000;
  clock.advance(60_000);
  expect(delay.meanMs).toBeGreaterThan(1_000);
  expect(KINDS.filter((kind) => delay.isPutOff(kind))).toEqual([]);
  const before = delay.meanMs;
  delay.stop();
  clock.advance(60_000);
  expect(delay.meanMs).toBe(before);
});
