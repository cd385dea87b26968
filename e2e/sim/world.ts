/**
 * The time and the chance of one story. Whatever happens is an event at a moment of virtual time;
 * between two events the code of the nodes runs until it only waits for others.
 */
import type { Clock, Timer } from "../../node/base/clock.ts";
import type { Random } from "../../node/base/random.ts";
import { seeded } from "../../node/modules/testing/weather.ts";
import { Heap } from "./heap.ts";

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly happen: () => void;
  isCanceled: boolean;
}

/** Turns of the event loop after each event: more than any chain of `setImmediate` in the nodes. */
const TURNS = 4;
const START_MS = Date.UTC(2026, 0, 1);

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

export class World {
  /** What the story tells, for people. */
  readonly story: string[] = [];
  readonly faults = new Map<string, number>();
  /** When the last fault of each kind ended, or will. */
  readonly #lastFaultMs = new Map<string, number>();
  events = 0;
  nowMs = 0;
  readonly #fraction: () => number;
  readonly #events = new Heap<Event>((one, other) =>
    one.atMs === other.atMs ? one.order < other.order : one.atMs < other.atMs,
  );
  #order = 0;

  constructor(seed: number) {
    this.#fraction = seeded(seed);
  }

  /** In [0, 1). */
  readonly fraction = (): number => this.#fraction();

  isSo(chance: number): boolean {
    return this.#fraction() < chance;
  }

  between(least: number, most: number): number {
    return least + this.#fraction() * (most - least);
  }

  integer(least: number, most: number): number {
    return Math.floor(this.between(least, most + 1));
  }

  pick<T>(items: readonly T[]): T | undefined {
    return items[Math.floor(this.#fraction() * items.length)];
  }

  say(line: string): void {
    this.story.push(`${(this.nowMs / 1_000).toFixed(3).padStart(9)}  ${line}`);
  }

  /** Whether a fault of one of these kinds was injected within so long, or lasted until then. */
  hadFault(kinds: readonly string[], withinMs: number): boolean {
    return kinds.some((kind) => (this.#lastFaultMs.get(kind) ?? -withinMs) > this.nowMs - withinMs);
  }

  /** A fault is injected. @param forMs how long it lasts, if that is said of it */
  fault(kind: string, line: string, forMs = 0): void {
    const lastMs = this.#lastFaultMs.get(kind) ?? 0;
    this.#lastFaultMs.set(kind, Math.max(lastMs, this.nowMs + forMs));
    this.faults.set(kind, (this.faults.get(kind) ?? 0) + 1);
    this.say(`** ${kind}: ${line}`);
  }

  after(delayMs: number, happen: () => void): Timer {
    this.#order += 1;
    const atMs = this.nowMs + Math.max(0, delayMs);
    const event: Event = { atMs, order: this.#order, happen, isCanceled: false };
    this.#events.push(event);
    return {
      cancel: () => {
        event.isCanceled = true;
      },
    };
  }

  wait(delayMs: number): Promise<void> {
    return new Promise((resolve) => this.after(delayMs, resolve));
  }

  /** Lets happen what falls due until then; `check` is called after each event. */
  async run(untilMs: number, check: () => void): Promise<void> {
    for (;;) {
      const next = this.#events.peek();
      if (next === undefined || next.atMs > untilMs) break;
      this.#events.pop();
      if (next.isCanceled) continue;
      this.nowMs = next.atMs;
      this.events += 1;
      next.happen();
      for (let turns = 0; turns < TURNS; turns += 1) await turn();
      check();
    }
    this.nowMs = untilMs;
  }

  /** A line of chance of its own, so that what one part draws does not change the others. */
  random(): Random {
    const fraction = seeded(this.integer(0, 2 ** 31));
    const octet = () => Math.floor(fraction() * 256);
    return { fraction, bytes: (count) => Buffer.from(Array.from({ length: count }, octet)) };
  }
}

/** The clock of one machine: it may be wrong about the time of day, and stops with its process. */
export class MachineClock implements Clock {
  readonly #world: World;
  readonly #enter: (work: () => void) => void;
  /** How wrong it is. */
  skewMs = 0;

  /** @param enter runs work in the process, as soon as it runs */
  constructor(world: World, enter: (work: () => void) => void) {
    this.#world = world;
    this.#enter = enter;
  }

  nowMs(): number {
    return Math.floor(START_MS + this.#world.nowMs + this.skewMs);
  }

  monotonicMs(): number {
    return this.#world.nowMs;
  }

  after(delayMs: number, callback: () => void): Timer {
    let isCanceled = false;
    const timer = this.#world.after(delayMs, () =>
      this.#enter(() => {
        if (!isCanceled) callback();
      }),
    );
    return {
      cancel() {
        isCanceled = true;
        timer.cancel();
      },
    };
  }
}
