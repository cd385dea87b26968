/** What a process and its children have used, as the kernel counts it. */
import { readdirSync, readFileSync } from "node:fs";
import { statOf } from "../harness/alive.ts";
import type { Peer } from "../harness/peers/contract.ts";

/** Linux has counted in hundredths of a second towards programs for twenty years. */
const TICK_MS = 10;

/** A server: its process, and others that are not its children. */
export type Server = Pick<Peer, "pid" | "besides">;

/** Its processes and everything they have started. */
function family({ pid, besides = [] }: Server): readonly number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync("/proc")) {
    const id = Number(name);
    const parent = Number.isInteger(id) ? statOf(id)?.[1] : undefined;
    if (parent !== undefined) parents.set(id, Number(parent));
  }
  const members = [pid, ...besides];
  for (const member of members) {
    for (const [child, parent] of parents) if (parent === member) members.push(child);
  }
  return members;
}

/** User and system time of a server, children included. */
export function cpuMs(server: Server): number {
  let ticks = 0;
  for (const member of family(server)) {
    const stat = statOf(member);
    // utime, stime: fields 14 and 15, counted from the pid, which is field 1.
    ticks += Number(stat?.[11] ?? 0) + Number(stat?.[12] ?? 0);
  }
  return ticks * TICK_MS;
}

/** Proportional set size of a server, children included. */
export function memoryKib(server: Server): number {
  let sum = 0;
  for (const member of family(server)) {
    try {
      const text = readFileSync(`/proc/${member}/smaps_rollup`, "latin1");
      sum += Number(/^Pss:\s+(\d+) kB/m.exec(text)?.[1] ?? 0);
    } catch {
      // It has ended.
    }
  }
  return sum;
}

/** Share of the machine's processors that others than idle used; between two readings. */
export function machineTicks(): { readonly busy: number; readonly total: number } {
  const line = readFileSync("/proc/stat", "latin1").split("\n")[0] ?? "";
  const ticks = line.split(/\s+/).slice(1, 9).map(Number);
  const total = ticks.reduce((sum, value) => sum + value, 0);
  return { busy: total - (ticks[3] ?? 0) - (ticks[4] ?? 0), total };
}
