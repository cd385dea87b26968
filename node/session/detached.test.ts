import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { Detached } from "./detached.ts";

const WINDOW_MS = 20_000;

/** One session whose stream broke; the test says whether clients can log in. */
function bench() {
  const clock = new FakeClock();
  const now = { canLogIn: true, ended: 0, asked: 0 };
  const detached = new Detached({
    clock,
    sessionsMax: 10,
    canComeBack: async () => {
      now.asked += 1;
      return now.canLogIn;
    },
    onExpired: () => undefined,
  });
  const session = {
    isClaimed: false,
    close() {
      now.ended += 1;
    },
  };
  detached.add(session, WINDOW_MS);
  /** Second by second, since each look waits for an answer. */
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= 1_000) {
      clock.advance(Math.min(left, 1_000));
      await new Promise<void>((resolve) => setImmediate(resolve));
    }
  };
  return { clock, now, detached, session, pass };
}

test("a session whose window is over ends", async () => {
  const { now, detached, pass } = bench();
  await pass(WINDOW_MS - 1_000);
  expect(now.ended).toBe(0);
  await pass(1_000);
  expect([now.ended, detached.size]).toEqual([1, 0]);
});

test("while nobody can log in no window ends, nor for a moment after that", async () => {
  const { now, pass } = bench();
  now.canLogIn = false;
  await pass(10 * WINDOW_MS);
  expect(now.ended).toBe(0);
  now.canLogIn = true;
  await pass(59_000);
  expect(now.ended).toBe(0);
  await pass(2_000);
  expect(now.ended).toBe(1);
});

test("also when the store is back before a window would have ended", async () => {
  const { now, pass } = bench();
  now.canLogIn = false;
  await pass(WINDOW_MS - 1_000);
  now.canLogIn = true;
  await pass(58_000);
  expect(now.ended).toBe(0);
  await pass(2_000);
  expect(now.ended).toBe(1);
});

test("nor that of one who nearly went elsewhere meanwhile", async () => {
  const { now, detached, session, pass } = bench();
  const other = { isClaimed: false, close: () => undefined };
  detached.add(other, WINDOW_MS);
  now.canLogIn = false;
  await pass(10 * WINDOW_MS);
  detached.remove(session);
  now.canLogIn = true;
  await pass(10_000);
  detached.add(session, WINDOW_MS);
  await pass(49_000);
  expect(now.ended).toBe(0);
  await pass(2_000);
  expect(now.ended).toBe(1);
});

test("but nobody is waited for for ever", async () => {
  const { now, pass } = bench();
  now.canLogIn = false;
  await pass(WINDOW_MS + 620_000);
  expect(now.ended).toBe(1);
});

test("who is back while the store is asked has not ended", async () => {
  const { clock, now, detached, session } = bench();
  clock.advance(WINDOW_MS);
  detached.remove(session);
  await Promise.resolve();
  expect(now.ended).toBe(0);
});
