import { expect, test } from "vitest";
import { productionManifests } from "./dependencies.ts";

const MANIFEST = {
  name: "thing",
  dependencies: { used: "1.0.0" },
  devDependencies: { tool: "1.0.0" },
  optionalDependencies: { runtime: "1.0.0" },
};
const LOCKFILE = {
  lockfileVersion: 3,
  packages: {
    "": MANIFEST,
    "node_modules/used": { version: "1.0.0", integrity: "sha512-x" },
    "node_modules/tool": { version: "1.0.0", dev: true },
    "node_modules/tool/node_modules/part": { version: "1.0.0", dev: true, optional: true },
    "node_modules/runtime": { version: "1.0.0", optional: true },
  },
};

test("images get what runs, with its integrity, and nothing else", () => {
  const texts = productionManifests(JSON.stringify(MANIFEST), JSON.stringify(LOCKFILE));
  const [manifest, lockfile] = texts.map((text) => JSON.parse(text));
  const stripped = { ...MANIFEST, devDependencies: {}, optionalDependencies: {} };
  expect(manifest).toEqual(stripped);
  expect(lockfile).toEqual({
    lockfileVersion: 3,
    packages: { "": stripped, "node_modules/used": LOCKFILE.packages["node_modules/used"] },
  });
});
