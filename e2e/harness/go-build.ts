/** Programs written in Go, built from a folder with go.mod and go.sum, and no more unless it says so. */
import { readFileSync } from "node:fs";
import path from "node:path";
import { cached } from "./cache.ts";
import { run } from "./run.ts";
import { find, GO, requireTools } from "./tools.ts";

export interface GoBuild {
  /** Folder under build/, and name in the cache. */
  readonly name: string;
  /** For people, with how long it takes. */
  readonly about: string;
  /** Import paths of main packages; each program is named for the last part. */
  readonly packages: readonly string[];
  /** Files of the folder itself, whose package is then "." and named for the folder. */
  readonly sources?: readonly string[];
  /** "-X package.name=value", to stamp a version in. */
  readonly stamps?: readonly string[];
}

const HOUR_MS = 3_600_000;

/** @returns the folder with the programs */
export function goBuild(build: GoBuild): Promise<string> {
  const { name, about, packages, sources = [], stamps = [] } = build;
  const module = path.join(import.meta.dirname, "build", name);
  const files = ["go.mod", "go.sum", ...sources];
  const inputs = files.map((file) => readFileSync(path.join(module, file)));
  const linker = `-ldflags=${["-s", "-w", ...stamps].join(" ")}`;
  return cached({
    name,
    about,
    inputs: [...inputs, ...packages, linker],
    make: async (folder) => {
      await requireTools([GO]);
      const args = ["build", "-trimpath", "-buildvcs=false", linker, "-o", `${folder}/`];
      await run(find("go") ?? "go", [...args, ...packages], {
        directory: module,
        environment: { CGO_ENABLED: "0", GOFLAGS: "-mod=readonly" },
        timeoutMs: HOUR_MS,
      });
    },
  });
}
