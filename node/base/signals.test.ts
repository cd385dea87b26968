import { expect, test } from "vitest";
import { FakeClock } from "./fake-clock.ts";
import { Signals } from "./signals.ts";

test("who waits for a key is woken with it, or goes on after a while, and nothing is left of it", async () => {
  const clock = new FakeClock();
  const signals = new Signals(clock);
  const [one, other] = [signals.wait("one", 1_000), signals.wait("one", 2_000)];
  const late = signals.wait("late", 500);
  signals.wake("nobody");
  expect(signals.size).toBe(2);
  signals.wake("one");
  await Promise.all([one, other]);
  expect(signals.size).toBe(1);
  clock.advance(500);
  await late;
  expect(signals.size).toBe(0);
});
