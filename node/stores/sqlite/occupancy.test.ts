import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { ConfigError } from "../../base/errors.ts";
import { openConnection } from "./connection.ts";
import { occupy } from "./occupancy.ts";

let directory = "";
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "zonda-occupancy-"));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

test("a directory has one node at a time, and its lock is its owner's alone", async () => {
  const first = occupy(directory);
  expect(() => occupy(directory)).toThrow(ConfigError);
  expect(() => occupy(directory)).toThrow(`another node serves what is in ${directory}`);
  const { mode } = await stat(path.join(directory, "serving.lock"));
  expect(mode & 0o777).toBe(0o600);
  first[Symbol.dispose]();
  occupy(directory)[Symbol.dispose]();
});

test("who only changes the store need not wait", async () => {
  using _ = occupy(directory);
  const connection = await openConnection(directory);
  connection.close();
});

test("a process that was killed has it no more", async () => {
  const module = new URL("occupancy.ts", import.meta.url).href;
  const script = `import(${JSON.stringify(module)}).then(({ occupy }) => {
    globalThis.held = occupy(${JSON.stringify(directory)});
    console.log("held");
    setInterval(() => {}, 1000);
  })`;
  const other = spawn(process.execPath, ["--eval", script], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  await once(other.stdout, "data");
  expect(() => occupy(directory)).toThrow(ConfigError);
  other.kill("SIGKILL");
  await once(other, "exit");
  occupy(directory)[Symbol.dispose]();
});
