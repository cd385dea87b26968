import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Key } from "../kube/contract.ts";
import { KubeError } from "../kube/errors.ts";
import type { Logger, Reconcile } from "./contract.ts";
import { Temporary, Terminal } from "./contract.ts";
import { createController } from "./controller.ts";
import { FakeClock } from "./fake-clock.ts";

const KEY: Key = { namespace: "chat", name: "a" };

/** Lets everything that is ready to run do so. */
const settle = () => new Promise<void>((resolve) => setImmediate(resolve));

function setup(reconcile: Reconcile, parallelism = 2) {
  const clock = new FakeClock();
  const results: string[] = [];
  const logged: string[] = [];
  const write = (_fields: object, event: string) => logged.push(event);
  const log: Logger = { debug: write, info: write, warn: write, error: write, child: () => log };
  const controller = createController({
    name: "test",
    reconcile,
    clock,
    random: () => 0.5,
    log,
    metrics: { pass: (_name, result) => results.push(result), queueDepth() {} },
    parallelism,
    backoff: { firstMs: 100, maxMs: 1_000 },
    deadlineMs: 5_000,
  });
  const advance = async (ms: number) => {
    clock.advance(ms);
    await settle();
  };
  return { controller, clock, advance, results, logged };
}

describe("a controller", () => {
  test("does nothing before it starts, then everything that was asked for", async () => {
    const seen: Key[] = [];
    const { controller } = setup(async (key) => {
      seen.push(key);
      return {};
    });
    controller.enqueue(KEY);
    controller.enqueue(KEY);
    await settle();
    expect(seen).toEqual([]);
    controller.start();
    await settle();
    expect(seen).toEqual([KEY]);
  });

  test("comes again after the time that was asked for, and not at once even for zero", async () => {
    let passes = 0;
    const { controller, advance, results } = setup(async () => {
      passes += 1;
      return passes === 1 ? { requeueAfterMs: 500 } : { requeueAfterMs: 0 };
    });
    controller.start();
    controller.enqueue(KEY);
    await settle();
    await advance(499);
    expect(passes).toBe(1);
    await advance(1);
    expect(passes).toBe(2);
    await advance(9);
    expect(passes).toBe(2);
    await advance(1);
    expect(passes).toBe(3);
    expect(results).toEqual(["requeued", "requeued", "requeued"]);
  });

  test("waits longer after each failure and starts over after a success", async () => {
    const outcomes = ["bad", "bad", "good", "bad"];
    const { controller, advance, results } = setup(async () => {
      if (outcomes.shift() === "good") return { requeueAfterMs: 10 };
      throw new Error("no");
    });
    controller.start();
    controller.enqueue(KEY);
    await settle();
    expect(results).toEqual(["failed"]);
    await advance(75);
    expect(results).toEqual(["failed", "failed"]);
    await advance(149);
    expect(results).toHaveLength(2);
    await advance(1);
    expect(results.at(-1)).toBe("requeued");
    await advance(10);
    expect(results).toEqual(["failed", "failed", "requeued", "failed"]);
    await advance(75);
    expect(results).toHaveLength(5);
  });

  test("obeys who must act: the clock, a change of the object, or the server", async () => {
    let error: Error = new Temporary("Cannot roll: a node drains", 3_000);
    const { controller, advance, results, logged } = setup(async () => {
      throw error;
    });
    controller.start();
    controller.enqueue(KEY);
    await settle();
    await advance(2_999);
    expect(results).toEqual(["temporary"]);
    error = new KubeError("Cannot list", { status: 429, reason: "Busy", retryAfterSeconds: 7 });
    await advance(1);
    await advance(6_999);
    expect(results).toEqual(["temporary", "failed"]);
    error = new Terminal("Cannot use the resource: it is wrong");
    await advance(1);
    await advance(3_600_000);
    expect(results).toEqual(["temporary", "failed", "terminal"]);
    controller.enqueue(KEY);
    await settle();
    expect(results).toHaveLength(4);
    expect(logged.at(-1)).toBe("reconcile.terminal");
  });

  test("fires the signal of a pass that takes too long, and runs none beside it", async () => {
    const ends: (() => void)[] = [];
    const signals: AbortSignal[] = [];
    const { controller, advance } = setup(async (_key, signal) => {
      signals.push(signal);
      await new Promise<void>((resolve) => ends.push(resolve));
      return {};
    });
    controller.start();
    controller.enqueue(KEY);
    await settle();
    controller.enqueue(KEY);
    await advance(5_000);
    expect(signals.map((signal) => signal.aborted)).toEqual([true]);
    ends[0]?.();
    await settle();
    expect(signals.map((signal) => signal.aborted)).toEqual([true, false]);
    ends[1]?.();
    await controller.stop();
  });

  test("stops by firing the signals and waiting, and starts no pass after", async () => {
    let passes = 0;
    const { controller, results, clock } = setup(async (_key, signal) => {
      passes += 1;
      await new Promise((_resolve, reject) => {
        signal.addEventListener("abort", () => reject(signal.reason));
      });
      return {};
    });
    controller.start();
    controller.enqueue(KEY);
    await settle();
    controller.enqueue(KEY);
    controller.enqueueAfter({ namespace: "chat", name: "b" }, 10);
    await controller.stop();
    clock.advance(60_000);
    controller.enqueue(KEY);
    controller.start();
    await settle();
    expect(passes).toBe(1);
    expect(results).toEqual(["stopped"]);
    expect(clock.pending).toBe(0);
  });

  test("sees the last wish of each key and never runs two passes of one at once", async () => {
    const act = fc.oneof(
      fc.record({
        kind: fc.constant("ask" as const),
        name: fc.constantFrom("a", "b", "c", "d", "e"),
      }),
      fc.record({
        kind: fc.constant("finish" as const),
        index: fc.nat({ max: 2 }),
        how: fc.constantFrom("well", "badly", "later"),
      }),
      fc.record({ kind: fc.constant("wait" as const), ms: fc.integer({ min: 1, max: 2_000 }) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(act, { maxLength: 60 }), async (acts) => {
        const wished = new Map<string, number>();
        const seen = new Map<string, number>();
        const running = new Map<string, (how: string) => void>();
        const { controller, advance } = setup(async ({ name }) => {
          expect(running.has(name)).toBe(false);
          const wish = wished.get(name) ?? 0;
          const how = await new Promise<string>((resolve) => running.set(name, resolve));
          running.delete(name);
          if (how === "badly") throw new Error("no");
          seen.set(name, wish);
          return how === "later" ? { requeueAfterMs: 50 } : {};
        }, 3);
        controller.start();
        for (const one of acts) {
          if (one.kind === "ask") {
            wished.set(one.name, (wished.get(one.name) ?? 0) + 1);
            controller.enqueue({ namespace: "n", name: one.name });
          } else if (one.kind === "finish") [...running.values()][one.index]?.(one.how);
          else await advance(one.ms);
          await settle();
          expect(running.size).toBeLessThanOrEqual(3);
        }
        // From now on all goes well; the longest backoff is one second.
        for (let round = 0; round < 20; round += 1) {
          for (const finish of [...running.values()]) finish("well");
          await settle();
          await advance(1_000);
        }
        expect(seen).toEqual(wished);
        expect(running.size).toBe(0);
      }),
      { numRuns: 200 },
    );
  });
});
