/** Builds that are made once: keyed by what they are made from, complete or absent. */
import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, rename, rm } from "node:fs/promises";
import path from "node:path";
import { cacheRoot } from "./cache-root.ts";
import { withLock } from "./lock.ts";
import { progress } from "./progress.ts";

export interface Build {
  /** File name part: "etcd-3.6.7". */
  readonly name: string;
  /** For people: "etcd 3.6.7 (about 2 minutes the first time)". */
  readonly about: string;
  /** Everything that decides the result: file contents, flags, versions. Order counts. */
  readonly inputs: readonly (string | Uint8Array)[];
  /** Fills the empty folder it is given. */
  readonly make: (folder: string) => Promise<void>;
}

/** A short digest of the inputs; no two lists of inputs run into each other. */
export function keyOf(inputs: Build["inputs"]): string {
  const hash = createHash("sha256");
  for (const input of inputs) hash.update(`${Buffer.byteLength(input)}:`).update(input);
  return hash.digest("hex").slice(0, 16);
}

/** Where a build is, or would be. */
export const folderOf = ({ name, inputs }: Pick<Build, "name" | "inputs">): string =>
  path.join(cacheRoot(), "builds", `${name}-${process.arch}-${keyOf(inputs)}`);

/** The folder with the finished build; made now when it is not there yet. */
export async function cached(build: Build): Promise<string> {
  const folder = folderOf(build);
  if (existsSync(folder)) return folder;
  return withLock(path.basename(folder), async () => {
    if (existsSync(folder)) return folder; // Somebody else made it while we waited.
    await mkdir(path.dirname(folder), { recursive: true });
    const draft = await mkdtemp(path.join(path.dirname(folder), ".draft-"));
    const done = progress(`Building ${build.about}`);
    try {
      await build.make(draft);
      await rename(draft, folder).catch((error: unknown) => {
        // Two may hold a lock whose holder died, and both make it: see lock.ts.
        if (!existsSync(folder)) throw error;
      });
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
    done();
    return folder;
  });
}
