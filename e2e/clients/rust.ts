/** The client in rust/, compiled once for each change of it and kept in the cache. */
import { readFileSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import path from "node:path";
import { cached } from "../harness/cache.ts";
import { run } from "../harness/run.ts";
import type { Tool } from "../harness/tools.ts";
import { find, requireTools } from "../harness/tools.ts";

/** Debian's newer one: its package "cargo" is too old for the crates. */
const CARGO: Tool = {
  command: "cargo",
  debian: "cargo-web",
  advice: "install Rust 1.85 or newer from https://rustup.rs (Debian: apt-get install cargo-web)",
};

const PROGRAM = "strict-client";
const FOLDER = path.join(import.meta.dirname, "rust");
const FILES = [
  ...["Cargo.toml", "Cargo.lock", "src/main.rs", "src/person.rs", "src/strict.rs"],
  ...["src/faults.rs", "src/line.rs"],
];
const HOUR_MS = 3_600_000;

/** @returns the path of the program */
export async function strictClient(): Promise<string> {
  const folder = await cached({
    name: PROGRAM,
    about: "the client of tokio-xmpp (about 2 minutes the first time)",
    inputs: FILES.map((file) => readFileSync(path.join(FOLDER, file))),
    make: async (draft) => {
      await requireTools([CARGO]);
      const target = path.join(draft, "target");
      const words = ["build", "--release", "--locked", "--quiet", "--target-dir", target];
      await run(find(CARGO.command) ?? CARGO.command, words, {
        directory: FOLDER,
        timeoutMs: HOUR_MS,
      });
      await rename(path.join(target, "release", PROGRAM), path.join(draft, PROGRAM));
      await rm(target, { recursive: true });
    },
  });
  return path.join(folder, PROGRAM);
}
