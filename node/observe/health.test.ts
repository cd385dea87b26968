import { expect, test } from "vitest";
import { Health } from "./health.ts";

test("a node is not ready before it started and again once it drains", async () => {
  const health = new Health([]);
  expect((await health.verdict()).isReady).toBe(false);
  health.hold(undefined);
  expect((await health.verdict()).isReady).toBe(true);
  health.hold("draining");
  expect(await health.verdict()).toEqual({ isReady: false, lines: ["node: draining"] });
});

test("one failing part makes the node not ready and is named", async () => {
  const health = new Health([
    { name: "store", check: () => {} },
    { name: "routes", check: () => Promise.reject(new Error("no lease")) },
    {
      name: "mesh",
      check() {
        throw new Error("closed");
      },
    },
  ]);
  health.hold(undefined);
  expect(await health.verdict()).toEqual({
    isReady: false,
    lines: ["store: ok", "routes: no lease", "mesh: closed"],
  });
});
