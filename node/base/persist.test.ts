import { expect, test } from "vitest";
import { Unavailable } from "./errors.ts";
import { FakeClock } from "./fake-clock.ts";
import { silentLog } from "./log.ts";
import { persist } from "./persist.ts";

/** Lets pending promises go on, then moves time, until the work is settled. */
async function run<T>(clock: FakeClock, work: Promise<T>): Promise<T> {
  let isSettled = false;
  const done = () => {
    isSettled = true;
  };
  work.then(done, done);
  while (!isSettled) {
    await new Promise((resolve) => setImmediate(resolve));
    clock.advance(100);
  }
  return work;
}

test("persist tries again until what it opens is available", async () => {
  const clock = new FakeClock();
  let attempts = 0;
  const open = async () => {
    attempts += 1;
    if (attempts < 4) throw new Unavailable("store-unavailable", "Cannot open: away");
    return "open";
  };
  const patience = { clock, log: silentLog, forMs: 60_000 };
  expect(await run(clock, persist("store", open, patience))).toBe("open");
  expect(attempts).toBe(4);
});

test("persist gives up when the time is over, and at once on any other error", async () => {
  const clock = new FakeClock();
  const patience = { clock, log: silentLog, forMs: 5_000 };
  const away = () => Promise.reject(new Unavailable("x", "Cannot open: away"));
  await expect(run(clock, persist("store", away, patience))).rejects.toThrow("away");
  expect(clock.monotonicMs()).toBeLessThanOrEqual(6_000);
  let attempts = 0;
  const wrong = async () => {
    attempts += 1;
    throw new Error("wrong");
  };
  await expect(persist("store", wrong, patience)).rejects.toThrow("wrong");
  expect(attempts).toBe(1);
});
