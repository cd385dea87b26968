import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { PATIENCE_MS, RIDE_MS, Riders } from "./riders.ts";

/** Riders, and who had to go alone. */
function bench() {
  const clock = new FakeClock();
  const told: string[] = [];
  const alone: string[] = [];
  const riders = new Riders({
    after: (ms, work) => void clock.after(ms, work),
    shadowOf: (id) => (id === "nobody's" ? undefined : id.slice(0, 1)),
    isTold: (id) => told.includes(id),
    tell: (id) => void alone.push(id),
  });
  return { clock, told, alone, riders };
}

test("riders go with what goes to their shadow, and to no other", () => {
  const { riders, clock, alone } = bench();
  for (const id of ["a1", "b1", "a2"]) riders.add(id);
  expect(riders.take("a")).toEqual(["a1", "a2"]);
  expect(riders.take("a")).toEqual([]);
  clock.advance(2 * RIDE_MS);
  expect(alone).toEqual(["b1"]);
});

test("a rider that finds nothing to go with goes alone, but not before it has waited", () => {
  const { riders, clock, alone } = bench();
  riders.add("a1");
  clock.advance(RIDE_MS - 1);
  riders.take("a");
  riders.add("a2");
  clock.advance(RIDE_MS);
  expect(alone).toEqual([]);
  clock.advance(RIDE_MS);
  expect(alone).toEqual(["a2"]);
});

test("who can wait becomes a rider after a while; who is told meanwhile does not go", () => {
  const { riders, clock, told, alone } = bench();
  riders.addLater("a1");
  riders.addLater("a2");
  expect(riders.take("a")).toEqual([]);
  clock.advance(PATIENCE_MS);
  told.push("a1");
  expect(riders.take("a")).toEqual(["a2"]);
  clock.advance(2 * RIDE_MS);
  expect(alone).toEqual([]);
});

test("a session without a shadow goes alone", () => {
  const { riders, clock, alone } = bench();
  riders.add("nobody's");
  clock.advance(2 * RIDE_MS);
  expect(alone).toEqual(["nobody's"]);
});
