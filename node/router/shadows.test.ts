/** What is delivered to the sessions of a node whose shadow has gone. */
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { NodeRecord } from "../routes/contract.ts";
import type { MovableSession } from "../session/contract.ts";
import type { ShadowParts } from "./shadows.ts";
import { Shadows } from "./shadows.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("without a shadow, and without etcd, what the client has acknowledged is delivered", async () => {
  const { promise: never } = Promise.withResolvers<void>();
  const shadows = new Shadows({
    routes: { nodes: new Map(), renounce: () => never },
    handOver: { passedOn: () => undefined },
    clock: new FakeClock(),
    log: silentLog,
  } as unknown as ShadowParts);
  const acknowledged = Promise.withResolvers<boolean>();
  const session = {
    ...{ id: "s", letOut: () => true },
    whenAcknowledged: () => acknowledged.promise,
  } as unknown as MovableSession;
  shadows.nodeDown({ incarnation: "b" } as NodeRecord);
  shadows.begin(session);
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
