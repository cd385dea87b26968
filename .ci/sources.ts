/** The project's own source files, for the checks. Paths are relative to the root, with slashes. */
import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";

export const root = path.dirname(import.meta.dirname);

export interface Source {
  readonly path: string;
  readonly text: string;
  readonly isTest: boolean;
}

/** Every file git tracks or would track. */
export function listFiles(): readonly string[] {
  const output = execFileSync("git", ["ls-files", "--cached", "--others", "--exclude-standard"], {
    cwd: root,
    encoding: "utf8",
  });
  const deleted = execFileSync("git", ["ls-files", "--deleted"], { cwd: root, encoding: "utf8" });
  const gone = new Set(deleted.split("\n"));
  return output.split("\n").filter((file) => file !== "" && !gone.has(file));
}

export const read = (file: string): string => readFileSync(path.join(root, file), "utf8");

const isTestFile = (file: string): boolean =>
  /\.(test|suite|fixture)\.ts$|\/testing\/|fake-|-simulation\.ts$/.test(file) ||
  file.startsWith("e2e/");

/** TypeScript of the given top-level folders. */
export function listSources(...folders: readonly string[]): readonly Source[] {
  return listFiles()
    .filter(
      (file) => file.endsWith(".ts") && folders.some((folder) => file.startsWith(`${folder}/`)),
    )
    .map((file) => ({ path: file, text: read(file), isTest: isTestFile(file) }));
}

/** Prints what is wrong and fails, or says that all is well. */
export function report(check: string, faults: readonly string[]): void {
  for (const fault of faults) console.error(`${check}: ${fault}`);
  if (faults.length > 0) process.exitCode = 1;
  else console.log(`${check}: ok`);
}
