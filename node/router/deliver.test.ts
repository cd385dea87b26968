import { expect, test } from "vitest";
import type { Route, RouteSet } from "../routes/contract.ts";
import { message } from "../session/testing/door-kit.ts";
import { ADDRESSED } from "./audience.ts";
import { newCounters } from "./counters.ts";
import type { DeliverParts, Job } from "./deliver.ts";
import { Deliverer } from "./deliver.ts";
import type { Consignment } from "./hand-over.ts";

const ROMEO = "romeo@localhost";
const route = (resource: string): Route => ({
  ...{ user: ROMEO, resource, session: resource, node: "here" },
  ...{ available: true, priority: 0 },
});

test("who has come since its user was looked up is given it, too, though all sessions are here", () => {
  const old: RouteSet = { revision: 1, routes: [route("phone")] };
  const known: RouteSet = { revision: 2, routes: [route("phone"), route("desk")] };
  const given: string[] = [];
  const deliverer = new Deliverer({
    routes: { known: () => known },
    exits: {
      isLocal: () => true,
      send: (_: unknown, { resource }: Route) => {
        given.push(resource);
        return { kind: "delivered" };
      },
    },
    passedOver: { isLikely: false, isOwing: () => false },
  } as unknown as DeliverParts);
  const envelope = message("m");
  const job: Job = {
    envelope,
    user: ROMEO,
    audience: ADDRESSED,
    origin: undefined,
    stamped: false,
  };
  expect(deliverer.deliver(job, old, false)).toBe("taken");
  expect(given).toEqual(["phone", "desk"]);
});

test("who was taken over after its user was looked up is given it, though it has asked what it missed before", async () => {
  const nobody: RouteSet = { revision: 1, routes: [] };
  const given: string[] = [];
  const deliverer = new Deliverer({
    routes: {
      known: () => undefined,
      find: async () => ({ revision: 2, routes: [route("phone"), route("desk")] }),
    },
    exits: {
      isLocal: () => false,
      send: async (_: unknown, { resource }: Route) => {
        given.push(resource);
        return { kind: "delivered" };
      },
    },
    counters: newCounters(),
    passedOver: { isLikely: true, isOwing: () => false, add() {} },
  } as unknown as DeliverParts);
  const plain = { user: ROMEO, origin: undefined, stamped: false };
  const job: Job = { ...plain, envelope: message("m"), audience: ADDRESSED };
  expect(await deliverer.deliver(job, nobody, true)).toBe("taken");
  expect(given).toEqual(["phone", "desk"]);
});

test("what an ended session passes on does not wait for what is owed to who takes it", async () => {
  const set: RouteSet = { revision: 1, routes: [route("phone"), route("desk")] };
  const plain = { user: ROMEO, origin: undefined, stamped: false };
  const owed: Job = { ...plain, envelope: message("owed"), audience: ADDRESSED };
  const given: string[] = [];
  const deliverer = new Deliverer({
    routes: { known: () => set },
    exits: {
      isLocal: () => true,
      // Sessions of its address are ending, and pass on what they had.
      send({ envelope }: Consignment, { resource }: Route) {
        if (envelope === owed.envelope) return new Promise(() => {});
        given.push(resource);
        return { kind: "delivered" };
      },
    },
    passedOver: {
      isLikely: false,
      isOwing: () => true,
      owedTo: () => [{ job: owed, took: new Set(["tablet"]) }],
    },
  } as unknown as DeliverParts);
  const envelope = message("m");
  void deliverer.deliver({ ...plain, envelope, audience: ADDRESSED }, set, true);
  await new Promise<void>((turn) => setImmediate(turn));
  expect(given).toEqual([]);
  const audience = { kind: "elsewhere", exceptSession: "desk" } as const;
  expect(await deliverer.deliver({ ...plain, envelope, audience }, set, true)).toBe("taken");
  expect(given).toEqual(["phone"]);
});

test("who may know alone is asked alone whether a message was had, and nobody when it is dead", async () => {
  const asked: string[] = [];
  const deliverer = new Deliverer({
    routes: {
      nodes: new Map([
        ["owner", {}],
        ["other", {}],
      ]),
    },
    exits: {
      self: "here",
      send: async (_: unknown, { node }: Route) => {
        asked.push(node);
        return { kind: node === "owner" ? "delivered" : "gone" };
      },
    },
  } as unknown as DeliverParts);
  const had = (only?: string) =>
    deliverer.hadBefore(message("m"), ROMEO, { session: "juliet", count: 1 }, only);
  expect(await had("owner")).toBe(true);
  expect(await had("dead")).toBe(false);
  expect(asked.splice(0)).toEqual(["owner"]);
  expect(await had()).toBe(true);
  expect(asked).toEqual(["here", "owner", "other"]);
});
