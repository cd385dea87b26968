import { expect, test } from "vitest";
import { Ledger } from "./ledger.ts";

function ledgerOf(count: number, devices = 1): { ledger: Ledger; ids: string[] } {
  const ledger = new Ledger(devices);
  const ids = Array.from({ length: count }, (_, at) => ledger.write("a", "b", at));
  for (const id of ids) ledger.acknowledge(id);
  return { ledger, ids };
}

test("what arrived once and in order is no fault", () => {
  const { ledger, ids } = ledgerOf(3);
  for (const id of ids) ledger.arrive(id, 10);
  expect(ledger.verdict()).toEqual({
    sent: 3,
    acknowledged: 3,
    delivered: 3,
    returned: 0,
    returnedAndArrived: [],
    lost: [],
    repeated: [],
    again: [],
    outOfOrder: [],
    overtaken: [],
    missed: [],
    slowestMs: 10,
  });
});

test("lost, repeated and overtaken letters are named", () => {
  const { ledger } = ledgerOf(4);
  for (const number of [2, 1, 4, 4]) ledger.arrive(`a.b.${number}`, 10);
  const { lost, repeated, outOfOrder } = ledger.verdict();
  expect({ lost, repeated, outOfOrder }).toEqual({
    lost: ["a.b.3"],
    repeated: ["a.b.4"],
    outOfOrder: ["a.b.1"],
  });
});

test.each([
  { client: "a", name: "its sender" },
  { client: "b/phone", name: "its recipient" },
])(
  "a letter may be overtaken that was under way when $name began anew, and no other",
  ({ client }) => {
    const { ledger } = ledgerOf(4);
    for (const number of [2, 1]) ledger.arrive(`a.b.${number}`, 10, "/phone");
    ledger.begin(client, 20);
    for (const number of [4, 3]) ledger.arrive(`a.b.${number}`, 30, "/phone");
    expect(ledger.verdict()).toMatchObject({ outOfOrder: ["a.b.1"], overtaken: ["a.b.3"] });
  },
);

test("a letter that was not acknowledged may be missing, one sent anew may come twice", () => {
  const ledger = new Ledger();
  ledger.write("a", "b", 0);
  const anew = ledger.write("a", "b", 0);
  ledger.sendAnew(anew);
  ledger.acknowledge(anew);
  ledger.arrive(anew, 1);
  ledger.arrive(anew, 2);
  const { lost, repeated, again } = ledger.verdict();
  expect({ lost, repeated, again }).toEqual({ lost: [], repeated: [], again: [anew] });
});

test("what a recipient that could not resume had may come once more", () => {
  const { ledger, ids } = ledgerOf(2);
  for (const id of ids) {
    ledger.arrive(id, 1);
    ledger.expectAgain(id);
    ledger.arrive(id, 2);
  }
  ledger.arrive("a.b.2", 3);
  expect(ledger.verdict()).toMatchObject({ repeated: ["a.b.2"], again: ["a.b.1"] });
});

test("a letter that comes back to its sender is neither delivered nor lost", () => {
  const { ledger, ids } = ledgerOf(2);
  ledger.arrive(ids[0] as string, 1);
  ledger.comeBack(ids[1] as string);
  expect(ledger.underWay).toBe(0);
  expect(ledger.verdict()).toMatchObject({ delivered: 1, returned: 1, lost: [] });
});

test("one that comes back and arrives all the same is told apart, and may arrive at any time", () => {
  const { ledger, ids } = ledgerOf(2);
  ledger.comeBack(ids[0] as string);
  for (const id of ids.toReversed()) ledger.arrive(id, 1);
  const { returned, returnedAndArrived, outOfOrder } = ledger.verdict();
  expect({ returned, returnedAndArrived, outOfOrder }).toEqual({
    ...{ returned: 0, returnedAndArrived: [ids[0]], outOfOrder: [] },
  });
});

test("each device may have a letter once and in order, and one must have it", () => {
  const { ledger, ids } = ledgerOf(3, 2);
  for (const id of ids) ledger.arrive(id, 1, "/phone");
  for (const number of [2, 1, 1]) ledger.arrive(`a.b.${number}`, 2, "/desk");
  expect(ledger.verdict()).toMatchObject({
    delivered: 3,
    lost: [],
    repeated: ["a.b.1"],
    outOfOrder: ["a.b.1"],
    missed: ["a.b.3"],
  });
});
