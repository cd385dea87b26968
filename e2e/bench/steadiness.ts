/**
 * How steadily the machine works. Some hosts slow the processors of their guests down to a tenth, for a
 * tenth of a second at a time: the guest counts that as work, and whoever answers meanwhile is late.
 */
import { median } from "../load/latencies.ts";

const WATCHED_MS = 3_000;
const UNIT_MS = 20;
const ADDITIONS = 10_000;

/** What is added up, so that no compiler leaves it out. */
let sum = 0;

/** Rounds of the same work for each millisecond of a processor's time; undefined when it had little of it. */
function speed(): number | undefined {
  const before = process.threadCpuUsage();
  const endMs = performance.now() + UNIT_MS;
  let rounds = 0;
  for (; performance.now() < endMs; rounds++) {
    for (let at = 0; at < ADDITIONS; at++) sum = (sum + at) | 0;
  }
  const { user, system } = process.threadCpuUsage(before);
  const usedMs = (user + system) / 1_000;
  return usedMs < UNIT_MS / 2 ? undefined : rounds / usedMs;
}

/**
 * Works for three seconds.
 * @returns the share of them in which a processor had less than half its usual speed; undefined when other
 *   work left it too little to see that
 */
export function slowShare(): number | undefined {
  const speeds: number[] = [];
  const endMs = performance.now() + WATCHED_MS;
  while (performance.now() < endMs) {
    const one = speed();
    if (one !== undefined) speeds.push(one);
  }
  if (speeds.length < WATCHED_MS / UNIT_MS / 2) return undefined;
  const usual = median(speeds);
  return speeds.filter((one) => one < usual / 2).length / speeds.length;
}
