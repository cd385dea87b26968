import { expect, test } from "vitest";
import { Standing } from "./standing.ts";

const NOTES_LAST_MS = 3_000;

test("nobody goes through all nodes because one has joined, while none is without a lease", () => {
  let looks = 0;
  const standing = new Standing({
    ...{ ask: async () => {}, renounce: async () => true, sendNow: async () => {} },
    ...{ after() {}, nowMs: () => 0, onUsable() {}, leave: () => {} },
    notesLastMs: NOTES_LAST_MS,
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

test("a node that is dead for so long that it has no copies any more is forgotten, and no term comes again", () => {
  let nowMs = 0;
  const standing = new Standing({
    ...{ ask: async () => {}, renounce: async () => true, sendNow: async () => {} },
    ...{ after() {}, nowMs: () => nowMs, onUsable() {}, leave: () => {}, isThere: () => true },
    notesLastMs: NOTES_LAST_MS,
  });
  for (const node of ["a", "b", "living"]) standing.told(node);
  standing.down("a");
  nowMs = NOTES_LAST_MS - 1;
  standing.down("b");
  expect(standing.isUsable("a")).toBe(false);
  nowMs = NOTES_LAST_MS;
  standing.down("c");
  expect(["a", "b", "c"].map((node) => standing.isUsable(node))).toEqual([true, false, false]);
  expect(["a", "new", "living"].map((node) => standing.termOf(node))).toEqual([2, 2, 1]);
});
