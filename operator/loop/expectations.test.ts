import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Key, KubeObject, Store } from "../kube/contract.ts";
import { keyOf } from "../kube/contract.ts";
import { silentLog } from "../kube/testing/api-server.ts";
import { keyText } from "./contract.ts";
import { createExpectations } from "./expectations.ts";
import { FakeClock } from "./fake-clock.ts";

const OWNER: Key = { namespace: "chat", name: "cluster" };

function pod(name: string, uid: string, version: number, isGoing = false): KubeObject {
  const metadata = { namespace: "chat", name, uid, resourceVersion: String(version) };
  const going = isGoing ? { deletionTimestamp: "2026-01-01T00:00:00Z" } : {};
  return { apiVersion: "v1", kind: "Pod", metadata: { ...metadata, ...going } };
}

/** What an informer shows: the state after some of the changes that really happened. */
class LaggingStore implements Store {
  readonly #history: (readonly KubeObject[])[] = [[]];
  #shown = 0;

  /** A change on the server; its index is the resource version. */
  change(
    objects: (before: readonly KubeObject[], version: number) => readonly KubeObject[],
  ): number {
    const version = this.#history.length;
    this.#history.push(objects(this.#history.at(-1) ?? [], version));
    return version;
  }

  /** The informer catches up by so many changes. */
  catchUp(changes: number): void {
    this.#shown = Math.min(this.#history.length - 1, this.#shown + changes);
  }

  get resourceVersion(): string {
    return String(this.#shown);
  }

  get isCurrent(): boolean {
    return this.#shown === this.#history.length - 1;
  }

  list(): readonly KubeObject[] {
    return this.#history[this.#shown] ?? [];
  }

  get(key: Key): KubeObject | undefined {
    return this.list().find((object) => keyText(keyOf(object)) === keyText(key));
  }
}

function setup(timeoutMs?: number) {
  const store = new LaggingStore();
  const clock = new FakeClock();
  const expectations = createExpectations({
    storeOf: (_apiVersion, kind) => (kind === "Pod" ? store : undefined),
    clock,
    log: silentLog,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  });
  return { store, clock, expectations };
}

describe("expectations", () => {
  test("a created object is awaited until the informer shows it", () => {
    const { store, expectations } = setup();
    expect(expectations.areMet(OWNER)).toBe(true);
    const version = store.change((before, now) => [...before, pod("a", "1", now)]);
    expectations.wrote(OWNER, pod("a", "1", version));
    expect(expectations.areMet(OWNER)).toBe(false);
    expect(expectations.areMet({ namespace: "chat", name: "other" })).toBe(true);
    store.catchUp(1);
    expect(expectations.areMet(OWNER)).toBe(true);
  });

  test("a delete is awaited until that very object is gone or going, a namesake is not it", () => {
    const { store, expectations } = setup();
    store.change((_before, now) => [pod("a", "1", now), pod("b", "2", now)]);
    store.catchUp(1);
    expectations.deleted(OWNER, pod("a", "1", 1));
    expectations.deleted(OWNER, pod("b", "2", 1));
    expect(expectations.areMet(OWNER)).toBe(false);
    store.change((_before, now) => [pod("a", "1", now, true), pod("b", "2", 1)]);
    store.catchUp(1);
    expect(expectations.areMet(OWNER)).toBe(false);
    store.change((_before, now) => [pod("b", "3", now)]);
    store.catchUp(1);
    expect(expectations.areMet(OWNER)).toBe(true);
  });

  test("a write whose object is gone again is seen by the informer's own version", () => {
    const { store, expectations } = setup();
    const version = store.change((_before, now) => [pod("a", "1", now)]);
    expectations.wrote(OWNER, pod("a", "1", version));
    store.change(() => []);
    store.catchUp(2);
    expect(expectations.areMet(OWNER)).toBe(true);
  });

  test("a wait is given up after a time, and a kind nobody watches is not awaited", () => {
    const { store, clock, expectations } = setup(10_000);
    const version = store.change((_before, now) => [pod("a", "1", now)]);
    expectations.wrote(OWNER, pod("a", "1", version));
    clock.advance(9_999);
    expect(expectations.areMet(OWNER)).toBe(false);
    clock.advance(1);
    expect(expectations.areMet(OWNER)).toBe(true);
    expectations.wrote(OWNER, { ...pod("a", "1", 99), kind: "Secret" });
    expect(expectations.areMet(OWNER)).toBe(true);
    expectations.wrote(OWNER, pod("a", "1", 99));
    expectations.forget(OWNER);
    expect(expectations.areMet(OWNER)).toBe(true);
  });

  test("under any lag, a loop that waits for them keeps its floor and its ceiling", () => {
    // A rolling loop: three pods wanted, at most four at once, at least two; one step per pass.
    const step = fc.record({
      act: fc.constantFrom("pass", "pass", "lag", "foreignDelete"),
      changes: fc.integer({ min: 1, max: 3 }),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 120 }), (steps) => {
        const { store, expectations } = setup();
        let serial = 0;
        let truth: readonly KubeObject[] = [];
        const change = (
          to: (before: readonly KubeObject[], now: number) => readonly KubeObject[],
        ) =>
          store.change((before, now) => {
            truth = to(before, now);
            return truth;
          });
        let foreign = 0;
        for (const { act, changes } of steps) {
          if (act === "lag") store.catchUp(changes);
          else if (act === "foreignDelete" && foreign === 0 && truth.length === 4) {
            foreign += 1;
            change((before) => before.slice(1));
          } else if (act === "pass" && expectations.areMet(OWNER)) {
            const seen = store.list();
            if (seen.length < 4) {
              serial += 1;
              const uid = String(serial);
              const version = change((before, now) => [...before, pod(`p${uid}`, uid, now)]);
              expectations.wrote(OWNER, pod(`p${uid}`, uid, version));
            } else {
              const [victim] = seen as readonly [KubeObject, ...KubeObject[]];
              if (!truth.some((object) => object.metadata.uid === victim.metadata.uid)) continue;
              change((before) =>
                before.filter(({ metadata }) => metadata.uid !== victim.metadata.uid),
              );
              expectations.deleted(OWNER, victim);
            }
          }
          expect(truth.length).toBeLessThanOrEqual(4);
          if (serial >= 4) expect(truth.length).toBeGreaterThanOrEqual(3 - foreign);
        }
        // And it never waits for what can not come.
        store.catchUp(1_000);
        expect(store.isCurrent && expectations.areMet(OWNER)).toBe(true);
      }),
      { numRuns: 1_000 },
    );
  });
});
