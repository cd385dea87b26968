import { expect, test } from "vitest";
import { Standing } from "./standing.ts";

test("nobody goes through all nodes because one has joined, while none is without a lease", () => {
  let looks = 0;
  const standing = new Standing({
    ...{ ask: async () => {}, renounce: async () => {}, sendNow: async () => {} },
    ...{ after() {}, nowMs: () => 0, onUsable() {}, leave: () => {} },
    isThere: () => {
      looks += 1;
      return true;
    },
  });
  standing.up("b");
  expect(looks).toBe(0);
  standing.lapsed("c");
  expect(looks).toBe(1);
});
