import { expect, test } from "vitest";
import type { Route } from "../routes/contract.ts";
import type { ClientSession } from "../session/contract.ts";
import { Jid } from "../stanza/jid.ts";
import { Passing } from "./passing.ts";
import type { PredecessorParts } from "./predecessors.ts";
import { Predecessors } from "./predecessors.ts";

const ADDRESS = "romeo@localhost/orchard";
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Sessions of one address, on this node and on another, which answers when the test says. */
function bench(left?: Promise<void>) {
  const passing = new Passing();
  const answer = Promise.withResolvers<boolean>();
  const told: string[] = [];
  const predecessors = new Predecessors({
    self: "here",
    sessions: () => ({ ofUser: () => [] }),
    components: () => new Map(),
    handOver: { passing },
    asks: { tell: () => answer.promise },
    succession: { passedOn: () => Promise.resolve(), leftAt: () => left },
  } as unknown as PredecessorParts);
  const named = (id: string) => ({ id, jid: Jid.parse(ADDRESS) }) as ClientSession;
  const routeOf = (session: string, node: string) =>
    ({ user: "romeo@localhost", resource: "orchard", session, node }) as Route;
  const wait = (what: Promise<void> | undefined, name: string) =>
    void what?.then(() => told.push(name));
  return { passing, answer, predecessors, named, routeOf, told, wait };
}

test("a session that is back does not wait for what it was before, which passes on to it", async () => {
  const { passing, named, told, wait } = bench();
  const session = named("s");
  const { promise, resolve } = Promise.withResolvers<void>();
  passing.begin(session, promise);
  expect(passing.of(session)).toBe(promise);
  expect(passing.of(named("s"))).toBeUndefined();
  wait(passing.ofId("s"), "all");
  await turn();
  expect(told).toEqual([]);
  resolve();
  await turn();
  expect([told, passing.of(session)]).toEqual([["all"], undefined]);
});

test("who comes when no route says that somebody had the address waits for what a dead node left of it", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { predecessors, named, told, wait } = bench(promise);
  const session = named("new");
  predecessors.bound(session, undefined);
  wait(predecessors.of(session), "passed on");
  await turn();
  expect(told).toEqual([]);
  resolve();
  await turn();
  expect(told).toEqual(["passed on"]);
});

test("who comes waits for the session it replaced, and for one that had no route any more", async () => {
  const { passing, answer, predecessors, named, routeOf, told, wait } = bench();
  const session = named("new");
  const { promise, resolve } = Promise.withResolvers<void>();
  passing.begin(named("left by a dead node"), promise);
  predecessors.bound(session, routeOf("old", "there"));
  wait(predecessors.of(session), "replaced");
  wait(predecessors.allOf(session), "all");
  answer.resolve(true);
  await turn();
  expect(told).toEqual(["replaced"]);
  resolve();
  await turn();
  expect(told).toEqual(["replaced", "all"]);
  expect(predecessors.allOf(named("next"))).toBeUndefined();
});
