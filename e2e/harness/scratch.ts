/** Folders that live as long as one run. */
import { mkdir, mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fingerprint, isAlive } from "./alive.ts";

export interface Scratch {
  readonly folder: string;
  /** The caller brought the folder: what is in it will be used again. */
  readonly isKept: boolean;
  /** Removes the folder, unless it is kept. */
  readonly remove: () => Promise<void>;
}

/** Removes what runs left behind that were killed: the name says whose it is. */
async function removeLeftovers(prefix: string): Promise<void> {
  for (const name of await readdir(tmpdir())) {
    const owner = name.startsWith(prefix) && /^\d+-\d+(?=-)/.exec(name.slice(prefix.length))?.[0];
    if (!owner || (await isAlive(owner))) continue;
    await rm(path.join(tmpdir(), name), { recursive: true, force: true });
  }
}

/** The caller's folder, made if need be, which stays; else a new one, which does not. */
export async function scratch(name: string, given?: string): Promise<Scratch> {
  if (given !== undefined) {
    await mkdir(given, { recursive: true });
    return { folder: path.resolve(given), isKept: true, remove: async () => undefined };
  }
  const prefix = `zonda-${name}-`;
  await removeLeftovers(prefix);
  const folder = await mkdtemp(path.join(tmpdir(), `${prefix}${await fingerprint(process.pid)}-`));
  const remove = () => rm(folder, { recursive: true, force: true, maxRetries: 3 });
  return { folder, isKept: false, remove };
}
