import { expect, test } from "vitest";
import { Latencies } from "./latencies.ts";

test("a stall of one quarter second is in the percentile of all, and of that quarter alone", () => {
  const latencies = new Latencies();
  latencies.start(0);
  const startedMs = Number(process.hrtime.bigint() / 1_000_000n) + 1_000;
  for (let at = 0; at < 2_000; at++) {
    const latency = at >= 1_000 && at < 1_040 ? 50 : 1;
    latencies.take(`t${startedMs + at}`, startedMs + at + latency);
  }
  expect(latencies.sorted()[1_980]).toBe(50);
  expect(latencies.quarters()).toEqual([1, 1, 1, 1, 50, 1, 1]);
});
