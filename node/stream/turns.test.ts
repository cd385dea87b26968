import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { InLine } from "./turns.ts";
import { Turns } from "./turns.ts";

const anotherTurn = () => new Promise((resolve) => setImmediate(resolve));

function scene() {
  const clock = new FakeClock();
  const turns = new Turns(clock);
  const order: string[] = [];
  /** Somebody waits who has so many pieces of so many milliseconds. */
  const enters = (name: string, bytes: number, pieces: number, eachMs: number): void => {
    let left = pieces;
    const who: InLine = {
      takeTurn() {
        order.push(name);
        clock.advance(eachMs);
        left -= 1;
        if (left > 0) turns.wait(who, bytes);
      },
    };
    turns.wait(who, bytes);
  };
  return { clock, turns, order, enters };
}

test("a little is handled at once, however long it takes", async () => {
  const { clock, turns } = scene();
  for (let count = 0; count < 100; count++) {
    expect(turns.hasTime(100)).toBe(true);
    clock.advance(1_000);
  }
  expect(turns.waitedMs("little")).toBe(0);
});

/** A turn that has lasted too long by now. */
function late() {
  const parts = scene();
  const { turns, clock } = parts;
  expect(turns.hasTime(65_536)).toBe(true);
  clock.advance(19);
  expect(turns.hasTime(65_536)).toBe(true);
  clock.advance(1);
  expect(turns.hasTime(1)).toBe(false);
  return parts;
}

test("a turn ends after 20 ms; who waits has a piece handled before anybody has another", async () => {
  const { clock, turns, order, enters } = late();
  enters("a", 50_000, 6, 5);
  enters("b", 50_000, 1, 5);
  clock.advance(3);
  enters("c", 50_000, 2, 5);
  expect(turns.waitedMs("much")).toBe(3);
  await anotherTurn();
  expect(order.join("")).toBe("abca");
  // Whoever comes now waits behind them.
  expect(turns.hasTime(1)).toBe(false);
  enters("d", 50_000, 1, 5);
  await anotherTurn();
  expect(order.join("")).toBe("abca" + "cada");
  await anotherTurn();
  expect(order.join("")).toBe("abca" + "cada" + "aa");
  expect(turns.waitedMs("much")).toBe(0);
  expect(turns.hasTime(1)).toBe(true);
  await anotherTurn();
  expect(turns.hasTime(65_535)).toBe(true);
  clock.advance(1_000);
  expect(turns.hasTime(0)).toBe(true);
});

test("who has little does not wait behind those who have much, and has a quarter of the time", async () => {
  const { turns, order, enters } = late();
  enters("M", 50_000, 100, 5);
  for (const name of ["a", "b", "c", "d"]) enters(name, 2_048, 1, 5);
  await anotherTurn();
  expect(order.join("")).toBe("aMMMb");
  expect(turns.waitedMs("little")).toBe(25);
  await anotherTurn();
  expect(order.join("")).toBe("aMMMb" + "cMMMd");
  await anotherTurn();
  expect(order.join("")).toBe("aMMMb" + "cMMMd" + "MMMM");
});
