import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { BudgetLimits } from "./budget.ts";
import { Budget } from "./budget.ts";

const LIMITS: BudgetLimits = {
  inFlightMax: 2,
  waitingMax: 3,
  deadlineMs: 1_000,
  isPatient: false,
};

const turn = () => new Promise((resolve) => setImmediate(resolve));
const away = () => Promise.reject(new Unavailable("store-unavailable", "Cannot ask: away"));

/** A budget, and calls of it whose answers a test gives when it likes. */
function kit(limits: Partial<BudgetLimits> = {}) {
  const clock = new FakeClock();
  const budget = new Budget("test", { ...LIMITS, ...limits }, clock, silentLog);
  const sent: { readonly name: string; answer(value: string): void }[] = [];
  const outcomes: string[] = [];
  const call = (name: string) =>
    void budget
      .run(`do ${name}`, () => new Promise<string>((answer) => sent.push({ name, answer })))
      .then(
        (value) => outcomes.push(`${name}: ${value}`),
        (error: Unavailable) => outcomes.push(`${name}: ${error.code}`),
      );
  const names = () => sent.map(({ name }) => name);
  /** So many calls fail at once. */
  const fail = async (count: number) => {
    for (let left = count; left > 0; left -= 1) await budget.run("fail", away).catch(() => {});
  };
  return { clock, budget, sent, outcomes, call, names, fail };
}

test("calls beyond the bound wait for their turn, in order; beyond that they are refused", async () => {
  const { budget, sent, outcomes, call, names } = kit();
  for (const name of ["a", "b", "c", "d", "e", "f"]) call(name);
  await turn();
  expect(names()).toEqual(["a", "b"]);
  expect(outcomes).toEqual(["f: store-overload"]);
  expect(budget.counts).toMatchObject({ inFlight: 2, waiting: 3, refused: 1 });
  sent[1]?.answer("done");
  await turn();
  expect(names()).toEqual(["a", "b", "c"]);
  expect(outcomes).toEqual(["f: store-overload", "b: done"]);
});

test("the deadline counts from the call, waiting included", async () => {
  const { clock, budget, sent, outcomes, call, names } = kit({ inFlightMax: 1 });
  call("a");
  clock.advance(600);
  call("b");
  clock.advance(300);
  sent[0]?.answer("done");
  await turn();
  expect(names()).toEqual(["a", "b"]);
  clock.advance(700);
  await turn();
  expect(outcomes).toEqual(["a: done", "b: store-timeout"]);
  // The store is not done with it: its place is taken.
  expect(budget.counts.inFlight).toBe(1);
  sent[1]?.answer("late");
  await turn();
  expect(budget.counts.inFlight).toBe(0);
});

test("a call whose turn does not come by its deadline is not made", async () => {
  const { clock, budget, sent, outcomes, call, names } = kit({ inFlightMax: 1 });
  call("a");
  call("b");
  clock.advance(1_000);
  await turn();
  expect(outcomes.toSorted()).toEqual(["a: store-timeout", "b: store-overload"]);
  sent[0]?.answer("late");
  await turn();
  expect(names()).toEqual(["a"]);
  expect(budget.counts).toMatchObject({ inFlight: 0, waiting: 0 });
});

test("a store that keeps failing is not asked, and then by one call until it answers", async () => {
  const { clock, budget, sent, outcomes, call, names, fail } = kit();
  await fail(10);
  expect(budget.counts).toMatchObject({ suspended: 1, suspensions: 1 });
  call("refused");
  await turn();
  expect(outcomes).toEqual(["refused: store-suspended"]);
  clock.advance(500);
  call("trial");
  call("beside it");
  await turn();
  expect(names()).toEqual(["trial"]);
  sent[0]?.answer("done");
  await turn();
  call("after it");
  await turn();
  expect(names()).toEqual(["trial", "after it"]);
  expect(outcomes.slice(1)).toEqual(["beside it: store-suspended", "trial: done"]);
  expect(budget.counts).toMatchObject({ suspended: 0, suspensions: 1 });
});

test("who waits when a store is given up is refused then", async () => {
  const { clock, budget, outcomes, call, names } = kit({ inFlightMax: 10, waitingMax: 3 });
  for (let count = 0; count < 10; count += 1) call("a");
  clock.advance(400);
  for (const name of ["b", "c"]) call(name);
  clock.advance(600);
  await turn();
  expect(names()).toEqual(Array(10).fill("a"));
  const suspended = ["b: store-suspended", "c: store-suspended"];
  expect(outcomes).toEqual(expect.arrayContaining([...Array(10).fill("a: store-timeout")]));
  expect(outcomes.slice(-2)).toEqual(suspended);
  expect(budget.counts).toMatchObject({ waiting: 0, refused: 2, suspended: 1 });
});

test("patient calls wait while the store is not asked, and go when it answers again", async () => {
  const { clock, budget, sent, outcomes, call, names, fail } = kit({ isPatient: true });
  await fail(10);
  call("a");
  call("b");
  call("c");
  await turn();
  expect(names()).toEqual([]);
  expect(budget.counts.waiting).toBe(3);
  clock.advance(500);
  await turn();
  expect(names()).toEqual(["a"]);
  sent[0]?.answer("done");
  await turn();
  expect(names()).toEqual(["a", "b", "c"]);
  expect(outcomes).toEqual(["a: done"]);
});

test("patient calls wait no longer than for an answer", async () => {
  const { clock, budget, outcomes, call, fail } = kit({ isPatient: true });
  await fail(10);
  call("a");
  call("b");
  clock.advance(500);
  await turn();
  clock.advance(500);
  await turn();
  expect(outcomes.toSorted()).toEqual(["a: store-timeout", "b: store-overload"]);
  expect(budget.counts.suspended).toBe(1);
});

test("a bug of ours does not count as the store's failure", async () => {
  const { budget } = kit();
  for (let count = 0; count < 50; count += 1) {
    const bug = budget.run("fail", () => Promise.reject(new TypeError("undefined")));
    await expect(bug).rejects.toBeInstanceOf(TypeError);
  }
  expect(budget.counts).toMatchObject({ suspended: 0, inFlight: 0 });
});
