/** Everything that can be said without running the product: types, format, lint, floors, docs. */
import { spawnSync } from "node:child_process";
import path from "node:path";
import { root } from "./sources.ts";

const bin = (name: string): string => path.join(root, "node_modules", ".bin", name);

const STEPS: readonly (readonly [string, string, ...string[]])[] = [
  ["types", bin("tsc"), "--noEmit"],
  ["format and lint", bin("biome"), "ci", "--error-on-warnings", "."],
  ["floors", process.execPath, ".ci/check-floors.ts"],
  ["tidy", process.execPath, ".ci/check-tidy.ts"],
  ["docs", process.execPath, ".ci/check-docs.ts"],
  ["licences", process.execPath, ".ci/check-licences.ts"],
  // vitest transpiles and so accepts what Node itself refuses: load both programs for real.
  [
    "node loads",
    process.execPath,
    "node/cli.ts",
    "config",
    "check",
    "--config",
    "e2e/load/node.yaml",
  ],
  ["operator loads", process.execPath, "operator/main.ts", "--help"],
];

/** Runs every step, answers the names of those that failed. */
export function runChecks(): readonly string[] {
  const failed: string[] = [];
  for (const [name, command, ...args] of STEPS) {
    const started = performance.now();
    const result = spawnSync(command, args, { cwd: root, encoding: "utf8" });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    const isOk = result.status === 0;
    console.log(`${isOk ? "ok    " : "FAILED"} ${name} (${seconds} s)`);
    if (isOk) continue;
    failed.push(name);
    console.log(`${result.stdout}${result.stderr}`.trimEnd());
  }
  return failed;
}

if (import.meta.main) process.exitCode = runChecks().length === 0 ? 0 : 1;
