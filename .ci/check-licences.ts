/** Every package that ships must carry a licence that Apache-2.0 can stand beside. */
import { existsSync, readFileSync } from "node:fs";
import path from "node:path";
import { report, root } from "./sources.ts";

const COMPATIBLE = new Set([
  "0BSD",
  "Apache-2.0",
  "BSD-2-Clause",
  "BSD-3-Clause",
  "BlueOak-1.0.0",
  "CC0-1.0",
  "ISC",
  "MIT",
  "MIT-0",
  "PSF-2.0",
  "Python-2.0",
  "Unlicense",
]);

interface Locked {
  readonly version?: string;
  readonly license?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
}

/** "(MIT OR GPL-2.0)" is fine when one side is; "MIT AND X" when both are. */
const isCompatible = (expression: string): boolean =>
  expression
    .replace(/[()]/g, "")
    .split(/ OR /)
    .some((side) => side.split(/ AND /).every((id) => COMPATIBLE.has(id.trim())));

function licenceOf(folder: string, locked: Locked): string | undefined {
  if (locked.license !== undefined) return locked.license;
  const manifest = path.join(root, folder, "package.json");
  if (!existsSync(manifest)) return undefined;
  const { license } = JSON.parse(readFileSync(manifest, "utf8")) as { license?: string };
  return license;
}

function checkLicences(): readonly string[] {
  const lock = JSON.parse(readFileSync(path.join(root, "package-lock.json"), "utf8")) as {
    packages: Record<string, Locked>;
  };
  const faults: string[] = [];
  for (const [folder, locked] of Object.entries(lock.packages)) {
    if (folder === "" || locked.dev === true) continue;
    const licence = licenceOf(folder, locked);
    // The Node binaries carry Node's own licence file (MIT and those of its parts).
    if (/node-linux-/.test(folder)) continue;
    if (licence === undefined) {
      if (locked.optional !== true) faults.push(`${folder}: no licence stated`);
    } else if (!isCompatible(licence)) faults.push(`${folder}: ${licence}`);
  }
  return faults;
}

if (import.meta.main) report("licences", checkLicences());
