/**
 * A small disk for the store, which others can fill: a tmpfs in the mount namespace of the run. A
 * write beyond its size fails with ENOSPC, as on any file system.
 */
import type { FileHandle } from "node:fs/promises";
import { open, rm } from "node:fs/promises";
import path from "node:path";
import { untilStopped } from "../harness/lifetime.ts";
import { run } from "../harness/run.ts";
import { scratch } from "../harness/scratch.ts";

const BLOCK = Buffer.alloc(1024 * 1024);

export interface Disk {
  readonly folder: string;
  /** Takes all that is free; again, what has become free since. */
  readonly fill: () => Promise<void>;
  /** Gives back what `fill` took. */
  readonly empty: () => Promise<void>;
  readonly remove: () => Promise<void>;
}

/** @param sizeMb memory that it takes when it is full */
export async function makeDisk(sizeMb: number): Promise<Disk> {
  const { folder, remove } = await scratch("chaos-disk");
  await run("mount", ["-t", "tmpfs", "-o", `size=${sizeMb}m,mode=755`, "tmpfs", folder]);
  const ballast = path.join(folder, "ballast");
  return {
    folder,
    fill: async () => {
      await using file = await open(ballast, "a");
      await writeUntilFull(file);
    },
    empty: () => rm(ballast, { force: true }),
    remove: untilStopped(async () => {
      await run("umount", ["--lazy", folder]);
      await remove();
    }),
  };
}

/** What does not fit is written in part, until nothing fits. */
async function writeUntilFull(file: FileHandle): Promise<void> {
  try {
    for (;;) await file.write(BLOCK);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  }
}
