import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { PlannedNode, Situation } from "./plan.ts";
import { plan } from "./plan.ts";
import type { Rules } from "./testing/simulation.ts";
import { Simulation } from "./testing/simulation.ts";

const REVISIONS = ["a", "b", "c"];
const RUNS = { numRuns: 2_000 };

const revision = fc.constantFrom(...REVISIONS);
const replicas = fc.integer({ min: 1, max: 6 });
const budgets = fc
  .record({
    maxSurge: fc.integer({ min: 0, max: 3 }),
    maxUnavailable: fc.integer({ min: 0, max: 3 }),
  })
  .filter(({ maxSurge, maxUnavailable }) => maxSurge + maxUnavailable > 0);
const some = fc.subarray(["b", "c"]).map((ids) => new Set(ids));
const NONE: ReadonlySet<string> = new Set();
const without = (ids: ReadonlySet<string>, id: string) =>
  new Set([...ids].filter((each) => each !== id));

const choice = fc.nat(20);
const quiet = fc.oneof(
  { weight: 6, arbitrary: fc.record({ kind: fc.constant("operate" as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("control" as const), choice }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("start" as const), choice }) },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("end" as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("refreshSets" as const) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant("refreshNodes" as const) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("retarget" as const), revision }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("scale" as const), replicas }) },
);
const rough = fc.oneof(
  { weight: 10, arbitrary: quiet },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("falter" as const), choice }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("kill" as const), choice }) },
);

type Event = typeof rough extends fc.Arbitrary<infer T> ? T : never;

function happen(simulation: Simulation, event: Event): void {
  switch (event.kind) {
    case "retarget":
      simulation.target = event.revision;
      return;
    case "scale":
      simulation.replicas = event.replicas;
      return;
    case "operate":
    case "end":
    case "refreshSets":
    case "refreshNodes":
      simulation[event.kind]();
      return;
    default:
      simulation[event.kind](event.choice);
  }
}

/** Rounds until nothing is left to do; fails when it takes longer than any honest rollout would. */
function settle(simulation: Simulation): number {
  for (let round = 0; round < 300; round += 1) {
    if (simulation.round().kind === "done") return round;
  }
  throw new Error(`Cannot settle: ${JSON.stringify(simulation.situation())}`);
}

/** Nodes of revision a, all ready; a second revision is wanted from here on. */
function running(rules: Rules, replicas: number): Simulation {
  const simulation = new Simulation(rules, "a", replicas);
  settle(simulation);
  simulation.target = "b";
  return simulation;
}

describe("the planner, at every interleaving of operator, controllers, kubelets and people", () => {
  test("keeps its bounds and stops one node at a time, however its view lags", () => {
    const events = fc.array(quiet, { minLength: 20, maxLength: 200 });
    fc.assert(
      fc.property(budgets, some, some, replicas, events, (budget, broken, barred, count, all) => {
        const simulation = running({ ...budget, broken, barred }, count);
        for (const event of all) {
          happen(simulation, event); // Throws when a bound is broken.
          expect(simulation.stopping).toBeLessThanOrEqual(1);
        }
      }),
      RUNS,
    );
  });

  test("reaches a target that works, from every state, also when pods falter and are killed", () => {
    const events = fc.array(rough, { maxLength: 200 });
    fc.assert(
      fc.property(
        fc.record({
          budget: budgets,
          broken: some,
          barred: some,
          count: replicas,
          target: revision,
        }),
        events,
        ({ budget, broken, barred, count, target }, all) => {
          const bad = { broken: without(broken, target), barred: without(barred, target) };
          const simulation = running({ ...budget, ...bad }, count);
          for (const event of all) {
            try {
              happen(simulation, event);
            } catch {
              // Pods killed by others may break the bounds; this is about where it ends.
            }
          }
          simulation.target = target;
          settle(simulation);
          for (const id of REVISIONS) {
            expect(simulation.count(id)).toBe(id === target ? simulation.replicas : 0);
          }
        },
      ),
      RUNS,
    );
  });

  test("goes back to what all nodes ran, whatever was tried since", () => {
    fc.assert(
      fc.property(budgets, replicas, fc.array(quiet, { maxLength: 150 }), (budget, count, all) => {
        const rules = { ...budget, broken: new Set(["b"]), barred: new Set(["c"]) };
        const simulation = running(rules, count);
        for (const event of all) happen(simulation, event);
        simulation.target = "a";
        settle(simulation);
        expect(simulation.count("a")).toBe(simulation.replicas);
      }),
      RUNS,
    );
  });

  test("never lets a broken revision cost more than maxUnavailable, for however long", () => {
    fc.assert(
      fc.property(budgets, replicas, (budget, count) => {
        const rules = { ...budget, broken: new Set(["b"]), barred: NONE };
        const simulation = running(rules, count);
        for (let round = 0; round < 100; round += 1) simulation.round();
        expect(simulation.ready).toBeGreaterThanOrEqual(count - budget.maxUnavailable);
        expect(simulation.stable).toBe("a");
      }),
    );
  });
});

const node = (name: string, state: Partial<PlannedNode> = {}): PlannedNode => ({
  name,
  isReady: true,
  isStopping: false,
  isMarked: false,
  ...state,
});

const situation = (
  revisions: Situation["revisions"],
  over: Partial<Situation> = {},
): Situation => ({
  replicas: 2,
  maxSurge: 1,
  maxUnavailable: 0,
  target: "b",
  stable: "a",
  revisions,
  ...over,
});

describe("one step of the planner", () => {
  const old = { id: "a", isBarred: false, wanted: 2, nodes: [node("a-1"), node("a-2")] };

  test("waits for the ReplicaSet of a new revision", () => {
    expect(plan(situation([old]))).toEqual({ kind: "wait", for: "ReplicaSet" });
  });

  test("surges before it takes a node away", () => {
    const empty = { id: "b", isBarred: false, wanted: 0, nodes: [] };
    expect(plan(situation([old, empty]))).toEqual({ kind: "grow", revision: "b", wanted: 1 });
  });

  test("names the node that does not start", () => {
    const starting = {
      id: "b",
      isBarred: false,
      wanted: 1,
      nodes: [node("b-1", { isReady: false })],
    };
    expect(plan(situation([old, starting]))).toEqual({
      kind: "wait",
      for: "NodeStarting",
      node: "b-1",
    });
  });

  test("marks a node first, and shrinks once the mark is seen", () => {
    const fresh = { id: "b", isBarred: false, wanted: 1, nodes: [node("b-1")] };
    expect(plan(situation([old, fresh]))).toEqual({ kind: "mark", revision: "a", node: "a-1" });
    const marked = { ...old, nodes: [node("a-1"), node("a-2", { isMarked: true })] };
    expect(plan(situation([marked, fresh]))).toEqual({
      kind: "shrink",
      revision: "a",
      wanted: 1,
      node: "a-2",
    });
  });

  test("waits while a node drains, and says which", () => {
    const draining = {
      id: "a",
      isBarred: false,
      wanted: 1,
      nodes: [node("a-1"), node("a-2", { isStopping: true })],
    };
    const fresh = { id: "b", isBarred: false, wanted: 1, nodes: [node("b-1")] };
    expect(plan(situation([draining, fresh]))).toEqual({
      kind: "wait",
      for: "DrainInProgress",
      node: "a-2",
    });
  });

  test("takes unready old nodes first, without a mark", () => {
    const ill = { ...old, nodes: [node("a-1"), node("a-2", { isReady: false })] };
    const fresh = { id: "b", isBarred: false, wanted: 1, nodes: [node("b-1")] };
    expect(plan(situation([ill, fresh]))).toEqual({
      kind: "shrink",
      revision: "a",
      wanted: 1,
      node: "a-2",
    });
  });

  test("keeps old nodes that are all unready until the new one has proven itself", () => {
    const down = { ...old, nodes: old.nodes.map((each) => ({ ...each, isReady: false })) };
    const starting = {
      id: "b",
      isBarred: false,
      wanted: 1,
      nodes: [node("b-1", { isReady: false })],
    };
    expect(plan(situation([down, starting]))).toMatchObject({ kind: "wait", for: "NodeStarting" });
  });

  test("gives up a bump in favour of the next one, the broken nodes first", () => {
    const given = { id: "b", isBarred: false, wanted: 1, nodes: [node("b-1", { isReady: false })] };
    const next = { id: "c", isBarred: false, wanted: 0, nodes: [] };
    expect(plan(situation([old, given, next], { target: "c" }))).toEqual({
      kind: "shrink",
      revision: "b",
      wanted: 0,
      node: "b-1",
    });
  });

  test("does not grow into the room of a node that is not seen to stop yet", () => {
    const shrunk = { ...old, wanted: 1 };
    const fresh = { id: "b", isBarred: false, wanted: 1, nodes: [node("b-1")] };
    expect(plan(situation([shrunk, fresh]))).toEqual({ kind: "wait", for: "DrainInProgress" });
  });

  test("waits for a node that is not there yet, but not for one that cannot be made", () => {
    const absent = { ...old, nodes: [node("a-1")] };
    const fresh = { id: "b", isBarred: false, wanted: 1, nodes: [node("b-1")] };
    expect(plan(situation([absent, fresh]))).toEqual({ kind: "wait", for: "NodeStarting" });
    const barred = { ...absent, isBarred: true };
    expect(plan(situation([barred, fresh]))).toEqual({
      kind: "shrink",
      revision: "a",
      wanted: 1,
      node: undefined,
    });
  });

  test("spares the nodes that are known to work longest", () => {
    const tried = { id: "b", isBarred: false, wanted: 1, nodes: [node("b-1")] };
    const fresh = { id: "c", isBarred: false, wanted: 1, nodes: [node("c-1")] };
    expect(plan(situation([old, tried, fresh], { target: "c" }))).toEqual({
      kind: "mark",
      revision: "b",
      node: "b-1",
    });
  });

  test("is not done while its controller has yet to stop a node", () => {
    const less = { ...old, wanted: 1 };
    expect(plan(situation([less], { target: "a", replicas: 1 }))).toEqual({
      kind: "wait",
      for: "DrainInProgress",
    });
  });

  test("does nothing when everything is as it should be", () => {
    expect(plan(situation([old], { target: "a" }))).toEqual({ kind: "done" });
  });

  test("says when there is no room at all, which an older CRD would let pass", () => {
    const empty = { id: "b", isBarred: false, wanted: 0, nodes: [] };
    expect(plan(situation([old, empty], { maxSurge: 0 }))).toEqual({ kind: "wait", for: "NoRoom" });
  });
});
