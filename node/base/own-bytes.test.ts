import { expect, test } from "vitest";
import { ownBytes } from "./own-bytes.ts";

test("a piece of a larger buffer is copied into one of its own size", () => {
  const piece = Buffer.from("a <presence/> b").subarray(2, 13);
  const own = ownBytes(piece);
  expect(own.toString()).toBe("<presence/>");
  expect(own.buffer.byteLength).toBe(own.length);
});

test("what has its own memory already stays as it is", () => {
  const own = ownBytes(Buffer.from("<presence/>"));
  expect(ownBytes(own)).toBe(own);
});
