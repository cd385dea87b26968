/** Whether a process of an earlier run still lives, and what the kernel says of one. */
import { readFileSync } from "node:fs";

/**
 * The fields of /proc/PID/stat after the name, which may contain anything: its state first.
 * @param id of a process, or "PID/task/TID" of a thread
 */
export function statOf(id: number | string): readonly string[] | undefined {
  try {
    const text = readFileSync(`/proc/${id}/stat`, "latin1");
    return text.slice(text.lastIndexOf(")") + 2).split(" ");
  } catch {
    return undefined; // It has ended.
  }
}

/**
 * A process id together with when it started, because ids are used again.
 * @returns undefined for a process that is gone, or dead and merely not yet collected
 */
export async function fingerprint(pid: number): Promise<string | undefined> {
  const stat = statOf(pid);
  if (stat === undefined) return undefined;
  const [state = "", ...rest] = stat;
  return "ZX".includes(state) ? undefined : `${pid}-${rest[18]}`;
}

/** Whether the process with that fingerprint still runs. */
export const isAlive = async (print: string): Promise<boolean> =>
  (await fingerprint(Number.parseInt(print, 10))) === print;
