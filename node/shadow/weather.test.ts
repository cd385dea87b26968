/**
 * Whatever happens to frames, nodes and leases: no copy that may be used is older than what was
 * promised, none goes without a fault or before there is another, and when all is quiet each session
 * has one.
 */
import { expect, test } from "vitest";
import { Weather } from "./testing/weather.ts";

/** Of one test. */
const SEEDS = 125;
const STEPS = 120;
const FIRST = Array.from({ length: 16 }, (_, group) => 1 + group * SEEDS);

test.for(FIRST)(
  "no copy that may be used is older than what was promised, seeds %i and on",
  async (first) => {
    const total = { promised: 0, without: 0, faults: 0, renounced: 0, strays: 0 };
    for (let seed = first; seed < first + SEEDS; seed += 1) {
      const weather = new Weather(seed);
      await weather.play(STEPS);
      await weather.calm();
      expect(weather.broken, `seed ${seed}:\n${weather.lines.join("\n")}`).toEqual([]);
      for (const key of Object.keys(total) as (keyof typeof total)[]) {
        total[key] += weather.counts[key];
      }
    }
    // Stories in which nothing happens would prove nothing.
    expect(total.promised).toBeGreaterThan(10 * SEEDS);
    expect(total.without).toBeLessThan(total.promised / 2);
    expect(Math.min(total.faults, total.renounced)).toBeGreaterThan(SEEDS);
    expect(total.strays).toBeGreaterThan(SEEDS / 5);
  },
);
