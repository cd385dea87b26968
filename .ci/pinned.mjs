#!/usr/bin/env node
// Runs a TypeScript entry point on the project's own pinned Node, installing dependencies first
// when they are missing or older than the lockfile. Plain JavaScript: any Node from 20 runs it.
import { spawn, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { constants } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";

const root = path.dirname(path.dirname(fileURLToPath(import.meta.url)));
const pinned = path.join(root, "node_modules", ".bin", "node");
const stamp = path.join(root, "node_modules", ".zonda-lock");
const lockHash = createHash("sha256")
  .update(readFileSync(path.join(root, "package-lock.json")))
  .digest("hex");

function installDependencies() {
  const isCurrent = existsSync(stamp) && readFileSync(stamp, "utf8") === lockHash;
  if (isCurrent && existsSync(pinned)) return;
  process.stderr.write("Installing dependencies (npm ci) ...\n");
  const result = spawnSync("npm", ["ci", "--ignore-scripts", "--no-audit", "--no-fund"], {
    cwd: root,
    stdio: ["ignore", 2, 2],
  });
  if (result.status !== 0) {
    process.stderr.write("Cannot install dependencies: npm ci failed, see above\n");
    process.exit(1);
  }
  writeFileSync(stamp, lockHash);
}

function run([entry, ...args]) {
  const child = spawn(pinned, [path.resolve(root, entry), ...args], { stdio: "inherit" });
  // A terminal's Ctrl-C reaches the child by itself; a signal sent to this process alone does not.
  for (const signal of ["SIGTERM", "SIGINT", "SIGHUP"]) {
    process.on(signal, () => {
      if (signal !== "SIGINT" || !process.stdin.isTTY) child.kill(signal);
    });
  }
  child.on("error", (error) => {
    process.stderr.write(`Cannot start the pinned Node: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}

installDependencies();
run(process.argv.slice(2));
