/** What is delivered to the sessions of a node whose shadow has gone, or may have gone on with them. */
import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { NodeRecord } from "../routes/contract.ts";
import type { MovableSession } from "../session/contract.ts";
import { decodeMirror, encodeVerdicts } from "./shadow-wire.ts";
import type { ShadowParts } from "./shadows.ts";
import { Shadows } from "./shadows.ts";

const route = { user: "romeo@capulet.example", resource: "orchard", node: "a", session: "s" };
const counts = { received: 0, acknowledged: 0 };
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

const sessionWith = (more: object) =>
  ({
    ...{ id: "s", route, letOut: () => true },
    progress: { ...counts, acknowledgedTotal: 0, sentTotal: 0, inherited: undefined },
    snapshot: () => ({ ...counts, ...{ windowMs: 0, countedFrom: 0, waiting: [], route } }),
    ...more,
  }) as unknown as MovableSession;

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
  const session = sessionWith({ whenAcknowledged: () => acknowledged.promise });
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

test("a node that stands still while it has no lease takes no word of before for its sessions' being its own", async () => {
  const clock = new FakeClock();
  let isAnswering = true;
  const shadows = new Shadows({
    mesh: {
      async request(_node: string, _kind: unknown, payload: Buffer) {
        if (!isAnswering) return new Promise<Buffer>(() => {});
        return encodeVerdicts(decodeMirror(payload).items.map(() => "stored"));
      },
    },
    routes: { nodes: new Map([["b", { incarnation: "b", zone: "" }]]) },
    handOver: { passing: { of: () => {} }, heldOf: () => {}, recentOf: () => [] },
    carried: { export: () => new Map() },
    clock,
    log: silentLog,
  } as unknown as ShadowParts);
  const session = sessionWith({ goOn() {} });
  shadows.begin(session);
  await turn();
  shadows.leaseLost();
  expect(shadows.holds(session)).toBe(true);
  await turn();
  expect(shadows.holds(session)).toBe(false);
  clock.advance(5_000);
  await turn();
  expect(shadows.holds(session)).toBe(false);

  isAnswering = false;
  clock.standStill(5_000);
  expect(shadows.holds(session)).toBe(true);
});
