/** Notes that copies of sessions are void: they outlive their owner, and the leases of who has the copies. */
import { expect, onTestFinished, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import type { RouteSet } from "./contract.ts";
import { NOTES_LAST_MS } from "./contract.ts";
import type { TestNode } from "./testing/etcd.ts";
import { sharedEndpoint, TestCluster, until } from "./testing/etcd.ts";
import { makeRoute } from "./testing/records.ts";

function startCluster(): TestCluster {
  const cluster = new TestCluster({ endpoints: [sharedEndpoint()] });
  onTestFinished(() => cluster.end());
  return cluster;
}

const termOf = async ({ routes }: TestNode, owner: string) => (await routes.renounced()).get(owner);

const NOBODY = (revision: number): RouteSet => ({ revision, routes: [] });

test("what an owner renounces is known where the copies are, when the owner is gone, too", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  const keeper = await cluster.start("keeper");
  expect(await keeper.routes.renounced()).toEqual(new Map());
  await owner.routes.renounce("keeper", 3);
  expect(await keeper.routes.renounced()).toEqual(new Map([["owner", 3]]));
  await owner.routes[Symbol.asyncDispose]();
  expect(await termOf(keeper, "owner")).toBe(3);
});

test("what is renounced while the keeper has no lease is known when it has one again", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  const keeper = await cluster.start("keeper");
  await owner.routes.renounce("keeper", 1);
  await cluster.lapse("keeper");
  await owner.routes.renounce("keeper", 2);
  await owner.routes[Symbol.asyncDispose]();
  await until(async () => (await cluster.keys()).some((key) => key.endsWith("nodes/keeper")));
  expect(await termOf(keeper, "owner")).toBe(2);
  const taken = keeper.routes.takeOver(makeRoute({ node: "keeper" }), NOBODY(0), {
    owner: "owner",
    voidTerm: 1,
  });
  await expect(taken).rejects.toMatchObject({ code: "routes-moved" });
});

test("a note goes by itself, and not before who has the copies must have looked", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  await owner.routes.renounce("keeper", 1);
  await owner.routes.renounce("other", 1);
  const { client, prefix } = cluster;
  const { kvs } = await client.kv.range({
    key: Buffer.from(`${prefix}void/`),
    range_end: Buffer.from(`${prefix}void0`),
  });
  const leases = new Set(kvs.map(({ lease }) => lease));
  expect([kvs.length, leases.size]).toEqual([2, 1]);
  const { TTL } = await client.leaseClient.leaseTimeToLive({ ID: kvs[0]?.lease ?? "0" });
  expect(Number(TTL) * 1_000).toBeGreaterThan(NOTES_LAST_MS);
  await client.leaseClient.leaseRevoke({ ID: kvs[0]?.lease ?? "0" });
  await expect(owner.routes.renounce("keeper", 2)).rejects.toThrow(Unavailable);
  await owner.routes.renounce("keeper", 2); // On a lease that is there.
});

test("a term that was renounced stays so", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  const keeper = await cluster.start("keeper");
  await owner.routes.renounce("keeper", 2);
  await owner.routes.renounce("keeper", 1);
  await owner.routes.renounce("keeper", 2);
  expect(await termOf(keeper, "owner")).toBe(2);
});

test("terms that are renounced at once do not keep each other from it", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  const keeper = await cluster.start("keeper");
  await Promise.all([2, 1, 3].map((term) => owner.routes.renounce("keeper", term)));
  expect(await termOf(keeper, "owner")).toBe(3);
});

test("a copy is not taken over whose owner has renounced it meanwhile", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  const keeper = await cluster.start("keeper");
  const route = makeRoute({ node: "keeper" });
  const seen = await keeper.routes.read(route.user);
  const copy = { owner: "owner", voidTerm: (await termOf(keeper, "owner")) ?? 0 };
  await owner.routes.renounce("keeper", 1);
  const taken = keeper.routes.takeOver(route, NOBODY(seen.revision), copy);
  await expect(taken).rejects.toMatchObject({ code: "routes-moved" });
  const again = { owner: "owner", voidTerm: 1 };
  await keeper.routes.takeOver(route, NOBODY(seen.revision), again);
  expect((await owner.routes.read(route.user)).routes).toMatchObject([{ node: "keeper" }]);
});

test("a node without a lease renounces nothing: others may have taken its sessions over", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner", {}, new FakeClock()); // It gets no other lease.
  const keeper = await cluster.start("keeper");
  await cluster.lapse("owner");
  await until(() => !keeper.routes.nodes.has("owner"));
  await expect(owner.routes.renounce("keeper", 1)).rejects.toThrow(Unavailable);
  expect(await termOf(keeper, "owner")).toBeUndefined();
});
