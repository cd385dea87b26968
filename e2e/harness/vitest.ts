/** Runs vitest in a process of its own and counts what it found. */
import { spawn } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { stripVTControlCharacters } from "node:util";

const root = path.join(import.meta.dirname, "../..");

interface Report {
  readonly numPassedTests?: number;
  readonly numFailedTests?: number;
  readonly testResults?: readonly FileResult[];
}

interface FileResult {
  readonly name: string;
  readonly status: string;
  /** Why the file could not be loaded. */
  readonly message: string;
  readonly assertionResults: readonly {
    readonly status: string;
    readonly fullName: string;
    readonly failureMessages: readonly string[] | null;
  }[];
}

export interface Counts {
  readonly passed: number;
  readonly failed: number;
}

/**
 * What failed is said again at the end, a line each that begins with "failed", for logs of which only
 * the end is kept.
 *
 * @param environment variables that tell the tests where the servers are.
 */
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
  const counts = count(report, status);
  const lines = failures(report);
  for (const line of lines) console.log(line);
  if (counts.failed > 0 && !lines.some((line) => line.startsWith("failed: ")))
    console.log('failed: something outside of the tests: see "Uncaught" or "Unhandled" above');
  return counts;
}

/** A test that passed when it was run again (`--retry`) is named, too: it fails by chance, or what it tests does. */
function failures(report: Report): readonly string[] {
  return (report.testResults ?? []).flatMap((file) => {
    const name = path.relative(root, file.name);
    if (isBroken(file)) return [`failed: ${name}: ${brief(file.message)}`];
    return file.assertionResults.flatMap(({ status, fullName, failureMessages }) => {
      const [message] = failureMessages ?? [];
      if (message === undefined) return [];
      const verdict = status === "failed" ? "failed" : "failed once";
      return [`${verdict}: ${name}: ${fullName}: ${brief(message)}`];
    });
  });
}

/** A message of several lines with the stack in one of at most 400 characters. */
function brief(message: string): string {
  return stripVTControlCharacters(message).replaceAll(/\s+/g, " ").slice(0, 400);
}

/** A file that fails to load has no test in it that could fail. */
const isBroken = ({ status, assertionResults }: FileResult): boolean =>
  status === "failed" && assertionResults.length === 0;

function count(report: Report, status: number): Counts {
  // It counts as one.
  const broken = (report.testResults ?? []).filter(isBroken).length;
  const failed = (report.numFailedTests ?? 0) + broken;
  // An error outside any test fails the run as well.
  return { passed: report.numPassedTests ?? 0, failed: failed === 0 && status !== 0 ? 1 : failed };
}
