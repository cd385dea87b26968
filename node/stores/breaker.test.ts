import { expect, test } from "vitest";
import { Breaker } from "./breaker.ts";

/** One call that ends at once. */
function call(breaker: Breaker, hasFailed: boolean, nowMs: number) {
  const ticket = breaker.admit(nowMs);
  return ticket === undefined ? "refused" : breaker.ended(ticket, hasFailed, nowMs);
}

function opened(nowMs = 0): Breaker {
  const breaker = new Breaker();
  for (let count = 1; count < 10; count += 1) expect(call(breaker, true, nowMs)).toBeUndefined();
  expect(call(breaker, true, nowMs)).toBe("open");
  return breaker;
}

test("it opens at the tenth failure when half of the calls fail", () => {
  const breaker = new Breaker();
  for (let count = 0; count < 9; count += 1) {
    expect(call(breaker, false, 0)).toBeUndefined();
    expect(call(breaker, true, 0)).toBeUndefined();
  }
  expect(call(breaker, false, 0)).toBeUndefined();
  expect(call(breaker, true, 0)).toBe("open");
  expect(call(breaker, false, 0)).toBe("refused");
});

test("it stays closed while more than half of the calls succeed, however many fail", () => {
  const breaker = new Breaker();
  for (let count = 0; count < 1_000; count += 1) {
    for (const hasFailed of [false, false, true]) {
      expect(call(breaker, hasFailed, 0)).toBeUndefined();
    }
  }
});

test("failures that are long ago do not count", () => {
  const breaker = new Breaker();
  for (let count = 0; count < 1_000; count += 1) {
    expect(call(breaker, true, count * 600)).toBeUndefined();
  }
});

test("after the pause one call tries, and the others go on waiting for it", () => {
  const breaker = opened(1_000);
  expect(breaker.pauseLeftMs(1_000)).toBe(500);
  expect(breaker.admit(1_499)).toBeUndefined();
  const ticket = breaker.admit(1_500);
  expect(ticket).toBeDefined();
  expect(breaker.admit(9_999)).toBeUndefined();
  expect(breaker.pauseLeftMs(9_999)).toBeUndefined();
  expect(breaker.ended(ticket as number, false, 2_000)).toBe("closed");
  expect(breaker.isOpen).toBe(false);
  expect(call(breaker, true, 2_000)).toBeUndefined();
});

test("each try that fails doubles the pause, up to five seconds", () => {
  const breaker = opened();
  let nowMs = 0;
  const pauses: number[] = [];
  for (let count = 0; count < 6; count += 1) {
    pauses.push(breaker.pauseLeftMs(nowMs) as number);
    nowMs += pauses.at(-1) as number;
    expect(call(breaker, true, nowMs)).toBeUndefined();
    expect(breaker.isOpen).toBe(true);
  }
  expect(pauses).toEqual([500, 1_000, 2_000, 4_000, 5_000, 5_000]);
  nowMs += 5_000;
  expect(call(breaker, false, nowMs)).toBe("closed");
});

test("a call from before it opened says nothing about now", () => {
  const breaker = new Breaker();
  const old = breaker.admit(0) as number;
  for (let count = 0; count < 10; count += 1) call(breaker, true, 0);
  const trial = breaker.admit(500) as number;
  expect(breaker.ended(old, false, 500)).toBeUndefined();
  expect(breaker.isOpen).toBe(true);
  expect(breaker.ended(trial, true, 500)).toBeUndefined();
  expect(breaker.pauseLeftMs(500)).toBe(1_000);
});
