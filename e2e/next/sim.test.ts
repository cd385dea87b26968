import { execFile } from "node:child_process";
import path from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const SIM = path.join(import.meta.dirname, "..", "sim", "sim.ts");

test("stories of clusters of both releases: everything holds that is promised", async () => {
  const { stdout } = await promisify(execFile)(process.execPath, [
    SIM,
    "--mixed",
    "--from",
    "8",
    "--seeds",
    "12",
  ]);
  expect(stdout).toMatch(
    /^12 seeds, \d+ events, \d+ messages, \d+ faults .* 0 broken invariants$/m,
  );
});
