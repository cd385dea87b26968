import { mkdtemp, readdir, readFile, rm, utimes, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, expect, test, vi } from "vitest";
import type { Build } from "./cache.ts";
import { cached, folderOf, keyOf } from "./cache.ts";
import { cacheRoot } from "./cache-root.ts";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(path.join(tmpdir(), "zonda-cache-test-"));
  vi.stubEnv("ZONDA_CACHE", root);
});
afterEach(async () => {
  vi.unstubAllEnvs();
  await rm(root, { recursive: true });
});

const build = (make: Build["make"], inputs: Build["inputs"] = ["one"]): Build => ({
  name: "thing",
  about: "a thing",
  inputs,
  make,
});

const writing = (text: string) => async (folder: string) =>
  writeFile(path.join(folder, "result"), text);

const resultIn = (folder: string) => readFile(path.join(folder, "result"), "utf8");

test("a build is made once and used again", async () => {
  const first = await cached(build(writing("first")));
  const second = await cached(build(writing("second")));
  expect(second).toBe(first);
  expect(await resultIn(second)).toBe("first");
});

test("a build with another input is another build", async () => {
  await cached(build(writing("first"), ["one"]));
  expect(await resultIn(await cached(build(writing("second"), ["two"])))).toBe("second");
});

test("two who want the same build at once share it", async () => {
  let made = 0;
  const make = async (folder: string) => {
    made++;
    await writing(`made ${made}`)(folder);
  };
  const folders = await Promise.all([cached(build(make)), cached(build(make))]);
  expect(folders[0]).toBe(folders[1]);
  expect(made).toBe(1);
});

test("a build that fails leaves nothing, and is tried again", async () => {
  const failing = build(async (folder) => {
    await writing("half")(folder);
    throw new Error("Cannot build: the disk is full");
  });
  await expect(cached(failing)).rejects.toThrow("the disk is full");
  expect(await readdir(path.join(root, "builds"))).toEqual([]);
  expect(await resultIn(await cached(build(writing("whole"))))).toBe("whole");
});

test("the lock of a process that died is taken over", async () => {
  const lock = path.join(root, `${path.basename(folderOf(build(writing(""))))}.lock`);
  await writeFile(lock, "");
  await utimes(lock, new Date(0), new Date(0));
  expect(await resultIn(await cached(build(writing("after"))))).toBe("after");
});

test("inputs do not run into each other", () => {
  expect(keyOf(["ab", "c"])).not.toBe(keyOf(["a", "bc"]));
  expect(keyOf(["a", ""])).not.toBe(keyOf(["a"]));
  expect(keyOf([Buffer.from("é")])).toBe(keyOf(["é"]));
});

test.each([
  [{ ZONDA_CACHE: "/somewhere" }, "/somewhere"],
  [{ ZONDA_CACHE: "/somewhere", XDG_CACHE_HOME: "/else" }, "/somewhere"],
  [{ ZONDA_CACHE: "", XDG_CACHE_HOME: "/else" }, "/else/zonda"],
])("the cache is where %o says", (environment, expected) => {
  expect(cacheRoot(environment)).toBe(expected);
});
