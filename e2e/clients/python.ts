/** Python virtual environments with third-party clients, each made once and kept in the cache. */
import { execFileSync } from "node:child_process";
import path from "node:path";
import { cached } from "../harness/cache.ts";

const REQUIREMENTS = {
  slixmpp: ["slixmpp==1.17.0"],
  /** Its last release, with what it imports of those that have gone on since. */
  aioxmpp: [
    "aioxmpp==0.13.3",
    "pyOpenSSL==24.0.0",
    "pytz==2026.6",
    "lxml==4.9.4",
    "tzlocal==5.4.5",
  ],
} as const;

export type PythonLibrary = keyof typeof REQUIREMENTS;

const made = new Map<PythonLibrary, Promise<string>>();

/** The path of a Python interpreter that can import the library. */
export function pythonWith(library: PythonLibrary): Promise<string> {
  const known = made.get(library) ?? make(library);
  made.set(library, known);
  return known;
}

async function make(library: PythonLibrary): Promise<string> {
  const requirements = REQUIREMENTS[library];
  const folder = await cached({
    name: `python-${library}`,
    about: `${library} in a Python environment (about 10 seconds)`,
    inputs: requirements,
    make: async (target) => {
      execFileSync("python3", ["-m", "venv", target], { stdio: ["ignore", 2, 2] });
      const python = path.join(target, "bin", "python");
      const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
      execFileSync(python, [...install, ...requirements], { stdio: ["ignore", 2, 2] });
    },
  });
  return path.join(folder, "bin", "python");
}
