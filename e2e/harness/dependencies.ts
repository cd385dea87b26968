/** The packages that images carry: production only, without what nobody runs. */
import { readFileSync } from "node:fs";
import { readdir, rm, rmdir, writeFile } from "node:fs/promises";
import path from "node:path";
import { cached } from "./cache.ts";
import { run } from "./run.ts";
import { find } from "./tools.ts";

const ROOT = path.join(import.meta.dirname, "..", "..");

/** Types, source maps and the like: two thirds of the files, read by no running program. */
const DEAD_WEIGHT = /\.(d\.[cm]?ts|map|md|markdown|flow|tsbuildinfo)$/i;

async function prune(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const file = path.join(folder, entry.name);
    if (entry.isDirectory()) await prune(file);
    else if (DEAD_WEIGHT.test(entry.name)) await rm(file);
  }
  await rmdir(folder).catch(() => undefined); // Only when nothing is left in it.
}

interface Package {
  readonly dev?: boolean;
  readonly optional?: boolean;
}

/**
 * The manifest and lockfile without development packages. `npm ci --omit=dev` would still check
 * them, and refuse where a registry lacks one of a tool's packages for other platforms. The
 * optional packages are the pinned Node, which images have in their base.
 */
export function productionManifests(manifest: string, lockfile: string): readonly [string, string] {
  const strip = (own: object) => ({ ...own, devDependencies: {}, optionalDependencies: {} });
  const lock = JSON.parse(lockfile) as { packages: Record<string, Package> };
  const kept = Object.entries(lock.packages).filter(([, { dev, optional }]) => !dev && !optional);
  const packages = { ...Object.fromEntries(kept), "": strip(lock.packages[""] ?? {}) };
  return [
    JSON.stringify(strip(JSON.parse(manifest) as object)),
    JSON.stringify({ ...lock, packages }),
  ];
}

/** @returns a folder with node_modules as images want it */
export function productionDependencies(): Promise<string> {
  const names = ["package.json", "package-lock.json"] as const;
  const [manifest, lock] = names.map((name) => readFileSync(path.join(ROOT, name), "utf8"));
  const texts = productionManifests(manifest ?? "", lock ?? "");
  return cached({
    name: "dependencies",
    about: "the dependencies of the images",
    inputs: [texts[1], DEAD_WEIGHT.source],
    make: async (draft) => {
      await writeFile(path.join(draft, names[0]), texts[0]);
      await writeFile(path.join(draft, names[1]), texts[1]);
      const quiet = ["--ignore-scripts", "--no-audit", "--no-fund"];
      await run(find("npm") ?? "npm", ["ci", ...quiet], { directory: draft });
      await prune(path.join(draft, "node_modules"));
    },
  });
}
