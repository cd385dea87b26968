/** Runs vitest in a process of its own and counts what it found. */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

const root = path.join(import.meta.dirname, "../..");

interface Report {
  readonly numPassedTests?: number;
  readonly numFailedTests?: number;
  readonly testResults?: readonly {
    readonly status: string;
    readonly assertionResults: readonly unknown[];
  }[];
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/** @param environment variables that tell the tests where the servers are. */
export async function runVitest(
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): Promise<Counts> {
  const folder = await mkdtemp(path.join(tmpdir(), "zonda-vitest-"));
  const file = path.join(folder, "report.json");
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${file}`];
  const vitest = path.join(root, "node_modules", "vitest", "vitest.mjs");
  const child = spawn(process.execPath, [vitest, "run", ...reporters, ...args], {
    cwd: root,
    stdio: ["ignore", "inherit", "inherit"],
    env: { ...process.env, ...environment },
  });
  const status = await new Promise<number>((resolve) => {
    child.on("exit", (code) => resolve(code ?? 1));
  });
  const report = JSON.parse(await readFile(file, "utf8").catch(() => "{}")) as Report;
  await rm(folder, { recursive: true, force: true });
  return count(report, status);
}

function count(report: Report, status: number): Counts {
  // A file that fails to load has no test in it that could fail: it counts as one.
  const broken = (report.testResults ?? []).filter(
    (file) => file.status === "failed" && file.assertionResults.length === 0,
  ).length;
  const failed = (report.numFailedTests ?? 0) + broken;
  // An error outside any test fails the run as well.
  return { passed: report.numPassedTests ?? 0, failed: failed === 0 && status !== 0 ? 1 : failed };
}
