import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, expect, test } from "vitest";

const CLI = path.join(import.meta.dirname, "..", "cli.ts");

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "zonda-serve-"));
});
afterEach(() => rm(folder, { recursive: true }));

const serve = (...sets: readonly string[]) =>
  spawn(process.execPath, [CLI, "serve", ...sets.flatMap((set) => ["--set", set])]);

test("a node waits for a store that is not there yet, and asks it again", async () => {
  const child = serve(
    "store.engine=cassandra",
    "store.cassandra.contactPoints=127.0.0.1:1",
    `data=${folder}`,
  );
  const ended = once(child, "exit");
  let refusals = 0;
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.includes("not available yet")) refusals += 1;
    if (refusals === 2) break;
  }
  child.kill();
  await ended;
  expect(refusals).toBe(2);
});

test("a data directory that cannot be made is said in one line", async () => {
  const file = path.join(folder, "file");
  await writeFile(file, "");
  const child = serve(`data=${file}`, "c2s.port=0", "http.port=0");
  let said = "";
  child.stderr.on("data", (chunk: Buffer) => {
    said += chunk.toString();
  });
  const [code] = await once(child, "close");
  expect(said).toMatch(/^zonda: Cannot use data: .*EEXIST.*\n$/);
  expect(code).toBe(1);
});
