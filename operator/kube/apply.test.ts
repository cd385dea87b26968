import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { compareVersions } from "../loop/versions.ts";
import { AppliedMemory, digest, project } from "./apply.ts";
import type { KubeObject } from "./contract.ts";

/** JSON as objects hold it. `__proto__` is no field of any kind. */
const json = fc
  .jsonValue({ maxDepth: 4 })
  .filter((value) => !JSON.stringify(value).includes("__proto__"));

function object(spec: unknown, uid = "1"): KubeObject {
  return { apiVersion: "v1", kind: "Thing", metadata: { name: "a", uid }, spec };
}

describe("a projection", () => {
  test("of a value on itself is the value", () => {
    fc.assert(
      fc.property(json, (value) => {
        expect(project(value, value)).toEqual(value);
      }),
    );
  });

  test("does not see fields that were not wished for", () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), json), json, (wish, extra) => {
        const live = { ...wish, "added by others": extra };
        expect(digest(project(live, wish))).toBe(digest(project(wish, wish)));
      }),
    );
  });

  test("sees every change of a wished field, also inside lists", () => {
    const wish = { list: [{ name: "a", value: 1 }], map: { x: { y: true } } };
    const lives = [
      { ...wish, list: [{ name: "a", value: 2 }] },
      { ...wish, list: [] },
      { ...wish, list: [{ name: "a", value: 1 }, { name: "b" }] },
      { ...wish, list: "none" },
      { ...wish, map: { x: {} } },
      { ...wish, map: null },
      {},
    ];
    const digests = lives.map((live) => digest(project(live, wish)));
    expect(digests).not.toContain(digest(project(wish, wish)));
    const withDefaults = { ...wish, list: [{ name: "a", value: 1, added: "default" }] };
    expect(digest(project(withDefaults, wish))).toBe(digest(project(wish, wish)));
  });
});

describe("a digest", () => {
  test("does not depend on the order of fields, and skips undefined ones as JSON does", () => {
    expect(digest({ a: 1, b: { c: 2, d: 3 } })).toBe(
      digest({ b: { d: 3, c: 2 }, a: 1, e: undefined }),
    );
    expect(digest([1, 2])).not.toBe(digest([2, 1]));
    expect(digest({ a: null })).not.toBe(digest({}));
    expect(digest({ a: "1" })).not.toBe(digest({ a: 1 }));
  });

  test("is equal exactly for values that are equal as JSON", () => {
    fc.assert(
      fc.property(json, json, (one, two) => {
        const copy: unknown = JSON.parse(JSON.stringify(one));
        expect(digest(copy)).toBe(digest(one));
        const isSame = canonicalJson(one) === canonicalJson(two);
        expect(digest(one) === digest(two)).toBe(isSame);
      }),
    );
  });
});

/** JSON with sorted fields, made in another way than the code under test. */
function canonicalJson(value: unknown): string {
  return JSON.stringify(value, (_name, part: unknown) =>
    typeof part === "object" && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}

describe("the memory of what was applied", () => {
  test("holds while wish, object and fields are the same", () => {
    const memory = new AppliedMemory();
    const wish = object({ cpu: "1000m" });
    const live = object({ cpu: "1", added: true });
    expect(memory.holds("id", wish, live)).toBe(false);
    memory.remember("id", wish, live);
    expect(memory.holds("id", wish, object({ cpu: "1", added: false }))).toBe(true);
    expect(memory.holds("id", wish, object({ cpu: "2" }))).toBe(false);
    expect(memory.holds("id", wish, object({ cpu: "1" }, "2"))).toBe(false);
    expect(memory.holds("id", object({ cpu: "2000m" }), live)).toBe(false);
    expect(memory.isLastWish("other", wish)).toBe(false);
  });

  test("forgets the one applied longest ago when there are too many", () => {
    const memory = new AppliedMemory(2);
    for (const id of ["a", "b", "a", "c"]) memory.remember(id, object(1), object(1));
    const known = ["a", "b", "c"].filter((id) => memory.isLastWish(id, object(1)));
    expect(known).toEqual(["a", "c"]);
  });
});

test("versions compare as numbers of any length, and others not at all", () => {
  const version = fc.bigInt({ min: 0n, max: 10n ** 30n });
  fc.assert(
    fc.property(version, version, (a, b) => {
      const wanted = a < b ? -1 : a > b ? 1 : 0;
      expect(Math.sign(compareVersions(String(a), String(b)) ?? Number.NaN)).toBe(wanted);
    }),
  );
  expect(compareVersions("", "1")).toBeUndefined();
  expect(compareVersions("abc", "1")).toBeUndefined();
  expect(compareVersions("01", "1")).toBeUndefined();
});
