import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { AddressBudget } from "./address-budget.ts";

test("an address gets its budget and it comes back over the period", () => {
  const clock = new FakeClock();
  const budget = new AddressBudget(2, 3_600_000, clock);
  expect([budget.take("192.0.2.1"), budget.take("192.0.2.1"), budget.take("192.0.2.1")]).toEqual([
    true,
    true,
    false,
  ]);
  expect(budget.hasOne("192.0.2.1")).toBe(false);
  expect(budget.hasOne("192.0.2.2")).toBe(true);
  clock.advance(1_800_000);
  expect(budget.take("192.0.2.1")).toBe(true);
  expect(budget.take("192.0.2.1")).toBe(false);
});

test("a budget of zero is no limit", () => {
  const budget = new AddressBudget(0, 1_000, new FakeClock());
  for (let turn = 0; turn < 1_000; turn += 1) expect(budget.take("192.0.2.1")).toBe(true);
});
