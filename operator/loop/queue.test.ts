import fc from "fast-check";
import { expect, test } from "vitest";
import { FakeClock } from "./fake-clock.ts";
import { WorkQueue } from "./queue.ts";

test("the queue hands keys out in the order they were asked for, each once", () => {
  const queue = new WorkQueue(new FakeClock());
  for (const key of ["a", "b", "a", "c", "b"]) queue.add(key);
  expect(queue.depth).toBe(3);
  expect([queue.take(), queue.take(), queue.take(), queue.take()]).toEqual([
    "a",
    "b",
    "c",
    undefined,
  ]);
});

test("a key asked for while it is worked on comes again when that is done", () => {
  const queue = new WorkQueue(new FakeClock());
  queue.add("a");
  queue.take();
  queue.add("a");
  queue.add("a");
  expect(queue.take()).toBeUndefined();
  queue.done("a");
  expect(queue.take()).toBe("a");
  queue.done("a");
  expect(queue.take()).toBeUndefined();
});

test("of several delays of a key the shortest counts, and a pass answers them all", () => {
  const clock = new FakeClock();
  const queue = new WorkQueue(clock);
  queue.addAfter("a", 100);
  queue.addAfter("a", 50);
  queue.addAfter("a", 70);
  clock.advance(49);
  expect(queue.take()).toBeUndefined();
  clock.advance(1);
  expect(queue.take()).toBe("a");
  queue.done("a");
  queue.addAfter("a", 10);
  queue.add("a");
  expect(queue.take()).toBe("a");
  expect(clock.pending).toBe(0);
});

test("a closed queue is empty, stays so, and leaves no timer behind", () => {
  const clock = new FakeClock();
  const queue = new WorkQueue(clock);
  queue.add("a");
  queue.addAfter("b", 10);
  queue.close();
  queue.add("c");
  queue.addAfter("d", 10);
  expect(clock.pending).toBe(0);
  expect(queue.take()).toBeUndefined();
});

type Step =
  | { readonly kind: "add" | "done"; readonly key: string }
  | { readonly kind: "addAfter"; readonly key: string; readonly ms: number }
  | { readonly kind: "take" }
  | { readonly kind: "advance"; readonly ms: number };

const key = fc.constantFrom("a", "b", "c", "d");
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constantFrom("add" as const, "done" as const), key }),
  fc.record({ kind: fc.constant("addAfter" as const), key, ms: fc.integer({ min: 0, max: 100 }) }),
  fc.record({ kind: fc.constant("take" as const) }),
  fc.record({ kind: fc.constant("advance" as const), ms: fc.integer({ min: 0, max: 60 }) }),
);

/** What was asked for and not yet answered by the start of a pass: the time it is due. */
class Promised {
  readonly #due = new Map<string, number>();

  ask(of: string, dueMs: number): void {
    this.#due.set(of, Math.min(this.#due.get(of) ?? Number.POSITIVE_INFINITY, dueMs));
  }

  answer(of: string): void {
    this.#due.delete(of);
  }

  isAsked(of: string): boolean {
    return this.#due.has(of);
  }

  /** Keys that must be ready now. */
  due(nowMs: number, working: ReadonlySet<string>): string[] {
    return [...this.#due]
      .filter(([of, dueMs]) => dueMs <= nowMs && !working.has(of))
      .map(([of]) => of);
  }
}

test("in whatever order, no key is lost, made up, or worked on twice at once", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const clock = new FakeClock();
      const queue = new WorkQueue(clock);
      const working = new Set<string>();
      const promised = new Promised();
      const take = () => {
        const taken = queue.take();
        if (taken === undefined) {
          expect(promised.due(clock.monotonicMs(), working)).toEqual([]);
          return false;
        }
        expect(working.has(taken)).toBe(false);
        expect(promised.isAsked(taken)).toBe(true);
        promised.answer(taken);
        working.add(taken);
        return true;
      };
      for (const one of steps) {
        if (one.kind === "add") {
          queue.add(one.key);
          promised.ask(one.key, clock.monotonicMs());
        } else if (one.kind === "addAfter") {
          queue.addAfter(one.key, one.ms);
          promised.ask(one.key, clock.monotonicMs() + one.ms);
        } else if (one.kind === "done" && working.delete(one.key)) queue.done(one.key);
        else if (one.kind === "take") take();
        else if (one.kind === "advance") clock.advance(one.ms);
        // The depth counts exactly what waits, and each key once.
        expect(queue.depth).toBeLessThanOrEqual(4);
      }
      // In the end everything that was asked for is handed out.
      clock.advance(1_000);
      for (const one of working) queue.done(one);
      working.clear();
      while (take()) for (const one of working) if (working.delete(one)) queue.done(one);
      expect(queue.depth).toBe(0);
      expect(clock.pending).toBe(0);
    }),
    { numRuns: 2_000 },
  );
});
