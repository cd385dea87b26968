import { readFile } from "node:fs/promises";
import path from "node:path";
import { expect, test } from "vitest";
import { CHANGES, changed } from "./changes.ts";

const node = path.join(import.meta.dirname, "..", "..", "node");

test.each([...new Set(CHANGES.map(({ file }) => file))])("%s has a next release", async (file) => {
  const source = await readFile(path.join(node, file), "utf8");
  expect(changed(file, source)).not.toBe(source);
});

test("a change that has no place is said", () => {
  expect(() => changed("software.ts", "nothing")).toThrow(/has "version: .*" 0 times, not once/);
});
