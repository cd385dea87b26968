/** A Python virtual environment with the third-party clients, made once and kept in the cache. */
import { execFileSync } from "node:child_process";
import path from "node:path";
import { cached } from "../harness/cache.ts";

const REQUIREMENTS = ["slixmpp==1.17.0"];

let made: Promise<string> | undefined;

/** The path of a Python interpreter that can import slixmpp. */
export function pythonWithSlixmpp(): Promise<string> {
  made ??= make();
  return made;
}

async function make(): Promise<string> {
  const folder = await cached({
    name: "python-clients",
    about: "slixmpp in a Python environment (about 10 seconds)",
    inputs: REQUIREMENTS,
    make: async (target) => {
      execFileSync("python3", ["-m", "venv", target], { stdio: ["ignore", 2, 2] });
      const python = path.join(target, "bin", "python");
      const install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"];
      execFileSync(python, [...install, ...REQUIREMENTS], { stdio: ["ignore", 2, 2] });
    },
  });
  return path.join(folder, "bin", "python");
}
