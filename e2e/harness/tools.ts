/** Programs of the machine that the harness needs: found, else installed, else asked for. */
import { accessSync, constants } from "node:fs";
import path from "node:path";
import { withLock } from "./lock.ts";
import { progress } from "./progress.ts";
import { run } from "./run.ts";

export interface Tool {
  readonly command: string;
  /** The Debian package that has it; none when Debian's is not good enough. */
  readonly debian?: string;
  /** What a person should do when it cannot be installed from here. */
  readonly advice: string;
}

export const GO: Tool = {
  command: "go",
  advice: "install Go 1.26 or newer from https://go.dev/dl and put it in PATH",
};
export const MAVEN: Tool = {
  command: "mvn",
  debian: "maven",
  advice: "install Apache Maven 3.8 or newer (Debian: apt-get install maven)",
};

/** System folders are searched even when PATH lacks them: sbin holds half of networking. */
const FOLDERS = ["/usr/sbin", "/sbin", "/usr/local/go/bin"];

/** The path of a program, or undefined. An absolute path stands for itself. */
export function find(command: string): string | undefined {
  const folders = [...(process.env.PATH ?? "").split(path.delimiter), ...FOLDERS];
  return folders
    .filter((folder) => folder !== "")
    .map((folder) => path.resolve(folder, command))
    .find((file) => {
      try {
        accessSync(file, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/** Installs Debian packages where that is possible: with apt-get, as root. */
export async function installPackages(packages: readonly string[]): Promise<void> {
  if (packages.length === 0 || find("apt-get") === undefined || process.getuid?.() !== 0) return;
  await withLock("debian-packages", async () => {
    const done = progress(`Installing Debian packages: ${packages.join(" ")}`);
    const environment = { DEBIAN_FRONTEND: "noninteractive" };
    const wait = ["-o", "DPkg::Lock::Timeout=300"];
    const args = [...wait, "install", "-y", "-qq", "--no-install-recommends", ...packages];
    // The lists on the machine may be old or missing; fresh ones cost a second.
    await run("apt-get", [...wait, "update", "-qq"], { environment });
    await run("apt-get", args, { environment });
    done();
  });
}

/**
 * Makes sure that all programs are there, installing the missing ones where we may.
 * @throws Error "Cannot find X: what to do", one line for each that is missing
 */
export async function requireTools(tools: readonly Tool[]): Promise<void> {
  const missing = () => tools.filter(({ command }) => find(command) === undefined);
  const packages = missing().flatMap(({ debian }) => debian ?? []);
  const [attempt] = await Promise.allSettled([installPackages([...new Set(packages)])]);
  const faults = missing().map(({ command, advice }) => `Cannot find ${command}: ${advice}`);
  if (faults.length === 0) return;
  if (attempt.status === "rejected") faults.push(String(attempt.reason));
  throw new Error(faults.join("\n"));
}
