import { expect, test } from "vitest";
import { Repeats } from "./repeats.ts";

const at = (count: number) => ({ session: "s", count });

test("a delivery is remembered by stanza and address, with who got it", () => {
  const repeats = new Repeats(10);
  repeats.remember(at(1), "a@b/c", "session");
  expect(repeats.find(at(1), "a@b/c")).toMatchObject({ session: "session", isPassedOn: false });
  expect(repeats.find(at(1), "a@b/d")).toBeUndefined();
  expect(repeats.find(at(2), "a@b/c")).toBeUndefined();
});

test("what a session passed on is marked, but not what a later one got", () => {
  const repeats = new Repeats(10);
  repeats.remember(at(1), "a@b/c", "later");
  repeats.markPassedOn(at(1), "a@b/c", "earlier");
  expect(repeats.find(at(1), "a@b/c")?.isPassedOn).toBe(false);
  repeats.markPassedOn(at(1), "a@b/c", "later");
  expect(repeats.find(at(1), "a@b/c")?.isPassedOn).toBe(true);
  repeats.markPassedOn(at(2), "a@b/c", "later");
  expect(repeats.find(at(2), "a@b/c")).toBeUndefined();
});

test("a copy is owed once the message is lost elsewhere, to the session that has it", () => {
  const repeats = new Repeats(10);
  repeats.remember(at(1), "a@b/c", "session", true);
  repeats.markOwed(at(1), "a@b/c", "another");
  expect(repeats.find(at(1), "a@b/c")).toMatchObject({ isCopy: true, isOwed: false });
  repeats.markOwed(at(1), "a@b/c", "session");
  expect(repeats.find(at(1), "a@b/c")).toMatchObject({ isCopy: true, isOwed: true });
});

test("of a user's addresses, whoever has it or had it is found, but no copy, and nobody who passed it on", () => {
  const repeats = new Repeats(10);
  repeats.remember(at(1), "a@b/copy", "one", true);
  repeats.remember(at(1), "a@b/gone", "two");
  repeats.markPassedOn(at(1), "a@b/gone", "two");
  repeats.remember(at(1), "a@bc/x", "three");
  expect(repeats.findOwner(at(1), "a@b")).toBeUndefined();
  repeats.remember(at(1), "a@b/c", "four");
  expect(repeats.findOwner(at(1), "a@b")).toMatchObject({ full: "a@b/c", session: "four" });
  expect(repeats.findOwner(at(2), "a@b")).toBeUndefined();
  repeats.forget(at(1), "a@b/c", "four");
  expect(repeats.findOwner(at(1), "a@b")).toBeUndefined();
  expect(repeats.find(at(1), "a@b/copy")).toMatchObject({ session: "one" });
  repeats.markOwed(at(1), "a@b/copy", "one");
  expect(repeats.findOwner(at(1), "a@b")).toMatchObject({ session: "one" });
});

test("at least the last so many are remembered, and never more than twice as many", () => {
  const repeats = new Repeats(10);
  for (let count = 0; count < 1_000; count += 1) {
    repeats.remember(at(count), "a@b/c", "session");
    expect(repeats.size).toBeLessThanOrEqual(20);
    for (let back = Math.max(0, count - 9); back <= count; back += 1) {
      expect(repeats.find(at(back), "a@b/c")).toBeDefined();
    }
  }
});
