/** Sessions that go on at other nodes, and nodes that stood still and come back: there is one line of descent. */
import { expect, onTestFinished, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { CopyOrigin, Route } from "./contract.ts";
import { movedTo } from "./contract.ts";
import type { TestNode } from "./testing/etcd.ts";
import { LEASE_SECONDS, sharedEndpoint, TestCluster, until } from "./testing/etcd.ts";
import { makeRoute } from "./testing/records.ts";

function startCluster(): TestCluster {
  const cluster = new TestCluster({ endpoints: [sharedEndpoint()] });
  onTestFinished(() => cluster.end());
  return cluster;
}

const ROUTE = makeRoute({ node: "owner" });
const copyOf = (owner: string): CopyOrigin => ({ owner, voidTerm: 0 });

async function takeOver({ routes }: TestNode, from: Route, copy: CopyOrigin): Promise<Route> {
  const next = movedTo(routes.self.incarnation, from);
  const seen = await routes.read(from.user);
  const set = await routes.takeOver(next, seen, copy);
  return set.routes[0] ?? next;
}

const routesIn = async ({ routes }: TestNode) => (await routes.read(ROUTE.user)).routes;

/** The owner has stood still, and the taker has its session. */
async function startTaken() {
  const cluster = startCluster();
  const clock = new FakeClock();
  const owner = await cluster.start("owner", {}, clock); // Its lease is never renewed.
  const taker = await cluster.start("taker");
  const other = await cluster.start("other");
  await owner.routes.bind(ROUTE);
  await until(() => [taker, other].every(({ diary }) => diary.lines.includes("down owner")));
  cluster.deaf.add("owner");
  const taken = await takeOver(taker, ROUTE, copyOf("owner"));
  expect(taken).toEqual({ ...ROUTE, node: "taker", moves: 1 });
  const wakeUp = async () => {
    clock.advance(LEASE_SECONDS * 1_000);
    clock.advance(1_000);
    await until(() => owner.diary.lines.includes("lease regained"));
  };
  return { cluster, owner, taker, other, wakeUp };
}

test("a node that stood still gives up what has gone on, though nobody has its route any more", async () => {
  const { owner, taker, other, wakeUp } = await startTaken();
  await taker.routes[Symbol.asyncDispose]();
  await until(async () => (await routesIn(other)).length === 0);
  await wakeUp();
  expect(owner.diary.lines).toContain("moved session-1");
  expect(await routesIn(other)).toEqual([]);
});

test("a copy from before its session went on elsewhere is of no use", async () => {
  const { taker, other } = await startTaken();
  await taker.routes[Symbol.asyncDispose]();
  await until(async () => (await routesIn(other)).length === 0);
  const late = takeOver(other, ROUTE, copyOf("owner"));
  await expect(late).rejects.toMatchObject({ code: "routes-gone-on" });
});

test("a copy of whoever took the session over counts, though it is from just before that", async () => {
  const { owner, taker, other, wakeUp } = await startTaken();
  await taker.routes[Symbol.asyncDispose]();
  await until(async () => (await routesIn(other)).length === 0);
  const taken = await takeOver(other, { ...ROUTE, node: "taker" }, copyOf("taker"));
  expect(taken).toEqual({ ...ROUTE, node: "other", moves: 2 });
  await wakeUp();
  expect(owner.diary.lines).toContain("moved session-1");
  expect(await routesIn(other)).toEqual([taken]);
});

test("what was given away before its route was renewed is not taken over, though that has lapsed", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  const taker = await cluster.start("taker");
  await owner.routes.bind(ROUTE);
  const renewed = movedTo("owner", ROUTE);
  await owner.routes.renew(renewed);
  await owner.routes.renew(renewed); // As when the first answer was lost.
  expect(await routesIn(taker)).toEqual([renewed]);
  await owner.routes[Symbol.asyncDispose]();
  await until(async () => (await routesIn(taker)).length === 0);
  const late = takeOver(taker, ROUTE, copyOf("another"));
  await expect(late).rejects.toMatchObject({ code: "routes-gone-on" });
});

test("a node whose lease lapses while it renews a route has it afterwards, as it is then", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  await owner.routes.bind(ROUTE);
  const { client, prefix } = cluster;
  await client.put(`${prefix}steps/${ROUTE.session}/1`).value("owner");
  const { kvs } = await client.kv.range({ key: Buffer.from(`${prefix}nodes/owner`) });
  await client.leaseClient.leaseRevoke({ ID: kvs[0]?.lease ?? "0" });
  await until(() => owner.diary.lines.includes("lease regained"));
  expect(await routesIn(owner)).toEqual([movedTo("owner", ROUTE)]);
  expect(owner.diary.lines).not.toContain("moved session-1");
});
