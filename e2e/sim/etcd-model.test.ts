/** The model of etcd does for the routes what etcd does: the suite of all engines runs over it. */
import { describe } from "vitest";
import { testRoutes } from "../../node/routes/contract.suite.ts";
import type { EtcdRoutesOptions } from "../../node/routes/etcd.ts";
import { openEtcdRoutes } from "../../node/routes/etcd.ts";
import { Diary, makeNode } from "../../node/routes/testing/records.ts";
import { SimEtcdClient } from "./etcd-client.ts";
import { EtcdModel } from "./etcd-model.ts";
import { Network } from "./network.ts";
import { MachineClock, World } from "./world.ts";

const REQUEST_MS = 1_500;

async function open(bounds: Pick<EtcdRoutesOptions, "sessionsPerUserMax">) {
  const world = new World(1);
  const place = { machine: "self", enter: (work: () => void) => work(), step() {} };
  const clock = new MachineClock(world, place.enter);
  const client = new SimEtcdClient({
    world,
    network: new Network(world),
    model: new EtcdModel(world),
    health: { lostReplies: 0, isAway: false },
    place,
    clock,
    requestTimeoutMs: REQUEST_MS,
  });
  let isOver = false;
  const live = async () => {
    while (!isOver) {
      await world.run(world.nowMs + 1, () => {});
      await new Promise((resolve) => setImmediate(resolve));
    }
  };
  void live();
  const routes = await openEtcdRoutes({
    self: makeNode(),
    endpoints: [],
    prefix: "/zonda/",
    leaseSeconds: 5,
    requestTimeoutMs: REQUEST_MS,
    cacheUsersMax: 100,
    clock,
    events: new Diary(),
    connect: () => client.face,
    notifySiblings: () => undefined,
    ...bounds,
  });
  const release = routes[Symbol.asyncDispose].bind(routes);
  routes[Symbol.asyncDispose] = async () => {
    await release();
    isOver = true;
  };
  return routes;
}

describe("routes over the model of etcd", () => {
  testRoutes(open);
});
