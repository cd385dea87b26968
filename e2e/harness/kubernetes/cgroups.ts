/** The control groups of one run, under a root of its own, so that they can be found again. */
import { mkdir, readdir, readFile, rmdir, writeFile } from "node:fs/promises";
import { totalmem } from "node:os";
import path from "node:path";

const ROOT = "/sys/fs/cgroup";

/** The run's folder in every hierarchy: one on cgroup v2, one for each controller on v1. */
export async function cgroupFolders(name: string): Promise<readonly string[]> {
  const entries = await readdir(ROOT, { withFileTypes: true });
  if (entries.some((entry) => entry.name === "cgroup.controllers")) return [path.join(ROOT, name)];
  return entries
    .filter((entry) => entry.isDirectory())
    .map((entry) => path.join(ROOT, entry.name, name));
}

/** Makes the run's groups. All pods together get half of the machine's memory at most. */
export async function makeCgroups(name: string): Promise<void> {
  const bytesMax = String(Math.floor(totalmem() / 2));
  for (const folder of await cgroupFolders(name)) {
    await mkdir(folder, { recursive: true });
    const files = await readdir(folder);
    // The first on v2, where the controller may not be handed down; the second on v1.
    const limit = ["memory.max", "memory.limit_in_bytes"].find((file) => files.includes(file));
    if (limit !== undefined) await writeFile(path.join(folder, limit), bytesMax);
  }
}

/** The folder and all below it, deepest first; none when it is not there. */
async function below(folder: string): Promise<readonly string[]> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  const folders = entries.filter((entry) => entry.isDirectory());
  const nested = await Promise.all(folders.map(({ name }) => below(path.join(folder, name))));
  return [...nested.flat(), folder];
}

/** Every process in the run's groups: what runs in pods. */
export async function processesOf(name: string): Promise<readonly number[]> {
  const pids = new Set<number>();
  for (const root of await cgroupFolders(name)) {
    for (const folder of await below(root)) {
      const text = await readFile(path.join(folder, "cgroup.procs"), "utf8").catch(() => "");
      for (const line of text.split("\n").filter(Boolean)) pids.add(Number(line));
    }
  }
  return [...pids];
}

/** Removes the groups; those that still hold a process stay. */
export async function removeCgroups(name: string): Promise<void> {
  for (const root of await cgroupFolders(name)) {
    for (const folder of await below(root)) await rmdir(folder).catch(() => undefined);
  }
}
