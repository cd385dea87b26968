/** What every engine of Routes must do, for the node it runs in. */
import { afterEach, expect, test } from "vitest";
import type { Claim, Holder, Route, Routes } from "./contract.ts";
import { until } from "./testing/etcd.ts";
import { makeRoute } from "./testing/records.ts";

interface Bounds {
  readonly sessionsPerUserMax?: number;
}

/** @param open a fresh engine with nothing in it, whose node is "self" */
export function testRoutes(open: (bounds: Bounds) => Promise<Routes>): void {
  const opened: Routes[] = [];
  const start = async (bounds: Bounds = {}) => {
    const routes = await open(bounds);
    opened.push(routes);
    return routes;
  };
  const sorted = (routes: readonly Route[]) =>
    [...routes].sort((a, b) => (a.resource < b.resource ? -1 : 1));

  afterEach(async () => {
    await Promise.all(opened.splice(0).map((routes) => routes[Symbol.asyncDispose]()));
  });

  test("a bound route is found by lookup and read, and known exactly", async () => {
    const routes = await start();
    const route = makeRoute({ available: true, priority: -7, moves: 3 });
    const { set, replaced } = await routes.bind(route);
    expect(replaced).toBeUndefined();
    expect(set.routes).toEqual([route]);
    expect(set.revision).toBeGreaterThan(0);
    expect((await routes.lookup(route.user)).routes).toEqual([route]);
    expect((await routes.read(route.user)).routes).toEqual([route]);
    expect(routes.known(route.user)?.routes).toEqual([route]);
  });

  test("a user without routes is nobody, and not known", async () => {
    const routes = await start();
    expect((await routes.lookup("nobody@example.com")).routes).toEqual([]);
    expect((await routes.read("nobody@example.com")).routes).toEqual([]);
    expect(routes.known("nobody@example.com")).toBeUndefined();
  });

  test("users with routes are listed, each once", async () => {
    const routes = await start();
    const users = ["a b/c@example.com", "b@example.com", "b@sub.example.com", "icq.example.com"];
    for (const user of users) {
      for (const resource of ["x", "y/z"]) {
        await routes.bind(makeRoute({ user, resource, session: `${user} ${resource}` }));
      }
    }
    const listed: string[] = [];
    for await (const user of routes.users()) listed.push(user);
    expect(listed.toSorted()).toEqual(users);
  });

  test("nobody is not remembered: who binds after a lookup is found by the next", async () => {
    const routes = await start();
    const route = makeRoute();
    await routes.lookup(route.user);
    await routes.bind(route);
    expect((await routes.lookup(route.user)).routes).toEqual([route]);
  });

  test("all resources of a user are one set, and revisions only grow", async () => {
    const routes = await start();
    const [phone, desk] = [makeRoute({ resource: "phone" }), makeRoute({ resource: "desk" })];
    const first = await routes.bind(phone);
    const second = await routes.bind(desk);
    expect(sorted(second.set.routes)).toEqual([desk, phone]);
    expect(second.set.revision).toBeGreaterThan(first.set.revision);
    const third = await routes.unbind(phone);
    expect(third.routes).toEqual([desk]);
    expect(third.revision).toBeGreaterThan(second.set.revision);
  });

  test("binding a full address again replaces its session and says which", async () => {
    const routes = await start();
    const old = makeRoute({ session: "old" });
    const recent = makeRoute({ session: "recent" });
    await routes.bind(old);
    const { set, replaced } = await routes.bind(recent);
    expect(replaced).toEqual(old);
    expect(set.routes).toEqual([recent]);
  });

  test("binding the same session again replaces nobody", async () => {
    const routes = await start();
    const route = makeRoute();
    await routes.bind(route);
    expect((await routes.bind(route)).replaced).toBeUndefined();
    expect((await routes.read(route.user)).routes).toEqual([route]);
  });

  test("an update changes availability and priority", async () => {
    const routes = await start();
    const route = makeRoute();
    await routes.bind(route);
    const changed = { ...route, available: true, priority: 127 };
    expect((await routes.update(changed)).routes).toEqual([changed]);
    expect((await routes.lookup(route.user)).routes).toEqual([changed]);
    expect((await routes.read(route.user)).routes).toEqual([changed]);
    expect((await routes.update(changed)).routes).toEqual([changed]);
  });

  test("an update of a route that another session has, or nobody, is refused", async () => {
    const routes = await start();
    const old = makeRoute({ session: "old" });
    const recent = makeRoute({ session: "recent" });
    await routes.bind(old);
    await routes.bind(recent);
    await expect(routes.update({ ...old, available: true })).rejects.toMatchObject({
      code: "routes-lost",
    });
    await routes.unbind(recent);
    await expect(routes.update({ ...recent, available: true })).rejects.toMatchObject({
      code: "routes-lost",
    });
    expect((await routes.read(old.user)).routes).toEqual([]);
  });

  test("an unbind removes its own session only, and may be repeated", async () => {
    const routes = await start();
    const old = makeRoute({ session: "old" });
    const recent = makeRoute({ session: "recent" });
    await routes.bind(old);
    await routes.bind(recent);
    expect((await routes.unbind(old)).routes).toEqual([recent]);
    expect((await routes.unbind(recent)).routes).toEqual([]);
    expect((await routes.unbind(recent)).routes).toEqual([]);
    expect(routes.known(old.user)).toBeUndefined();
    expect((await routes.lookup(old.user)).routes).toEqual([]);
  });

  test("a session of another node is taken over while nothing has changed since", async () => {
    const routes = await start();
    const theirs = makeRoute({ node: "other", available: true, priority: 3 });
    await routes.bind(theirs);
    const seen = await routes.read(theirs.user);
    const ours = { ...theirs, node: "self" };
    const set = await routes.takeOver(ours, seen);
    expect(set.routes).toEqual([ours]);
    expect(set.revision).toBeGreaterThan(seen.revision);
    expect((await routes.read(theirs.user)).routes).toEqual([ours]);
    expect(routes.known(theirs.user)?.routes).toEqual([ours]);
    await expect(routes.update({ ...theirs, priority: 7 })).rejects.toMatchObject({
      code: "routes-lost",
    });
    expect((await routes.unbind(theirs)).routes).toEqual([ours]);
    expect((await routes.update({ ...ours, priority: 7 })).routes[0]?.priority).toBe(7);
  });

  test.each([
    ["was changed", (routes: Routes, route: Route) => routes.update({ ...route, priority: 1 })],
    ["was renewed", (routes: Routes, route: Route) => routes.renew(route)],
    ["ended", (routes: Routes, route: Route) => routes.unbind(route)],
    ["was replaced", (routes: Routes, route: Route) => routes.bind({ ...route, session: "new" })],
  ])("a session that %s meanwhile is not taken over", async (_, change) => {
    const routes = await start();
    const route = makeRoute();
    await routes.bind(route);
    const seen = await routes.read(route.user);
    await change(routes, route);
    const before = (await routes.read(route.user)).routes;
    const taken = routes.takeOver({ ...route, node: "third" }, seen);
    await expect(taken).rejects.toMatchObject({ code: "routes-moved" });
    expect((await routes.read(route.user)).routes).toEqual(before);
  });

  test("a session whose route is gone is taken over unless somebody has come since", async () => {
    const routes = await start();
    const nobody = await routes.read("juliet@example.com");
    const route = makeRoute({ session: "kept" });
    expect((await routes.takeOver(route, nobody)).routes).toEqual([route]);
    const other = routes.takeOver(makeRoute({ session: "late" }), nobody);
    await expect(other).rejects.toMatchObject({ code: "routes-moved" });
  });

  test.each([
    ["a slash", "a/b", "c/d"],
    ["percent signs and spaces", "100%", "% 2F %2F"],
    ["other scripts and emoji", "ἰουλιέτα", "бальконъ 🌹"],
    ["control characters", "romeo", "a\u0001\u007f\n"],
    ["the longest names", "u".repeat(1_023), "r".repeat(1_023)],
  ])("a name with %s comes back as it was", async (_, local, resource) => {
    const routes = await start();
    const route = makeRoute({ user: `${local}@example.com`, resource });
    await routes.bind(route);
    expect((await routes.read(route.user)).routes).toEqual([route]);
    await routes.unbind(route);
    expect((await routes.read(route.user)).routes).toEqual([]);
  });

  test("users whose names begin alike, or hold the other's address, are not mixed up", async () => {
    const routes = await start();
    const pairs = [
      ["ann@example.com", "x"],
      ["anna@example.com", "x"],
      ["ann@example.com.au", "x"],
      ["ann@example", "com/x"],
      ["a@b", "c/d"],
      ["a/c@b", "d"],
      ["ann%2F@example.com", "x"],
    ] as const;
    const bound = pairs.map(([user, resource]) => makeRoute({ user, resource, session: user }));
    await Promise.all(bound.map((route) => routes.bind(route)));
    for (const route of bound) expect((await routes.read(route.user)).routes).toEqual([route]);
  });

  test("of many binds of one full address at once the last one asked for stays", async () => {
    const routes = await start();
    const sessions = Array.from({ length: 20 }, (_, n) => makeRoute({ session: `s${n}` }));
    const results = await Promise.all(sessions.map((route) => routes.bind(route)));
    expect(results.map(({ replaced }) => replaced?.session)).toEqual([
      undefined,
      ...sessions.slice(0, -1).map(({ session }) => session),
    ]);
    expect((await routes.read("juliet@example.com")).routes).toEqual([sessions.at(-1)]);
  });

  test("a user may have 1,000 resources, and all are found; one more is refused", async () => {
    const routes = await start();
    const many = Array.from({ length: 1_000 }, (_, n) =>
      makeRoute({ resource: `r${String(n).padStart(4, "0")}`, session: `s${n}` }),
    );
    await Promise.all(many.map((route) => routes.bind(route)));
    expect(sorted((await routes.read("juliet@example.com")).routes)).toEqual(many);
    const extra = makeRoute({ resource: "zzz", session: "extra" });
    await expect(routes.bind(extra)).rejects.toMatchObject({ code: "routes-full" });
    expect((await routes.read("juliet@example.com")).routes).toHaveLength(1_000);
    const again = makeRoute({ resource: "r0000", session: "again" });
    expect((await routes.bind(again)).replaced?.session).toBe("s0");
  });

  test("with a bound on the sessions of a user, components keep theirs", async () => {
    const routes = await start({ sessionsPerUserMax: 2 });
    const bind = (user: string, resource: string) =>
      routes.bind(makeRoute({ user, resource, session: resource }));
    const juliet = "juliet@example.com";
    for (const resource of ["one", "two", "one"]) await bind(juliet, resource);
    await expect(bind(juliet, "three")).rejects.toMatchObject({ code: "routes-full" });
    expect((await routes.read(juliet)).routes).toHaveLength(2);
    await routes.unbind(makeRoute({ user: juliet, resource: "two", session: "two" }));
    expect((await bind(juliet, "three")).set.routes).toHaveLength(2);
    for (const resource of ["a", "b", "c"]) await bind("icq.example.com", resource);
    expect((await routes.read("icq.example.com")).routes).toHaveLength(3);
  });

  test("a claim is held by one until it is given back", async () => {
    const routes = await start();
    const first = await routes.claim("offline/juliet@example.com");
    expect(first).toMatchObject({ name: "offline/juliet@example.com", isHeld: true });
    expect(await routes.claim("offline/juliet@example.com")).toBeUndefined();
    expect(await routes.claim("offline/romeo@example.com")).toBeDefined();
    await first?.[Symbol.asyncDispose]();
    const second = await routes.claim("offline/juliet@example.com");
    expect(second).toBeDefined();
    await first?.[Symbol.asyncDispose](); // Given back twice: the second holder keeps it.
    expect(await routes.claim("offline/juliet@example.com")).toBeUndefined();
  });

  test("of many who claim at once one gets it", async () => {
    const routes = await start();
    const claims = await Promise.all(Array.from({ length: 20 }, () => routes.claim("one")));
    expect(claims.filter((claim) => claim !== undefined)).toHaveLength(1);
  });

  test("every holder of a claim has a greater token than the one before", async () => {
    const routes = await start();
    const tokens: number[] = [];
    for (let holders = 0; holders < 3; holders += 1) {
      await using claim = await routes.claim("one");
      tokens.push(claim?.token ?? 0);
      await routes.bind(makeRoute({ resource: `r${holders}` }));
    }
    expect(tokens.every((token, at) => token > (tokens[at - 1] ?? 0))).toBe(true);
  });

  test("a claim that was given back is over, and says so once", async () => {
    const routes = await start();
    const claim = await routes.claim("one");
    let said = 0;
    claim?.over.addEventListener("abort", () => {
      said += 1;
    });
    expect(claim?.over.aborted).toBe(false);
    await claim?.[Symbol.asyncDispose]();
    await claim?.[Symbol.asyncDispose]();
    expect({ said, isHeld: claim?.isHeld }).toEqual({ said: 1, isHeld: false });
  });

  test("a node that goes has no claim any more", async () => {
    const routes = await open({}); // It is not ended twice.
    const claim = await routes.claim("one");
    await routes[Symbol.asyncDispose]();
    expect(claim?.isHeld).toBe(false);
    expect(claim?.over.aborted).toBe(true);
  });

  test("whoever watches a claim is told who holds it, until it stops", async () => {
    const routes = await start();
    const told: (Holder | undefined)[] = [];
    const stop = routes.watchClaim("one", (holder) => told.push(holder));
    await until(() => told.length === 1);
    const first = await routes.claim("one");
    await until(() => told.length === 2);
    await first?.[Symbol.asyncDispose]();
    await until(() => told.length === 3);
    await routes.claim("another");
    const second = await routes.claim("one");
    await until(() => told.length === 4);
    stop();
    await second?.[Symbol.asyncDispose]();
    const holder = (claim: Claim | undefined) => ({ node: "self", token: claim?.token });
    expect(told).toEqual([undefined, holder(first), undefined, holder(second)]);
    const late: (Holder | undefined)[] = [];
    await routes.claim("one");
    routes.watchClaim("one", (one) => late.push(one));
    await until(() => late.length === 1);
    expect(late[0]?.node).toBe("self");
    expect(told).toHaveLength(4);
  });

  test("the engine answers when asked whether it does", async () => {
    await (await start()).ping();
  });
}
