import { expect, onTestFinished, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import { NodeRoutes, record, SharedRoutes } from "../modules/testing/shared-routes.ts";
import { Weather } from "../modules/testing/weather.ts";
import type { Claim, Routes } from "../routes/contract.ts";
import { openMemoryRoutes } from "../routes/memory.ts";
import { Diary, makeNode } from "../routes/testing/records.ts";
import type { Seniority } from "./senior.ts";
import { Senior } from "./senior.ts";

type SeniorRoutes = Pick<Routes, "self" | "nodes" | "claim" | "watchClaim">;

function start(routes: SeniorRoutes, clock = new FakeClock()) {
  const told: (string | undefined)[] = [];
  const onChange = (now: Seniority | undefined) => void told.push(now?.node.incarnation);
  const senior = new Senior({ routes, clock, log: silentLog, onChange });
  senior.start();
  onTestFinished(() => senior.stop());
  return { senior, told, clock, routes };
}

/** Nodes that see each other. */
function cluster(...names: readonly string[]) {
  const weather = new Weather(1, true);
  const shared = new SharedRoutes(weather);
  const dead = new Set<string>();
  const nodes = names.map((self) => {
    const isLive = () => !dead.has(self);
    const routes = new NodeRoutes({ shared, weather, self, isLive, notify: async () => {} });
    for (const other of names) if (other !== self) routes.nodes.set(other, record(other));
    return start(routes);
  });
  const expire = (name: string) => {
    dead.add(name);
    shared.expire(name);
    for (const { routes } of nodes) (routes as NodeRoutes).forget(name);
  };
  return { nodes, shared, expire };
}

const settle = async () => {
  for (let turns = 0; turns < 10; turns += 1) {
    await new Promise<void>((resolve) => setImmediate(resolve));
  }
};
const namesOf = (nodes: readonly { readonly senior: Senior }[]) =>
  nodes.map(({ senior }) => senior.now?.node.incarnation);

test("a node alone is the senior, and is told so once", async () => {
  const self = makeNode("alone");
  const routes = openMemoryRoutes({ self, events: new Diary(), clock: new FakeClock() });
  const { senior, told } = start(routes);
  await settle();
  expect(senior.now).toEqual({ node: self, isSelf: true, token: expect.any(Number) });
  expect(told).toEqual(["alone"]);
});

test("all nodes agree who it is, and one alone says that it is itself", async () => {
  const { nodes } = cluster("one", "two", "three");
  await settle();
  expect(new Set(namesOf(nodes)).size).toBe(1);
  expect(nodes.filter(({ senior }) => senior.now?.isSelf === true)).toHaveLength(1);
  expect(new Set(nodes.map(({ senior }) => senior.now?.token)).size).toBe(1);
});

test("when the senior dies another one follows with a greater token, and all are told", async () => {
  const { nodes, expire } = cluster("one", "two", "three");
  await settle();
  const [first] = namesOf(nodes);
  const token = nodes[0]?.senior.now?.token as number;
  expire(first as string);
  await settle();
  const left = nodes.filter(({ routes }) => routes.self.incarnation !== first);
  const [second] = namesOf(left);
  expect(second).not.toBe(first);
  expect(namesOf(left)).toEqual([second, second]);
  expect(left[0]?.senior.now?.token).toBeGreaterThan(token);
  for (const { told } of left) expect(told).toEqual([first, undefined, second]);
});

test("a senior that stops makes room for another at once", async () => {
  const { nodes } = cluster("one", "two");
  await settle();
  const old = nodes.find(({ senior }) => senior.now?.isSelf) as (typeof nodes)[number];
  await old.senior.stop();
  await settle();
  const [other] = nodes.filter((node) => node !== old);
  expect(other?.senior.now?.isSelf).toBe(true);
  expect(old.senior.now?.isSelf).not.toBe(true);
});

test("a senior that cannot prove its lease is none, though others still say so, until it can", async () => {
  const over = new AbortController();
  let isHeld = true;
  const claims: (() => Promise<Claim | undefined>)[] = [
    async () => claimOf(7, () => isHeld, over.signal),
    () => Promise.reject(new Unavailable("routes-lost-lease", "Cannot write: no lease")),
    async () => undefined, // The one it lost is there still.
    async () => claimOf(9),
  ];
  const { senior, told, clock } = start({
    self: makeNode("one"),
    nodes: new Map(),
    claim: () => (claims.shift() as (typeof claims)[number])(),
    watchClaim(_, tell) {
      tell(undefined);
      tell({ node: "one", token: 7 });
      return () => {};
    },
  });
  await settle();
  expect(senior.now).toMatchObject({ isSelf: true, token: 7 });
  isHeld = false; // Before anybody is told.
  expect(senior.now).toBeUndefined();
  over.abort();
  expect(told).toEqual(["one", undefined]);
  for (const waitMs of [500, 1_000, 2_000]) {
    expect(senior.now).toBeUndefined();
    clock.advance(waitMs);
    await settle();
  }
  expect(senior.now).toMatchObject({ isSelf: true, token: 9 });
  expect(told).toEqual(["one", undefined, "one"]);
  expect(claims).toEqual([]);
});

test("a claim that comes after the node has stopped is given back", async () => {
  const late = Promise.withResolvers<Claim>();
  const { senior } = start({
    self: makeNode("one"),
    nodes: new Map(),
    claim: () => late.promise,
    watchClaim(_, tell) {
      tell(undefined);
      return () => {};
    },
  });
  await senior.stop();
  const claim = claimOf(1);
  late.resolve(claim);
  await settle();
  expect(claim.isHeld).toBe(false);
  expect(senior.now).toBeUndefined();
});

test("a senior that is not known yet is told when it is", async () => {
  const nodes = new Map();
  const { senior, told } = start({
    self: makeNode("one"),
    nodes,
    claim: async () => undefined,
    watchClaim(_, tell) {
      tell({ node: "two", token: 3 });
      return () => {};
    },
  });
  expect(senior.now).toBeUndefined();
  nodes.set("two", makeNode("two"));
  senior.nodesChanged();
  expect(told).toEqual(["two"]);
  expect(senior.now).toEqual({ node: makeNode("two"), isSelf: false, token: 3 });
});

function claimOf(token: number, isProven = () => true, over?: AbortSignal): Claim {
  const released = new AbortController();
  return {
    name: "senior",
    token,
    get isHeld() {
      return !released.signal.aborted && isProven();
    },
    over: over ?? released.signal,
    [Symbol.asyncDispose]: async () => released.abort(),
  };
}
