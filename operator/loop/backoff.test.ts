import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffMs, KeyedBackoff } from "./backoff.ts";

const options = fc
  .record({
    firstMs: fc.integer({ min: 1, max: 10_000 }),
    factor: fc.integer({ min: 1, max: 10_000 }),
  })
  .map(({ firstMs, factor }) => ({ firstMs, maxMs: firstMs * factor }));
const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

test("a wait is never below half its step nor above the longest, and steps double", () => {
  fc.assert(
    fc.property(options, fc.integer({ min: 1, max: 10_000 }), chance, (limits, failures, dice) => {
      const waitMs = backoffMs(failures, limits, () => dice);
      const stepMs = Math.min(limits.maxMs, limits.firstMs * 2 ** Math.min(failures - 1, 40));
      expect(waitMs).toBeGreaterThanOrEqual(stepMs / 2);
      expect(waitMs).toBeLessThanOrEqual(stepMs);
    }),
  );
});

test("many waiters spread over half of the step", () => {
  const waits = [0, 0.25, 0.5, 0.999].map((dice) =>
    backoffMs(3, { firstMs: 100, maxMs: 10_000 }, () => dice),
  );
  expect(waits).toEqual([200, 250, 300, 399.8]);
});

test("each key has a count of its own, success forgets it, and nothing is kept for it then", () => {
  const step = fc.record({ key: fc.constantFrom("a", "b", "c"), isGood: fc.boolean() });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 50 }), (steps) => {
      const backoff = new KeyedBackoff({ firstMs: 1, maxMs: 1_024 }, () => 0.999_999);
      const failures = new Map<string, number>();
      for (const { key, isGood } of steps) {
        if (isGood) {
          backoff.forget(key);
          failures.delete(key);
          continue;
        }
        const count = (failures.get(key) ?? 0) + 1;
        failures.set(key, count);
        expect(Math.round(backoff.nextMs(key))).toBe(Math.min(1_024, 2 ** (count - 1)));
      }
      expect(backoff.size).toBe(failures.size);
    }),
  );
});
