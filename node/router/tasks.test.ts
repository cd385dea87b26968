import fc from "fast-check";
import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { Mesh } from "../mesh/contract.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { Routes } from "../routes/contract.ts";
import { makeNode } from "../routes/testing/records.ts";
import { BadFrame } from "./octets.ts";
import type { Json } from "./task-frames.ts";
import { decodeTask, decodeTaskOutcome, encodeTask, encodeTaskOutcome } from "./task-frames.ts";
import type { TaskRegistration } from "./tasks.ts";
import { Tasks, task } from "./tasks.ts";

const NAMES = ["one", "two", "three"] as const;
type Name = (typeof NAMES)[number];
type Request = Mesh["request"];

/** Nodes with the same tasks; `ways` says how the mesh leads to a node if not straight there. */
function cluster(tasks: readonly TaskRegistration[], ways: Partial<Record<Name, Request>> = {}) {
  const clock = new FakeClock();
  const owned = tasks.map((registration) => ({ module: "test", registration }));
  const nodes = new Map<string, Tasks>();
  for (const name of NAMES) {
    const others = NAMES.filter((other) => other !== name);
    const routes = {
      self: makeNode(name),
      nodes: new Map(others.map((other) => [other, makeNode(other)])),
    } as unknown as Routes;
    const request: Request = async (to, kind, payload) => {
      expect(kind).toBe(FrameKind.task);
      const way = ways[to as Name];
      if (way !== undefined) return await way(to, kind, payload);
      return (nodes.get(to) as Tasks).answer(name, decodeTask(payload));
    };
    const mesh = { request } as Mesh;
    nodes.set(name, new Tasks(owned, { routes, mesh, clock, log: silentLog }));
  }
  return { clock, one: nodes.get("one") as Tasks, two: nodes.get("two") as Tasks };
}

const never = () => new Promise<never>(() => {});
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("every node is asked, this one first, and told who asks", async () => {
  const { one } = cluster([task("who", (value, { from }) => ({ said: value as Json, from }))]);
  expect(await one.ask("test/who", ["there?"])).toEqual(
    NAMES.map((name) => ({
      kind: "answered",
      node: makeNode(name),
      value: { said: ["there?"], from: "one" },
    })),
  );
});

test("bytes stay bytes, and nothing is null", async () => {
  const echo = task("echo", (value) => value);
  const nothing = task("nothing", () => undefined);
  const { one } = cluster([echo, nothing]);
  const nodes = [makeNode("two")];
  const bytes = Buffer.from([0, 255, 7]);
  expect(await one.ask("test/echo", bytes, { nodes })).toMatchObject([{ value: bytes }]);
  expect(await one.ask("test/nothing", null, { nodes })).toMatchObject([{ value: null }]);
});

test.each([
  ["throws", () => Promise.reject(new Error("no")), "task-failed"],
  [
    "cannot reach what it needs",
    () => Promise.reject(new Unavailable("store-timeout", "Cannot read")),
    "store-timeout",
  ],
  ["answers too much", () => "x".repeat(256 * 1024), "task-oversize"],
  ["answers what JSON cannot say", (() => 1n) as never, "task-failed"],
])("a task that %s has failed on that node alone", async (_, run, code) => {
  let isTwo = false;
  const { one, two } = cluster([
    task("do", () => {
      const answer = isTwo ? run() : "done";
      isTwo = !isTwo;
      return answer;
    }),
  ]);
  const results = await one.ask("test/do", null, { nodes: [makeNode("one"), makeNode("two")] });
  expect(results).toMatchObject([{ kind: "answered" }, { kind: "failed", code }]);
  expect([one.counters.tasksFailed, two.counters.tasksFailed]).toEqual([0, 1]);
});

test.each([
  ["is cut off", "mesh-down", { kind: "failed", code: "mesh-down" }],
  ["is asked too much", "mesh-overload", { kind: "failed", code: "mesh-overload" }],
  ["knows no tasks", "mesh-failed", { kind: "failed", code: "mesh-failed" }],
  ["does not answer the mesh", "mesh-timeout", { kind: "silent" }],
])("a node that %s takes nothing from the others", async (_, code, result) => {
  const down = () => Promise.reject(new Unavailable(code, "Cannot reach node: the test says so"));
  const { one } = cluster([task("do", () => "done")], { two: down });
  expect(await one.ask("test/do", null)).toEqual([
    { kind: "answered", node: makeNode("one"), value: "done" },
    { ...result, node: makeNode("two") },
    { kind: "answered", node: makeNode("three"), value: "done" },
  ]);
});

test("a node without the task says so, and so does one that has gone", async () => {
  const { one } = cluster([]);
  const nodes = [makeNode("one"), makeNode("two"), makeNode("gone")];
  expect(await one.ask("test/do", null, { nodes })).toMatchObject([
    { kind: "failed", code: "task-unknown" },
    { kind: "failed", code: "task-unknown" },
    { kind: "failed", code: "mesh-down" },
  ]);
});

test("who does not answer in time is silent, and is told that nobody waits", async () => {
  const signals: AbortSignal[] = [];
  const slow = task("slow", (_, { from, signal }) => {
    signals.push(signal);
    return signals.length === 1 ? from : never();
  });
  const { one, clock } = cluster([slow], { three: never });
  const asked = one.ask("test/slow", null, { deadlineMs: 700 });
  await turn();
  clock.advance(699);
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, false]);
  clock.advance(1);
  expect((await asked).map(({ kind }) => kind)).toEqual(["answered", "silent", "silent"]);
  expect(signals.map(({ aborted }) => aborted)).toEqual([false, true]);
});

test("a node whose deadline ends first counts as silent", async () => {
  const late: Request = async () => encodeTaskOutcome({ kind: "failed", code: "task-late" });
  const { one } = cluster([], { two: late });
  const nodes = [makeNode("two")];
  expect(await one.ask("test/do", null, { nodes })).toMatchObject([{ kind: "silent" }]);
});

test("too much that runs is refused, until it is done, not only late", async () => {
  const hold = Promise.withResolvers<string>();
  const { one, two, clock } = cluster([task("hold", () => hold.promise)]);
  const nodes = [makeNode("two")];
  const asks = Array.from({ length: 50 }, () =>
    one.ask("test/hold", null, { nodes: [...nodes, ...nodes] }),
  );
  await turn();
  expect(two.running).toBe(100);
  expect(await one.ask("test/hold", null, { nodes })).toMatchObject([{ code: "task-busy" }]);
  clock.advance(5_000);
  expect((await Promise.all(asks)).flat().every(({ kind }) => kind === "silent")).toBe(true);
  expect(await one.ask("test/hold", null, { nodes })).toMatchObject([{ code: "task-busy" }]);
  hold.resolve("done");
  await turn();
  expect(two.running).toBe(0);
  expect(two.counters.tasksShed).toBe(2);
  expect(await one.ask("test/hold", null, { nodes })).toMatchObject([{ value: "done" }]);
});

test("too many asks at once are refused, until some are over", async () => {
  const { one, clock } = cluster([], { two: never });
  const nodes = [makeNode("two")];
  const asks = Array.from({ length: 100 }, () => one.ask("test/do", null, { nodes }));
  const more = one.ask("test/do", null, { nodes });
  await expect(more).rejects.toMatchObject({ name: "Unavailable", code: "task-overload" });
  clock.advance(5_000);
  await Promise.all(asks);
  expect(await one.ask("test/do", null, { nodes: [makeNode("one")] })).toHaveLength(1);
});

test.each([
  ["no time", null, 0, RangeError],
  ["more time than the mesh has", null, 5_001, RangeError],
  ["half a millisecond", null, 0.5, RangeError],
  ["too large a value", "x".repeat(256 * 1024), 1, Unavailable],
  ["what JSON cannot say", 1n as never, 1, TypeError],
  ["nothing JSON can say", (() => 1) as never, 1, TypeError],
])("an ask with %s is refused", async (_, value, deadlineMs, error) => {
  const { one } = cluster([]);
  await expect(one.ask("test/do", value, { deadlineMs })).rejects.toBeInstanceOf(error);
  expect(one.counters.tasksAsked).toBe(0);
});

test("a module that declares a task twice is refused at boot", () => {
  const twice = [task("do", () => 1), task("do", () => 2)];
  expect(() => cluster(twice)).toThrow(/Cannot load module test: two tasks "do"/);
});

const value = fc.oneof(
  fc.jsonValue() as fc.Arbitrary<Json>,
  fc.uint8Array({ maxLength: 100 }).map((bytes) => Buffer.from(bytes)),
);

test("what is asked and answered is read back, whatever a later version adds", () => {
  const extended = (payload: Buffer) =>
    Buffer.concat([Buffer.from([0, 2, 9, 9]), payload.subarray(2)]);
  const frame = fc.record({
    task: fc.string({ maxLength: 40, unit: "grapheme" }),
    deadlineMs: fc.integer({ min: 1, max: 5_000 }),
    value,
  });
  fc.assert(
    fc.property(frame, (made) => {
      // -0 is 0 in JSON.
      const read = Buffer.isBuffer(made.value)
        ? made.value
        : JSON.parse(JSON.stringify(made.value));
      expect(decodeTask(extended(encodeTask(made)))).toEqual({ ...made, value: read });
      const answered = encodeTaskOutcome({ kind: "answered", value: made.value });
      expect(decodeTaskOutcome(extended(answered))).toEqual({ kind: "answered", value: read });
      const failed = { kind: "failed", code: made.task } as const;
      expect(decodeTaskOutcome(extended(encodeTaskOutcome(failed)))).toEqual(failed);
    }),
  );
});

test("any bytes are a frame or BadFrame, nothing else", () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      for (const decode of [decodeTask, decodeTaskOutcome]) {
        try {
          decode(Buffer.from(bytes));
        } catch (error) {
          expect(error).toBeInstanceOf(BadFrame);
        }
      }
    }),
  );
});
