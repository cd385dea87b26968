import { expect, test } from "vitest";
import type { ClientSession } from "../session/contract.ts";
import { Delivered } from "./delivered.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

function bench() {
  const acknowledged = Promise.withResolvers<boolean>();
  const passing = new Map<ClientSession, Promise<void>>();
  const session = { id: "s", whenAcknowledged: () => acknowledged.promise } as ClientSession;
  const delivered = new Delivered((over) => passing.get(over));
  const counted: string[] = [];
  const wait = (name: string, settled: Promise<boolean>, isLate = false) => {
    const promise = delivered.wait(session, settled, isLate);
    void promise.then(() => void counted.push(name));
    return promise;
  };
  return { acknowledged, passing, session, delivered, counted, wait };
}

test("what a session was given counts when its copy has it, all of one turn together", async () => {
  const { wait, counted, acknowledged } = bench();
  const [first, second] = [
    Promise.withResolvers<boolean>(),
    Promise.withResolvers<boolean>(),
  ] as const;
  const one = wait("one", first.promise);
  expect(wait("two", first.promise)).toBe(one);
  expect(wait("three", second.promise)).not.toBe(one);
  acknowledged.resolve(true); // It cannot be, while its shadow is not silent.
  await turn();
  expect(counted).toEqual([]);
  first.resolve(true);
  await turn();
  expect(counted).toEqual(["one", "two"]);
  second.resolve(true);
  await turn();
  expect(counted).toEqual(["one", "two", "three"]);
});

test("while a shadow is silent, what the client has acknowledged counts", async () => {
  const { wait, counted, acknowledged, delivered, session } = bench();
  const { promise: never } = Promise.withResolvers<boolean>();
  wait("before", never);
  delivered.late(session);
  wait("after", never, true);
  await turn();
  expect(counted).toEqual([]);
  acknowledged.resolve(true);
  await turn();
  expect(counted).toEqual(["before", "after"]);
});

test("what a session had that is over counts when it is passed on", async () => {
  const { wait, counted, passing, session } = bench();
  const settled = Promise.withResolvers<boolean>();
  const passedOn = Promise.withResolvers<void>();
  passing.set(session, passedOn.promise);
  wait("one", settled.promise);
  settled.resolve(false);
  await turn();
  expect(counted).toEqual([]);
  passedOn.resolve();
  await turn();
  expect(counted).toEqual(["one"]);
});
