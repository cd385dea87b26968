/** What is delivered to the sessions of a node whose shadow has gone. */
import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { NodeRecord } from "../routes/contract.ts";
import type { MovableSession } from "../session/contract.ts";
import type { ShadowParts } from "./shadows.ts";
import { Shadows } from "./shadows.ts";

const route = { user: "romeo@capulet.example", resource: "orchard", node: "a", session: "s" };
const counts = { received: 0, acknowledged: 0 };
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("without a shadow, and without etcd, what the client has acknowledged is delivered", async () => {
  const { promise: never } = Promise.withResolvers<void>();
  const b = { incarnation: "b", zone: "" } as NodeRecord;
  const nodes = new Map([["b", b]]);
  const shadows = new Shadows({
    mesh: { request: async () => Promise.reject(new Unavailable("mesh-down", "it has gone")) },
    routes: { nodes, renounce: () => never },
    handOver: { passing: { of: () => {} }, heldOf: () => {}, recentOf: () => [] },
    carried: { export: () => new Map() },
    clock: new FakeClock(),
    log: silentLog,
  } as unknown as ShadowParts);
  const acknowledged = Promise.withResolvers<boolean>();
  const session = {
    ...{ id: "s", route, letOut: () => true },
    progress: { ...counts, acknowledgedTotal: 0, sentTotal: 0, inherited: undefined },
    snapshot: () => ({ ...counts, ...{ windowMs: 0, countedFrom: 0, waiting: [], route } }),
    whenAcknowledged: () => acknowledged.promise,
  } as unknown as MovableSession;
  shadows.begin(session);
  await turn();
  nodes.clear();
  shadows.nodeDown(b);
  await turn();

  expect(shadows.withholds(session)).toBe(false);
  shadows.changed(session);
  let isDelivered = false;
  void shadows.delivered(session)?.then(() => {
    isDelivered = true;
  });
  await turn();
  expect(isDelivered).toBe(false);
  acknowledged.resolve(true);
  await turn();
  expect(isDelivered).toBe(true);
});
