/** A lock between processes: one file, kept fresh by its holder, taken over when it goes stale. */
import { mkdir, open, rename, rm, stat, utimes } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { cacheRoot } from "./cache-root.ts";

const FRESHEN_MS = 2_000;
const STALE_MS = 15_000;
const POLL_MS = 250;

const isMissing = (error: unknown): boolean => (error as NodeJS.ErrnoException).code === "ENOENT";

async function tryTake(file: string): Promise<boolean> {
  try {
    await (await open(file, "wx")).close();
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
    return false;
  }
}

/** Moves a lock aside whose holder died. Two may do so at once; then both do the same work. */
async function removeStale(file: string): Promise<void> {
  try {
    const { mtimeMs } = await stat(file);
    if (Date.now() - mtimeMs < STALE_MS) return;
    const aside = `${file}.${process.pid}`;
    await rename(file, aside);
    await rm(aside, { force: true });
  } catch (error) {
    if (!isMissing(error)) throw error;
  }
}

/** Runs `work` while no other process that uses the same cache holds the lock of that name. */
export async function withLock<T>(name: string, work: () => Promise<T>): Promise<T> {
  const file = path.join(cacheRoot(), `${name}.lock`);
  await mkdir(path.dirname(file), { recursive: true });
  while (!(await tryTake(file))) {
    await removeStale(file);
    await sleep(POLL_MS);
  }
  const timer = setInterval(() => {
    const now = new Date();
    utimes(file, now, now).catch(() => undefined);
  }, FRESHEN_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    await rm(file, { force: true });
  }
}
