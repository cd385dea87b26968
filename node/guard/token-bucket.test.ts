import { expect, test } from "vitest";
import { TokenBucket } from "./token-bucket.ts";

test("a bucket gives its capacity at once and then nothing", () => {
  const bucket = new TokenBucket({ capacity: 3, windowMs: 3_000 }, 0);
  expect([bucket.take(0), bucket.take(0), bucket.take(0), bucket.take(0)]).toEqual([
    true,
    true,
    true,
    false,
  ]);
});

test("tokens come back at the rate and never above the capacity", () => {
  const bucket = new TokenBucket({ capacity: 2, windowMs: 2_000 }, 0);
  bucket.take(0);
  bucket.take(0);
  expect(bucket.take(999)).toBe(false);
  expect(bucket.take(1_000)).toBe(true);
  expect([bucket.take(900_000), bucket.take(900_000), bucket.take(900_000)]).toEqual([
    true,
    true,
    false,
  ]);
});

test("a clock that goes back gives nothing and takes nothing", () => {
  const bucket = new TokenBucket({ capacity: 1, windowMs: 1_000 }, 5_000);
  expect(bucket.take(5_000)).toBe(true);
  expect(bucket.take(1_000)).toBe(false);
  expect(bucket.hasOne(2_000)).toBe(true);
});
