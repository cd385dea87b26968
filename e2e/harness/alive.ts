/** Whether a process of an earlier run still lives. */
import { readFile } from "node:fs/promises";

/**
 * A process id together with when it started, because ids are used again.
 * @returns undefined for a process that is gone, or dead and merely not yet collected
 */
export async function fingerprint(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, "utf8").catch(() => undefined);
  if (text === undefined) return undefined;
  const [state = "", ...rest] = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return "ZX".includes(state) ? undefined : `${pid}-${rest[18]}`;
}

/** Whether the process with that fingerprint still runs. */
export const isAlive = async (print: string): Promise<boolean> =>
  (await fingerprint(Number.parseInt(print, 10))) === print;
