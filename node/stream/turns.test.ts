import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { LineName } from "./turns.ts";
import { Place, Turns } from "./turns.ts";

const anotherTurn = () => new Promise((resolve) => setImmediate(resolve));

function scene() {
  const clock = new FakeClock();
  const turns = new Turns(clock);
  const order: string[] = [];
  /** Somebody waits who has so many pieces of so many milliseconds. */
  const enters = (name: string, line: LineName, pieces: number, eachMs: number): void => {
    let left = pieces;
    const who = {
      takeTurn() {
        order.push(name);
        clock.advance(eachMs);
        left -= 1;
        if (left > 0) turns.wait(who, line);
      },
    };
    turns.wait(who, line);
  };
  return { clock, turns, order, enters };
}

test("a little is handled at once, however long it takes", async () => {
  const { clock, turns } = scene();
  for (let count = 0; count < 100; count++) {
    expect(turns.hasTime(100)).toBe(true);
    clock.advance(1_000);
  }
  expect(turns.waitedMs()).toBe(0);
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
  enters("a", "much", 6, 5);
  enters("b", "much", 1, 5);
  clock.advance(3);
  enters("c", "much", 2, 5);
  expect(turns.waitedMs("much")).toBe(3);
  await anotherTurn();
  expect(order.join("")).toBe("abca");
  // Whoever comes now waits behind them.
  expect(turns.hasTime(1)).toBe(false);
  enters("d", "much", 1, 5);
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
  enters("M", "much", 100, 5);
  for (const name of ["a", "b", "c", "d"]) enters(name, "little", 1, 5);
  await anotherTurn();
  // Each line has one piece more than there is time for.
  expect(order.join("")).toBe("abMMc");
  expect(turns.waitedMs("little")).toBe(25);
  await anotherTurn();
  expect(order.join("")).toBe("abMMc" + "dMMM");
  await anotherTurn();
  expect(order.join("")).toBe("abMMc" + "dMMM" + "MMMM");
});

test("who logs in waits behind nobody else, for an eighth of the time; who has begun goes first", async () => {
  const { turns, order, enters } = late();
  enters("M", "much", 100, 5);
  for (const name of ["N", "O", "P"]) enters(name, "new", 1, 1);
  enters("b", "begun", 6, 1);
  await anotherTurn();
  expect(order.join("")).toBe("bbbNMMMMbO");
  expect(turns.waitedMs("new")).toBe(26);
  await anotherTurn();
  expect(order.join("")).toBe("bbbNMMMMbO" + "bbPMMMM");
});

test("how long somebody has waited is told of one line, or of that in which it is longest", async () => {
  const { turns, clock, enters } = late();
  enters("M", "much", 1, 1);
  clock.advance(5);
  enters("N", "new", 1, 1);
  clock.advance(2);
  expect(turns.waitedMs("new")).toBe(2);
  expect(turns.waitedMs()).toBe(7);
});

test("a connection logs in until it has sent 4 KiB, and waits once, however much comes", async () => {
  const { turns, clock } = late();
  let taken = 0;
  const takeTurn = () => {
    taken += 1;
  };
  const place = new Place({ takeTurn }, turns);
  /** In which line it stands, before its turn. */
  const waitsIn = async () => {
    clock.advance(1);
    const line = (["begun", "new", "little", "much"] as const).find(
      (one) => turns.waitedMs(one) > 0,
    );
    await anotherTurn();
    return line;
  };
  expect(place.mustWait(50_000)).toBe(true);
  expect(place.mustWait(1)).toBe(true);
  expect(await waitsIn()).toBe("new");
  expect(taken).toBe(1);
  for (const [handled, waiting, line] of [
    [4_095, 50_000, "begun"],
    [1, 2_048, "little"],
    [0, 2_049, "much"],
  ] as const) {
    place.passed(handled);
    place.wait(waiting);
    expect(await waitsIn()).toBe(line);
  }
  expect(taken).toBe(4);
  expect(place.mustWait(1)).toBe(false);
});
