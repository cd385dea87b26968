import { describe, expect, onTestFinished, test } from "vitest";
import type { EtcdClient, EtcdClientOptions } from "./client.ts";
import { openClient } from "./client.ts";
import { testRoutes } from "./contract.suite.ts";
import type { Holder, Route } from "./contract.ts";
import { sharedEndpoint, TestCluster, until } from "./testing/etcd.ts";
import { makeRoute } from "./testing/records.ts";

function startCluster(): TestCluster {
  const cluster = new TestCluster({ endpoints: [sharedEndpoint()] });
  onTestFinished(() => cluster.end());
  return cluster;
}

const usersOf = (count: number): Route[] =>
  Array.from({ length: count }, (_, n) =>
    makeRoute({ user: `user${n}@example.com`, session: `s${n}` }),
  );

describe("etcd", () => {
  testRoutes(async (bounds) => (await startCluster().start("self", bounds)).routes);
});

test("nodes see each other come and go", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one");
  const two = await cluster.start("two");
  expect([...two.routes.nodes.keys()]).toEqual(["one"]);
  expect(two.diary.lines).toEqual(["up one"]);
  await until(() => one.routes.nodes.has("two"));
  expect(one.routes.nodes.get("two")).toMatchObject({ meshPort: 5280, name: "zonda-two" });
  await two.routes[Symbol.asyncDispose]();
  await until(() => !one.routes.nodes.has("two"));
  expect(one.diary.lines).toEqual(["up two", "lapsed two", "down two"]);
});

test("a node that leaves takes everything of its own with it at once", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one");
  await one.routes.bind(makeRoute({ node: "one" }));
  await one.routes.claim("something");
  expect(await cluster.keys()).toHaveLength(3);
  await one.routes[Symbol.asyncDispose]();
  expect(await cluster.keys()).toEqual([]);
});

/** Reaches etcd as ever, but for its transactions. */
const connecting =
  (txnOf: (txn: EtcdClient["kv"]["txn"]) => EtcdClient["kv"]["txn"]) =>
  (options: EtcdClientOptions): EtcdClient => {
    const client = openClient(options);
    const { kv, leaseClient, watchClient } = client;
    const [range, put, txn] = [kv.range.bind(kv), kv.put.bind(kv), txnOf(kv.txn.bind(kv))];
    return { kv: { range, put, txn }, leaseClient, watchClient, close: () => client.close() };
  };

test("a bind in doubt that took another node's address is taken back, and that node hears", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one");
  let isLosing = false;
  const connect = connecting((txn) => async (request) => {
    const answer = await txn(request);
    if (isLosing) throw new Error("the answer is lost");
    return answer;
  });
  const two = await cluster.start("two", { connect });
  const [phone, again] = ["p", "q"].map((session) => makeRoute({ node: "one", session })) as [
    Route,
    Route,
  ];
  await one.routes.bind(phone);
  isLosing = true;
  const taking = two.routes.bind({ ...again, node: "two" });
  await expect(taking).rejects.toMatchObject({ code: "routes-unavailable" });
  isLosing = false;
  await until(() => one.diary.lines.includes("lost p"));
  await until(async () => (await one.routes.read(again.user)).routes.length === 0);
  // One that took nobody's place is taken back without a word.
  isLosing = true;
  cluster.notices.length = 0;
  await expect(two.routes.bind({ ...again, node: "two" })).rejects.toThrow();
  isLosing = false;
  await until(async () => (await one.routes.read(again.user)).routes.length === 0);
  expect(cluster.notices).toEqual([]);
});

test("a read that fails while nodes are asked instead surprises nobody", async () => {
  const cluster = startCluster();
  await cluster.start("two");
  let isAway = false;
  const connect = connecting((txn) => async (request) => {
    if (isAway) throw new Error("etcd is away");
    return await txn(request);
  });
  const { promise: asked, resolve: answer } = Promise.withResolvers<void>();
  const askOwnRoutes = async () => {
    await asked;
    return "gone" as const;
  };
  const { routes } = await cluster.start("one", { connect, askOwnRoutes });
  const { user } = makeRoute();
  const isRefused = { code: "routes-unavailable" };
  isAway = true;
  await expect(routes.read(user)).rejects.toMatchObject(isRefused);
  const found = routes.find(user);
  await expect(routes.read(user)).rejects.toMatchObject(isRefused);
  // A rejection that nobody has asked for by the end of a turn ends the process.
  await new Promise((resolve) => setImmediate(resolve));
  answer();
  await expect(found).rejects.toMatchObject(isRefused);
});

test("after a bind every sibling node knows the user's routes without asking", async () => {
  const cluster = startCluster();
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  const phone = makeRoute({ node: "one", resource: "phone", session: "p" });
  const desk = makeRoute({ node: "two", resource: "desk", session: "d" });
  await one.routes.bind(phone);
  const { set } = await two.routes.bind(desk);
  expect(set.routes).toEqual([desk, phone]);
  expect(one.routes.known(phone.user)).toEqual(set);
  const changed = { ...phone, available: true };
  const updated = await one.routes.update(changed);
  expect(two.routes.known(phone.user)).toEqual(updated);
  await one.routes.unbind(changed);
  expect(two.routes.known(phone.user)?.routes).toEqual([desk]);
  expect(one.routes.known(phone.user)).toBeUndefined();
  expect(cluster.notices.every((notice) => !notice.startsWith("three"))).toBe(true);
});

test("nodes without sessions of the user are not told", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one");
  await cluster.start("two");
  await one.routes.bind(makeRoute({ node: "one" }));
  expect(cluster.notices).toEqual([]);
});

test("a sibling that cannot be told over the mesh is told through etcd", async () => {
  const cluster = startCluster();
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  await one.routes.bind(makeRoute({ node: "one", resource: "phone", session: "p" }));
  cluster.deaf.add("one");
  for (const session of ["d1", "d2"]) {
    await two.routes.bind(makeRoute({ node: "two", resource: "desk", session }));
    const knows = (id: string) =>
      one.routes.known("juliet@example.com")?.routes.some((route) => route.session === id) === true;
    await until(() => knows(session));
  }
});

test("a node that cannot be told over the mesh of what is stored for a user is told through etcd", async () => {
  const cluster = startCluster();
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  await two.routes.notice(one.routes.self.incarnation, "juliet@example.com");
  await until(() => one.diary.lines.includes("notice juliet@example.com"));
});

test("a session whose route is lost while others are told of it is not bound", async () => {
  const cluster = startCluster();
  const notifySiblings = async (_node: string, user: string) => {
    await cluster.client.delete().prefix(`${cluster.prefix}routes/`);
    await one.routes.read(user);
  };
  const one = await cluster.start("one", { notifySiblings });
  const two = await cluster.start("two");
  await two.routes.bind(makeRoute({ node: "two", resource: "phone", session: "p" }));
  const desk = makeRoute({ node: "one", resource: "desk", session: "d" });
  await expect(one.routes.bind(desk)).rejects.toMatchObject({ code: "routes-lost" });
});

test("a bind on another node takes the address over and the first node is told", async () => {
  const cluster = startCluster();
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  const old = makeRoute({ node: "one", session: "old" });
  await one.routes.bind(old);
  const { replaced, set } = await two.routes.bind(makeRoute({ node: "two", session: "new" }));
  expect(replaced).toEqual(old);
  expect(set.routes.map(({ session }) => session)).toEqual(["new"]);
  expect(one.diary.lines).toContain("lost old");
  expect(one.routes.known(old.user)).toBeUndefined();
});

test("a session that lost its address without hearing of it cannot change or remove it", async () => {
  const cluster = startCluster();
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  const old = makeRoute({ node: "one", session: "old" });
  const recent = makeRoute({ node: "two", session: "new" });
  await one.routes.bind(old);
  cluster.deaf.add("one");
  await two.routes.bind(recent);
  await expect(one.routes.update({ ...old, available: true })).rejects.toMatchObject({
    code: "routes-lost",
  });
  expect(one.diary.lines.filter((line) => line === "lost old")).toHaveLength(1);
  expect((await one.routes.unbind(old)).routes).toEqual([recent]);
  expect((await two.routes.read(old.user)).routes).toEqual([recent]);
  expect(two.diary.lines.filter((line) => line.startsWith("lost"))).toEqual([]);
});

test("two nodes that bind the same address again and again agree who has it", async () => {
  const cluster = startCluster();
  const nodes = [await cluster.start("one"), await cluster.start("two")] as const;
  const bound = await Promise.allSettled(
    Array.from({ length: 40 }, (_, n) => {
      const node = n % 2 === 0 ? "one" : "two";
      return nodes[n % 2]?.routes.bind(makeRoute({ node, session: `s${n}` }));
    }),
  );
  const [holder] = (await nodes[0].routes.read("juliet@example.com")).routes;
  const winner = bound[Number(holder?.session.slice(1))];
  expect(winner?.status).toBe("fulfilled");
  const [home, away] = holder?.node === "one" ? nodes : [nodes[1], nodes[0]];
  await until(() => home.routes.known("juliet@example.com")?.routes.length === 1);
  await until(() => away.routes.known("juliet@example.com") === undefined);
});

test("a claim is held by one node of all, and isHeld says so", async () => {
  const cluster = startCluster();
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  const claims = await Promise.all([one.routes.claim("room"), two.routes.claim("room")]);
  const held = claims.filter((claim) => claim !== undefined);
  expect(held).toHaveLength(1);
  expect(held[0]?.isHeld).toBe(true);
  await held[0]?.[Symbol.asyncDispose]();
  expect(await two.routes.claim("room")).toBeDefined();
});

test("a node that leaves frees its claims, and the next holder's token is greater", async () => {
  const cluster = startCluster();
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  const first = await one.routes.claim("room");
  const told: (Holder | undefined)[] = [];
  two.routes.watchClaim("room", (holder) => told.push(holder));
  await until(() => told.length === 1);
  expect(await two.routes.claim("room")).toBeUndefined();
  await one.routes[Symbol.asyncDispose]();
  await until(() => told.length === 2);
  const second = await two.routes.claim("room");
  await until(() => told.length === 3);
  expect(told).toEqual([
    { node: "one", token: first?.token },
    undefined,
    { node: "two", token: second?.token },
  ]);
  expect(second?.token).toBeGreaterThan(first?.token ?? Number.POSITIVE_INFINITY);
});

test("1,000 binds, changes or reads at once take few transactions, and each gets its own answer", async () => {
  const cluster = startCluster();
  let transactions = 0;
  const connect = connecting((txn) => (request) => {
    transactions += 1;
    return txn(request);
  });
  const { routes } = await cluster.start("self", { connect });
  transactions = 0;
  const many = usersOf(1_000);
  const results = await Promise.all(many.map((route) => routes.bind(route)));
  expect(transactions).toBeLessThanOrEqual(20);
  expect(results.map(({ set }) => set.routes)).toEqual(many.map((route) => [route]));
  const changed = many.map((route) => ({ ...route, available: true }));
  transactions = 0;
  await Promise.all(changed.map((route) => routes.update(route)));
  expect(transactions).toBeLessThanOrEqual(20);
  transactions = 0;
  const found = await Promise.all(changed.map(({ user }) => routes.read(user)));
  expect(transactions).toBeLessThanOrEqual(20);
  expect(found.map((set) => set.routes)).toEqual(changed.map((route) => [route]));
  await Promise.all(changed.map((route) => routes.unbind(route)));
  expect(await cluster.keys()).toHaveLength(1);
});

test("one failed condition in a shared transaction fails nobody else", async () => {
  const cluster = startCluster();
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  const routes = usersOf(50).map((route) => ({ ...route, node: "one" }));
  await Promise.all(routes.map((route) => one.routes.bind(route)));
  cluster.deaf.add("one");
  const taken = { ...(routes[20] as Route), node: "two", session: "taken" };
  await two.routes.bind(taken);
  const updates = routes.map((route) => one.routes.update({ ...route, priority: 5 }));
  const results = await Promise.allSettled(updates);
  const refused = results.flatMap(({ status }, index) => (status === "rejected" ? [index] : []));
  expect(refused).toEqual([20]);
  expect((await two.routes.read(taken.user)).routes).toEqual([taken]);
});

test("a node that has lapsed unseen is asked all the same", async () => {
  const cluster = startCluster();
  const holder = await cluster.start("holder");
  const route = makeRoute({ node: "holder" });
  await holder.routes.bind(route);
  // It lists nodes, and is told of no change.
  const connect = (options: EtcdClientOptions): EtcdClient => {
    const client = openClient(options);
    const { kv, leaseClient } = client;
    const watchClient = { watch: () => new Promise<never>(() => {}) };
    return { kv, leaseClient, watchClient, close: () => client.close() } as unknown as EtcdClient;
  };
  const askOwnRoutes = async (_node: string, user: string) => holder.routes.own(user);
  const behind = await cluster.start("behind", { connect, askOwnRoutes });
  expect((await behind.routes.read(route.user)).routes).toEqual([route]);
  const { client, prefix } = cluster;
  await client.delete().prefix(`${prefix}nodes/holder`);
  await client.delete().prefix(`${prefix}routes/`);
  expect((await behind.routes.read(route.user)).routes).toEqual([route]);
  expect(behind.diary.lines).toEqual(["up holder", "lapsed holder"]);
});

test("a node whose address refuses connections is gone before its lease lapses", async () => {
  const cluster = startCluster();
  const [dead, other] = [await cluster.start("dead"), await cluster.start("other")];
  const route = makeRoute({ node: "dead" });
  await dead.routes.bind(route);
  const askOwnRoutes = async (node: string) =>
    node === "dead" ? ("refused" as const) : other.routes.own("");
  const isRefused = async () => true;
  const one = await cluster.start("one", { askOwnRoutes, isRefused });
  const lease = dead.diary.lines.length;
  one.routes.refused("dead");
  await until(() => one.diary.lines.includes("down dead"));
  expect((await one.routes.read(route.user)).routes).toEqual([]);
  // If it is there nevertheless, it goes on with another one.
  await until(() => dead.diary.lines.slice(lease).includes("lease regained"));
  expect(dead.diary.lines).toContain("lease lost");
});

test("what is remembered of other nodes' users is bounded", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one");
  const two = await cluster.start("two", { cacheUsersMax: 100 });
  const many = usersOf(300).map((route) => ({ ...route, node: "one" }));
  await Promise.all(many.map((route) => one.routes.bind(route)));
  const found = await Promise.all(many.map(({ user }) => two.routes.lookup(user)));
  expect(found.every((set) => set.routes.length === 1)).toBe(true);
  expect(two.routes.gauges.cachedUsers).toBeLessThanOrEqual(100);
  expect(one.routes.gauges.knownUsers).toBe(300);
});

test("a lookup answers from memory, a read asks, and older news change nothing", async () => {
  const cluster = startCluster();
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  const route = makeRoute({ node: "one" });
  const { set } = await one.routes.bind(route);
  const found = await two.routes.lookup(route.user);
  expect(found.routes).toEqual([route]);
  await one.routes.update({ ...route, priority: 9 });
  expect(two.routes.lookup(route.user)).toEqual(found); // Not a promise: from memory.
  const read = await two.routes.read(route.user);
  expect(read.routes[0]?.priority).toBe(9);
  two.routes.learn(route.user, set);
  expect(two.routes.lookup(route.user)).toEqual(read);
  one.routes.learn(route.user, { revision: set.revision - 1, routes: [] });
  expect(one.routes.known(route.user)?.routes).toHaveLength(1);
  await one.routes.update({ ...route, priority: 8 });
  for (const { routes } of [one, two]) routes.outdated(route.user);
  expect((await two.routes.lookup(route.user)).routes[0]?.priority).toBe(8);
  expect(one.routes.known(route.user)?.routes).toHaveLength(1); // What is exact stays.
  expect(one.diary.lines).not.toContain("lost session-1");
});

test("what is not a route or a node record is passed over", async () => {
  const cluster = startCluster();
  const base = cluster.prefix;
  await cluster.client.put(`${base}routes/example.com/juliet/odd`).value("not json");
  await cluster.client.put(`${base}routes/example.com/juliet/null`).value("null");
  await cluster.client.put(`${base}nodes/odd`).value("[1,2]");
  const { routes } = await cluster.start();
  const route = makeRoute();
  await routes.bind(route);
  expect((await routes.read(route.user)).routes).toEqual([route]);
  expect([...routes.nodes.keys()]).toEqual([]);
});
