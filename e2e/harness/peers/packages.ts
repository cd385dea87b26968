/**
 * Debian's Prosody and ejabberd, a proxy and another malloc, with all they need, unpacked into the
 * cache: nothing is installed on the machine and no service of it is started.
 */
import { mkdir, readdir, rm } from "node:fs/promises";
import path from "node:path";
import { cached } from "../cache.ts";
import { run } from "../run.ts";
import { find } from "../tools.ts";

const PACKAGES = [
  ...["ejabberd", "prosody", "lua-event", "lua-unbound"],
  ...["haproxy", "liblua5.3-0", "libjemalloc2"],
];

/** Changes when the packages of the machine's release do. */
async function versions(): Promise<string> {
  const output = await run("apt-cache", ["policy", ...PACKAGES]);
  return [...output.matchAll(/Candidate: (\S+)/g)].map(([, version]) => version).join(" ");
}

export const hasPeerPackages = (): boolean =>
  find("apt-get") !== undefined && find("dpkg-deb") !== undefined && process.getuid?.() === 0;

/** @returns the folder that stands for "/" @throws Error where there is no Debian */
export async function peerPackages(): Promise<string> {
  if (!hasPeerPackages()) {
    throw new Error(
      "Cannot get ejabberd, Prosody and HAProxy: apt-get, dpkg-deb and root are needed",
    );
  }
  if (!/\d/.test(await versions())) await run("apt-get", ["update", "-qq"]);
  const folder = await cached({
    name: "peers",
    about: "ejabberd, Prosody and HAProxy (Debian packages, unpacked)",
    inputs: [PACKAGES.join(" "), await versions()],
    make: async (draft) => {
      const archives = path.join(draft, "archives");
      await mkdir(path.join(archives, "partial"), { recursive: true });
      const quiet = [
        "-y",
        "-qq",
        "--no-install-recommends",
        "--reinstall", // Else what this machine has already would not come.
        "-o",
        `Dir::Cache::archives=${archives}`,
      ];
      const environment = { DEBIAN_FRONTEND: "noninteractive" };
      await run("apt-get", ["install", "--download-only", ...quiet, ...PACKAGES], { environment });
      for (const name of await readdir(archives)) {
        if (name.endsWith(".deb")) await run("dpkg-deb", ["-x", path.join(archives, name), draft]);
      }
      await rm(archives, { recursive: true });
    },
  });
  return folder;
}

/** The version that a Debian package in the unpacked folder has. */
export async function packageVersion(name: "ejabberd" | "prosody" | "haproxy"): Promise<string> {
  const output = await run("apt-cache", ["policy", name]);
  return /Candidate: (?:\d+:)?([\d.]+)/.exec(output)?.[1] ?? "unknown";
}

/** Where Debian puts this machine's libraries: "x86_64-linux-gnu". */
export async function libraryFolder(root: string): Promise<string> {
  const libraries = path.join(root, "usr", "lib");
  const found = (await readdir(libraries)).find((name) => name.endsWith("-linux-gnu"));
  if (found === undefined)
    throw new Error(`Cannot find the libraries of the peers in ${libraries}`);
  return path.join(libraries, found);
}
