/** Notes that copies of sessions are void: they outlive their owner, and go with who has the copies. */
import { expect, onTestFinished, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import type { RouteSet } from "./contract.ts";
import { sharedEndpoint, TestCluster, until } from "./testing/etcd.ts";
import { makeRoute } from "./testing/records.ts";

function startCluster(): TestCluster {
  const cluster = new TestCluster({ endpoints: [sharedEndpoint()] });
  onTestFinished(() => cluster.end());
  return cluster;
}

const NOBODY = (revision: number): RouteSet => ({ revision, routes: [] });

test("what an owner renounces is known where the copies are, when the owner is gone, too", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  const keeper = await cluster.start("keeper");
  expect(await keeper.routes.renounced("owner")).toBe(0);
  await owner.routes.renounce("keeper", 3);
  expect(await keeper.routes.renounced("owner")).toBe(3);
  await owner.routes[Symbol.asyncDispose]();
  expect(await keeper.routes.renounced("owner")).toBe(3);
  await keeper.routes[Symbol.asyncDispose]();
  expect(await cluster.keys()).toEqual([]);
});

test("a term that was renounced stays so", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  const keeper = await cluster.start("keeper");
  await owner.routes.renounce("keeper", 2);
  await owner.routes.renounce("keeper", 1);
  await owner.routes.renounce("keeper", 2);
  expect(await keeper.routes.renounced("owner")).toBe(2);
});

test("terms that are renounced at once do not keep each other from it", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  const keeper = await cluster.start("keeper");
  await Promise.all([2, 1, 3].map((term) => owner.routes.renounce("keeper", term)));
  expect(await keeper.routes.renounced("owner")).toBe(3);
});

test("nothing is to be renounced at a node that is gone", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  await owner.routes.renounce("nobody", 1);
  expect(await cluster.keys()).toHaveLength(1);
});

test("a copy is not taken over whose owner has renounced it meanwhile", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  const keeper = await cluster.start("keeper");
  const route = makeRoute({ node: "keeper" });
  const seen = await keeper.routes.read(route.user);
  const copy = { owner: "owner", voidTerm: await keeper.routes.renounced("owner") };
  await owner.routes.renounce("keeper", 1);
  const taken = keeper.routes.takeOver(route, NOBODY(seen.revision), copy);
  await expect(taken).rejects.toMatchObject({ code: "routes-moved" });
  const again = { owner: "owner", voidTerm: 1 };
  await keeper.routes.takeOver(route, NOBODY(seen.revision), again);
  expect((await owner.routes.read(route.user)).routes).toMatchObject([{ node: "keeper" }]);
});

test("a node without a lease renounces nothing: others may have taken its sessions over", async () => {
  const cluster = startCluster();
  const owner = await cluster.start("owner");
  const keeper = await cluster.start("keeper");
  const { client, prefix } = cluster;
  const { kvs } = await client.kv.range({ key: Buffer.from(`${prefix}nodes/owner`) });
  await client.leaseClient.leaseRevoke({ ID: kvs[0]?.lease ?? "0" });
  await until(() => !keeper.routes.nodes.has("owner"));
  await expect(owner.routes.renounce("keeper", 1)).rejects.toThrow(Unavailable);
  expect(await keeper.routes.renounced("owner")).toBe(0);
});
