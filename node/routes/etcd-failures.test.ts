/** Bad days: nodes die, freeze and lose their lease; etcd pauses, restarts and forgets. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import type { IRequestOp } from "etcd3";
import { GRPCDeadlineExceededError } from "etcd3";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import type { Etcd } from "../../e2e/harness/etcd.ts";
import { startEtcd } from "../../e2e/harness/etcd.ts";
import { FakeClock } from "../base/fake-clock.ts";
import type { EtcdClientOptions } from "./client.ts";
import { openClient } from "./client.ts";
import type { AskOwnRoutes } from "./members.ts";
import type { TestNode } from "./testing/etcd.ts";
import { LEASE_SECONDS, recovered, TestCluster, until } from "./testing/etcd.ts";
import { makeRoute } from "./testing/records.ts";

/** One of our own: others must not suffer what is done to it. */
let etcd: Etcd;
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "zonda-routes-"));
  etcd = await startEtcd({ dir: folder });
});

afterAll(async () => {
  await etcd.stop();
  await rm(folder, { recursive: true, force: true });
});

/** For what etcd is not to answer. */
const SHORT_MS = 1_500;

const isConditional = ({ request_txn }: IRequestOp): boolean => request_txn !== undefined;

const restart = async () => {
  const { clientPort } = etcd;
  await etcd.kill();
  etcd = await startEtcd({ dir: folder, port: clientPort });
};

function startCluster(access: { username?: string; password?: string } = {}): TestCluster {
  const cluster = new TestCluster({ endpoints: [etcd.endpoint], ...access });
  onTestFinished(() => cluster.end());
  return cluster;
}

test("a killed node is gone for the others within the lease time, and its routes with it", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one");
  const script = path.join(import.meta.dirname, "testing/node-process.ts");
  const child = spawn(process.execPath, [
    script,
    ...[etcd.endpoint, cluster.prefix, "doomed", String(LEASE_SECONDS)],
  ]);
  await once(child.stdout, "data");
  const phone = makeRoute({ node: "one", resource: "phone", session: "p" });
  const { set } = await one.routes.bind(phone);
  expect(set.routes.map(({ node }) => node).sort()).toEqual(["doomed", "one"]);
  child.kill("SIGKILL");
  await until(() => one.diary.lines.includes("down doomed"));
  expect(one.diary.lines).toEqual(["up doomed", "lapsed doomed", "down doomed"]);
  expect(one.routes.known(phone.user)?.routes).toEqual([phone]);
  expect((await one.routes.read(phone.user)).routes).toEqual([phone]);
});

test("what was remembered of a dead node's users is forgotten with it", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one");
  const two = await cluster.start("two");
  const route = makeRoute({ node: "two" });
  await two.routes.bind(route);
  expect((await one.routes.lookup(route.user)).routes).toEqual([route]);
  await two.routes[Symbol.asyncDispose]();
  await until(() => one.diary.lines.includes("down two"));
  expect((await one.routes.lookup(route.user)).routes).toEqual([]);
});

test("a frozen node loses what others took meanwhile, and publishes the rest again", async () => {
  const cluster = startCluster();
  const clock = new FakeClock();
  const frozen = await cluster.start("frozen", {}, clock);
  const other = await cluster.start("other");
  const kept = makeRoute({ node: "frozen", resource: "kept", session: "kept" });
  const taken = makeRoute({ node: "frozen", resource: "taken", session: "taken" });
  await frozen.routes.bind(kept);
  await frozen.routes.bind(taken);
  await cluster.lapse("frozen");
  await until(() => other.diary.lines.includes("down frozen"));
  expect((await other.routes.read(kept.user)).routes).toEqual([]);
  cluster.deaf.add("frozen");
  const thief = makeRoute({ node: "other", resource: "taken", session: "thief" });
  await other.routes.bind(thief);
  clock.advance(LEASE_SECONDS * 1_000); // It wakes up.
  expect(frozen.diary.lines).toContain("lease lost");
  await expect(
    frozen.routes.bind(makeRoute({ node: "frozen", resource: "late" })),
  ).rejects.toMatchObject({ code: "routes-lost-lease" });
  const changed = { ...kept, available: true, priority: 3 };
  await expect(frozen.routes.update(changed)).rejects.toMatchObject({ code: "routes-lost-lease" });
  clock.advance(1_000);
  await until(() => frozen.diary.lines.includes("lease regained"));
  expect(frozen.diary.lines.filter((line) => line.startsWith("lost"))).toEqual(["lost taken"]);
  expect((await other.routes.read(kept.user)).routes).toEqual([changed, thief]);
  await until(() => other.diary.lines.filter((line) => line === "up frozen").length === 2);
});

test("a node that answers without a lease is found, and gives up what another binds", async () => {
  const cluster = startCluster();
  const clock = new FakeClock();
  const cut = await cluster.start("cut", {}, clock);
  const isAsked: string[] = [];
  const askOwnRoutes = async (node: string, user: string) => {
    isAsked.push(node);
    return cut.routes.own(user);
  };
  const other = await cluster.start("other", { askOwnRoutes });
  const kept = makeRoute({ node: "cut", resource: "kept", session: "kept" });
  const taken = makeRoute({ node: "cut", resource: "taken", session: "taken" });
  await cut.routes.bind(kept);
  await cut.routes.bind(taken);
  await cluster.lapse("cut");
  await until(() => other.diary.lines.includes("lapsed cut"));
  expect((await other.routes.read(kept.user)).routes).toEqual([kept, taken]);
  clock.advance(LEASE_SECONDS * 1_000);
  expect(cut.routes.own(kept.user)).toEqual({ routes: [kept, taken], isPublished: false });
  const next = makeRoute({ node: "other", resource: "taken", session: "next" });
  const { replaced } = await other.routes.bind(next);
  expect(replaced).toEqual(taken);
  expect(cut.diary.lines).toContain("lost taken");
  // The same session, resumed elsewhere. Its node may have a lease again by now, and publish it in between.
  await until(async () => {
    const seen = await other.routes.read(kept.user);
    expect(new Set(seen.routes)).toEqual(new Set([next, kept]));
    const moved = other.routes.takeOver({ ...kept, node: "other" }, seen);
    return await moved.then(
      () => true,
      () => false,
    );
  });
  await until(() => cut.diary.lines.includes("moved kept"));
  clock.advance(1_000);
  await until(() => other.diary.lines.includes("back cut"));
  expect(other.diary.lines).not.toContain("down cut");
  expect(new Set(isAsked)).toEqual(new Set(["cut"]));
});

test("a node that leaves does not say what it holds", async () => {
  const one = await startCluster().start("one");
  await one.routes[Symbol.asyncDispose]();
  expect(() => one.routes.own("juliet@example.com")).toThrow("this node is leaving");
});

test("a lease is given up before it can lapse, counted from when its proof was asked for", async () => {
  const cluster = startCluster();
  const clock = new FakeClock(); // No answer is awaited while it moves: nothing proves the lease.
  const { routes, diary } = await cluster.start("one", {}, clock);
  const marginMs = LEASE_SECONDS * 100; // A tenth of the lease.
  clock.advance(LEASE_SECONDS * 1_000 - marginMs - 1);
  expect(routes.holdsLease).toBe(true);
  expect(routes.tenure).not.toBe("");
  clock.advance(1);
  expect(routes.holdsLease).toBe(false);
  expect(routes.tenure).toBe("");
  expect(diary.lines).toEqual(["lease lost"]);
});

test("a lease that is proven again and again is kept", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one");
  const key = Buffer.from(`${cluster.prefix}nodes/one`);
  const { kvs } = await cluster.client.kv.range({ key });
  const started = performance.now();
  await until(() => performance.now() - started > LEASE_SECONDS * 1_200);
  expect((await cluster.client.kv.range({ key })).kvs).toEqual(kvs);
  expect(one.diary.lines).toEqual([]);
});

test("etcd paused: the lease is given up, nobody binds, and all is well afterwards", async () => {
  const cluster = startCluster();
  const { routes, diary } = await cluster.start("one", { requestTimeoutMs: SHORT_MS });
  const route = makeRoute({ node: "one" });
  const gone = makeRoute({ node: "one", resource: "gone", session: "gone" });
  await recovered(() => routes.bind(route));
  await recovered(() => routes.bind(gone));
  const claim = await recovered(() => routes.claim("room"));
  claim?.over.addEventListener("abort", () => diary.lines.push("claim over"));
  etcd.pause();
  try {
    await expect(routes.bind(makeRoute({ resource: "other" }))).rejects.toMatchObject({
      name: "Unavailable",
    });
    await until(() => diary.lines.includes("lease lost"));
    expect(claim?.isHeld).toBe(false);
    expect(diary.lines).toEqual(["claim over", "lease lost"]);
    expect(routes.lookup(route.user)).toEqual(routes.known(route.user));
    await expect(routes.bind(makeRoute({ resource: "third" }))).rejects.toMatchObject({
      code: "routes-lost-lease",
    });
    await expect(routes.ping()).rejects.toMatchObject({ code: "routes-lost-lease" });
    await expect(routes.read("somebody@example.com")).rejects.toMatchObject({
      name: "Unavailable",
    });
    await expect(routes.unbind(gone)).rejects.toMatchObject({ name: "Unavailable" });
  } finally {
    etcd.resume();
  }
  await until(() => diary.lines.includes("lease regained"));
  await recovered(() => routes.ping());
  expect(diary.lines).toEqual(["claim over", "lease lost", "lease regained"]);
  // What failed in doubt is put right: the unbound route and the refused binds leave nothing.
  await recovered(async () => expect((await routes.read(route.user)).routes).toEqual([route]));
  const again = makeRoute({ node: "one", resource: "again" });
  expect((await recovered(() => routes.bind(again))).set.routes).toHaveLength(2);
});

test("etcd paused: nodes find whom other nodes hold, and nobody is said to be away", async () => {
  const cluster = startCluster();
  const nodes = new Map<string, TestNode>();
  const askOwnRoutes: AskOwnRoutes = async (node, user) => {
    const asked = nodes.get(node);
    if (asked === undefined) throw new Error("no link");
    return asked.routes.own(user);
  };
  const options = { askOwnRoutes, requestTimeoutMs: SHORT_MS };
  for (const name of ["one", "two"]) {
    nodes.set(name, await recovered(() => cluster.start(name, options)));
  }
  const [one, two] = [nodes.get("one")?.routes, nodes.get("two")?.routes];
  if (one === undefined || two === undefined) throw new Error("Cannot test: no nodes");
  await until(() => one.nodes.has("two"));
  const route = makeRoute({ node: "two" });
  const before = await recovered(async () => one.find(route.user));
  expect(before.routes).toEqual([]); // Known to be nobody.
  await recovered(() => two.bind(route));
  etcd.pause();
  try {
    expect(await one.find(route.user)).toMatchObject({ isPartial: true, routes: [route] });
    // What is told to all of a user's resources needs all of them: it is told again when etcd answers.
    await expect(one.lookup(route.user)).rejects.toMatchObject({ name: "Unavailable" });
    await expect(one.find("somebody@example.com")).rejects.toMatchObject({ name: "Unavailable" });
    await expect(one.read(route.user)).rejects.toMatchObject({ name: "Unavailable" });
  } finally {
    etcd.resume();
  }
  await recovered(async () =>
    expect(await one.find(route.user, true)).not.toHaveProperty("isPartial"),
  );
});

test("etcd paused: a takeover in doubt is decided when it answers, though all leases have lapsed", async () => {
  const cluster = startCluster();
  const gone = await cluster.start("gone", {}, new FakeClock()); // Its lease is never renewed.
  const { routes, diary } = await cluster.start("taker", { requestTimeoutMs: SHORT_MS });
  const route = makeRoute({ node: "gone" });
  await gone.routes.bind(route);
  const seen = await recovered(() => routes.read(route.user));
  const ours = { ...route, node: "taker" };
  etcd.pause();
  const taken = routes.takeOver(ours, seen).catch((error: unknown) => error);
  try {
    await until(() => diary.lines.includes("lease lost"));
  } finally {
    etcd.resume();
  }
  expect(await taken).toMatchObject({ routes: [ours] });
  await until(() => diary.lines.includes("down gone"));
  expect((await recovered(() => routes.read(route.user))).routes).toEqual([ours]);
  // It is on the lease that is held now.
  await until(async () => {
    const lease = await cluster.leaseOf("taker");
    const { kvs } = await cluster.client.getAll().prefix(cluster.prefix).exec();
    return kvs.filter((kv) => kv.lease === lease).length === 2;
  });
});

test("a takeover that was written unknown to its node, and has gone with its lease, is written again", async () => {
  const cluster = startCluster();
  const gone = await cluster.start("gone", {}, new FakeClock());
  const route = makeRoute({ node: "gone" });
  await gone.routes.bind(route);
  const asked = Promise.withResolvers<void>();
  const isAnswered = Promise.withResolvers<void>();
  let takeovers = 0;
  const connect = (options: EtcdClientOptions) => {
    const client = openClient(options);
    const txn = client.kv.txn.bind(client.kv);
    const leaseGrant = client.leaseClient.leaseGrant.bind(client.leaseClient);
    client.kv.txn = async (request) => {
      if (request.success?.some(isConditional) !== true) return await txn(request);
      takeovers += 1;
      if (takeovers === 2) {
        asked.resolve();
        await until(() => taker.diary.lines.includes("lease lost"));
        setImmediate(isAnswered.resolve);
      }
      const answer = await txn(request);
      if (takeovers === 1) throw new GRPCDeadlineExceededError("The answer was lost");
      return answer;
    };
    client.leaseClient.leaseGrant = async (request) => {
      if (takeovers > 0) await isAnswered.promise;
      return await leaseGrant(request);
    };
    return client;
  };
  const taker = await cluster.start("taker", { connect });
  const { routes } = taker;
  const seen = await routes.read(route.user);
  const taken = routes.takeOver({ ...route, node: "taker", moves: 1 }, seen);
  await asked.promise;
  await cluster.lapse("taker");
  // Whoever had it before was told that it was taken: it is nobody's if not ours.
  expect(await taken).toMatchObject({ routes: [{ ...route, node: "taker", moves: 2 }] });
});

test("etcd paused: a takeover in doubt of an address that is bound here keeps nothing from a new lease", async () => {
  const cluster = startCluster();
  const options = { requestTimeoutMs: SHORT_MS };
  const { routes, diary } = await recovered(() => cluster.start("one", options));
  const route = makeRoute({ node: "one" });
  const nobody = await recovered(() => routes.read(route.user));
  await recovered(() => routes.bind(route));
  etcd.pause();
  const earlier = { ...route, session: "earlier" };
  const taken = routes.takeOver(earlier, nobody).catch((error: unknown) => error);
  try {
    await until(() => diary.lines.includes("lease lost"));
  } finally {
    etcd.resume();
  }
  await until(() => diary.lines.includes("lease regained"));
  await taken;
  // Whether the key lapsed in between is up to etcd: one of both has the address.
  const { routes: found } = await recovered(() => routes.read(route.user));
  expect(found).toHaveLength(1);
  expect([route, earlier]).toContainEqual(found[0]);
  expect(routes.own(route.user)).toEqual({ routes: found, isPublished: true });
});

test("a lease that somebody revoked is replaced, and everything published again", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one");
  const two = await cluster.start("two");
  const route = makeRoute({ node: "one" });
  await one.routes.bind(route);
  await cluster.lapse("one");
  await until(() => one.diary.lines.includes("lease regained"));
  expect(one.diary.lines.filter((line) => line.startsWith("lost"))).toEqual([]);
  expect((await two.routes.read(route.user)).routes).toEqual([route]);
  await until(() => two.diary.lines.join().endsWith("down one,up one"));
});

test("nodes with sessions of the same users hear of what was published again", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one");
  const two = await cluster.start("two");
  const phone = makeRoute({ node: "one", resource: "phone", session: "p" });
  const desk = makeRoute({ node: "two", resource: "desk", session: "d" });
  await one.routes.bind(phone);
  await two.routes.bind(desk);
  await cluster.lapse("one");
  await until(() => two.diary.lines.join().endsWith("down one,up one"));
  await until(() => two.routes.known(phone.user)?.routes.length === 2);
  expect(two.routes.known(phone.user)?.routes).toEqual([desk, phone]);
});

test("a bind on a lease that has just vanished is refused, and the lease is known to be lost", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one", {}, new FakeClock());
  await cluster.lapse("one");
  const bound = await one.routes.bind(makeRoute({ node: "one" })).catch((error) => error.code);
  expect(bound).toBe("routes-lost-lease");
  expect(one.diary.lines).toEqual(["lease lost"]);
});

test("who reads that nobody has its routes asks whether its lease has vanished, and loses no session by that", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one", {}, new FakeClock());
  const two = await cluster.start("two", {}, new FakeClock());
  const [first, second] = [makeRoute({ node: "one" }), makeRoute({ node: "two", user: "b@c" })];
  await one.routes.bind(first);
  const { set } = await two.routes.bind(second);
  await cluster.lapse("one");
  await one.routes.read(first.user);
  expect(one.diary.lines).not.toContain("lost session-1");
  expect(one.diary.lines).toContain("lease lost");
  expect(one.routes.known(first.user)?.routes).toEqual([first]);
  await cluster.lapse("two");
  two.routes.learn(second.user, { revision: set.revision + 1, routes: [] });
  await until(() => two.diary.lines.includes("lease lost"));
  expect(two.routes.known(second.user)?.routes).toEqual([second]);
});

test("etcd killed, restarted and compacted: nodes still see who comes and goes", async () => {
  const cluster = startCluster();
  const one = await cluster.start("one", { leaseSeconds: 60 });
  const route = makeRoute({ node: "one" });
  await one.routes.bind(route);
  await restart();
  await until(() =>
    cluster.client
      .put(`${cluster.prefix}x`)
      .value("1")
      .then(Boolean, () => false),
  );
  await cluster.client.put(`${cluster.prefix}x`).value("2");
  const revision = await cluster.revision();
  await cluster.client.kv.compact({ revision: String(revision) });
  const two = await cluster.start("two");
  await until(() => one.routes.nodes.has("two"));
  expect((await two.routes.read(route.user)).routes).toEqual([route]);
  await two.routes[Symbol.asyncDispose]();
  await until(() => !one.routes.nodes.has("two"));
  expect(one.diary.lines).toEqual(["up two", "lapsed two", "down two"]);
});

test("with a login, a node goes on after etcd has forgotten the login's token", async () => {
  const admin = startCluster().client;
  const root = admin.user("root");
  await root.create("secret");
  await root.addRole("root");
  await admin.auth.authEnable();
  const login = { username: "root", password: "secret" };
  onTestFinished(async () => {
    const cluster = new TestCluster({ endpoints: [etcd.endpoint], ...login });
    await cluster.client.auth.authDisable();
    await cluster.end();
  });
  const wrong = new TestCluster({ endpoints: [etcd.endpoint], ...login, password: "wrong" });
  await expect(wrong.start("intruder")).rejects.toMatchObject({ name: "Unavailable" });
  wrong.client.close();
  const cluster = startCluster(login);
  const one = await cluster.start("one", { leaseSeconds: 60 });
  await one.routes.bind(makeRoute({ node: "one" }));
  await restart(); // Its tokens are in memory only.
  await until(() =>
    one.routes.ping().then(
      () => true,
      () => false,
    ),
  );
  await cluster.start("two");
  await until(() => one.routes.nodes.has("two"));
  expect(one.diary.lines).toEqual(["up two"]);
});

test("joining without etcd fails with a reason, not with silence", async () => {
  const nowhere = new TestCluster({ endpoints: ["http://127.0.0.1:1"], requestTimeoutMs: 500 });
  await expect(nowhere.start("one")).rejects.toThrow("Cannot join the cluster");
  nowhere.client.close();
});
