import { expect, test } from "vitest";
import { Keeper } from "./keeper.ts";
import type { MirrorItem, MirrorKind } from "./mirror.ts";

const item = (kind: MirrorKind, sequence: number, text = "", id = "s"): MirrorItem => ({
  kind,
  id,
  sequence,
  payload: Buffer.from(text),
});

const newKeeper = () =>
  new Keeper<string>({
    // Each copy begins with its user's name.
    userOf: ([name = ""]) => name,
    whole: (payload) => payload.toString(),
    change(state, payload) {
      if (payload.toString() === "bad") throw new Error("it does not fit");
      return `${state}${payload.toString()}`;
    },
  });

const statesOf = (keeper: Keeper<string>, owner: string, voidTerm = 0) =>
  [...keeper.takeAll(owner, voidTerm).byId.values()].map(({ state }) => state);

test("a whole and the changes behind it make a copy, which is taken once", () => {
  const keeper = newKeeper();
  const items = [item("whole", 1, "a"), item("change", 2, "b"), item("change", 3, "c")];
  expect(keeper.take("one", 1, items)).toEqual(["stored", "stored", "stored"]);
  expect(keeper.size).toBe(1);
  expect(keeper.ownersOf("s")).toEqual(["one"]);
  expect(statesOf(keeper, "one")).toEqual(["abc"]);
  expect(keeper.size).toBe(0);
  expect(statesOf(keeper, "one")).toEqual([]);
});

test("a change of what is not here, or behind a gap, is unknown, until the next whole", () => {
  const keeper = newKeeper();
  expect(keeper.take("one", 1, [item("change", 1, "a")])).toEqual(["unknown"]);
  keeper.take("one", 1, [item("whole", 4, "a")]);
  expect(keeper.take("one", 1, [item("change", 6, "c")])).toEqual(["unknown"]);
  expect(keeper.take("one", 1, [item("change", 4, "c")])).toEqual(["unknown"]);
  expect(keeper.take("one", 1, [item("whole", 9, "z"), item("change", 10, "!")])).toEqual([
    "stored",
    "stored",
  ]);
  expect(statesOf(keeper, "one")).toEqual(["z!"]);
});

test("a change that does not fit is refused, and leaves no copy", () => {
  const keeper = newKeeper();
  keeper.take("one", 1, [item("whole", 1, "a")]);
  expect(() => keeper.take("one", 1, [item("change", 2, "bad")])).toThrow("it does not fit");
  expect(keeper.size).toBe(0);
  expect(keeper.take("one", 1, [item("change", 3, "c")])).toEqual(["unknown"]);
});

test("what is dropped is gone; dropping it again does no harm", () => {
  const keeper = newKeeper();
  keeper.take("one", 1, [item("whole", 1, "a"), item("whole", 1, "b", "other")]);
  expect(keeper.take("one", 1, [item("drop", 0), item("drop", 0)])).toEqual(["stored", "stored"]);
  expect(keeper.ownersOf("s")).toEqual([]);
  expect(statesOf(keeper, "one")).toEqual(["b"]);
});

test("the same session of two owners is two copies", () => {
  const keeper = newKeeper();
  keeper.take("one", 1, [item("whole", 1, "a")]);
  keeper.take("two", 1, [item("whole", 1, "b")]);
  expect(keeper.ownersOf("s")).toEqual(["one", "two"]);
  expect(statesOf(keeper, "two")).toEqual(["b"]);
  expect(statesOf(keeper, "one")).toEqual(["a"]);
});

test("a new term voids all copies of the one before, and what is late of it is unknown", () => {
  const keeper = newKeeper();
  keeper.take("one", 1, [item("whole", 1, "a"), item("whole", 1, "old", "other")]);
  keeper.take("one", 2, [item("whole", 2, "b")]);
  expect(keeper.size).toBe(1);
  expect(keeper.take("one", 1, [item("whole", 3, "late"), item("drop", 0)])).toEqual([
    "unknown",
    "unknown",
  ]);
  expect(statesOf(keeper, "one")).toEqual(["b"]);
});

test("copies of a renounced term are not handed out, and are forgotten", () => {
  const keeper = newKeeper();
  keeper.take("one", 2, [item("whole", 1, "a")]);
  expect(keeper.copiesOf("one", 1).byId.size).toBe(1);
  expect(keeper.copiesOf("one", 2).byId.size).toBe(0);
  expect(statesOf(keeper, "one", 2)).toEqual([]);
  expect(keeper.size).toBe(0);
});

test("what is known to be renounced goes at once, and what comes late of it is refused", () => {
  const keeper = newKeeper();
  keeper.take("one", 1, [item("whole", 1, "a")]);
  keeper.take("two", 3, [item("whole", 1, "b", "t")]);
  const terms = { one: 1, two: 2, three: 3 };
  keeper.renounced(new Map(Object.entries(terms)));
  expect(keeper.size).toBe(1);
  expect(keeper.take("one", 1, [item("whole", 2, "late")])).toEqual(["unknown"]);
  expect(keeper.take("one", 2, [item("whole", 3, "new")])).toEqual(["stored"]);
  expect(statesOf(keeper, "one", 1)).toEqual(["new"]);
  expect(statesOf(keeper, "two")).toEqual(["b"]);
});

test("copies are found by their user, whoever sent them, as long as they are there", () => {
  const keeper = newKeeper();
  const items = [item("whole", 1, "j1", "s"), item("whole", 1, "r1", "t")];
  keeper.take("one", 1, items);
  keeper.take("two", 1, [item("whole", 1, "j2", "u")]);
  expect(keeper.ofUser("j")).toEqual(["j1", "j2"]);
  expect(keeper.ofUser("r")).toEqual(["r1"]);
  keeper.take("one", 1, [item("change", 2, "+", "s"), item("drop", 0, "", "t")]);
  expect(keeper.ofUser("j")).toEqual(["j1+", "j2"]);
  expect(keeper.ofUser("r")).toEqual([]);
  keeper.take("one", 1, [item("whole", 3, "j3", "s")]);
  keeper.takeAll("two", 0);
  expect(keeper.ofUser("j")).toEqual(["j3"]);
  expect(() => keeper.take("one", 1, [item("change", 4, "bad", "s")])).toThrow();
  expect(keeper.ofUser("j")).toEqual([]);
  keeper.take("one", 1, items);
  keeper.take("one", 2, [item("whole", 1, "j4", "t")]);
  expect(keeper.ofUser("j")).toEqual(["j4"]);
  expect(keeper.ofUser("r")).toEqual([]);
  keeper.forgetAll();
  expect([keeper.ofUser("j"), keeper.size]).toEqual([[], 0]);
});

test("a keeper that does not know any more what is void has no copies", () => {
  const keeper = newKeeper();
  keeper.take("one", 1, [item("whole", 1, "a")]);
  keeper.forgetAll();
  expect(keeper.size).toBe(0);
  expect(keeper.ownersOf("s")).toEqual([]);
  expect(keeper.take("one", 1, [item("change", 2, "b")])).toEqual(["unknown"]);
});
