import { expect, it } from "vitest";
import { detach, intern } from "./intern.ts";

it("copies are equal, whatever the characters", () => {
  for (const text of ["", "a", "a".repeat(100), "é☃😀".repeat(10)]) {
    expect(detach(text)).toBe(text);
    expect(intern(text)).toBe(text);
  }
});

it("interning goes on when more names come than the table holds", () => {
  for (let at = 0; at < 10_000; at++) {
    const name = `urn:example:namespace:${at}`;
    expect(intern(name)).toBe(name);
  }
});
