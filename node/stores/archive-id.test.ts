import fc from "fast-check";
import { expect, test } from "vitest";
import {
  ArchiveIds,
  archiveId,
  boundMs,
  END_ID,
  FIRST_ID,
  idAfter,
  idFrom,
  timeOf,
} from "./archive-id.ts";

const moments = fc.integer({ min: 0, max: 4_102_444_800_000 });

test("a name tells its time, and names of later moments sort behind", () => {
  fc.assert(
    fc.property(moments, moments, fc.nat(46_655), fc.nat(46_655), (one, other, first, second) => {
      const [a, b] = [archiveId(one, first, "a"), archiveId(other, second, "b")];
      expect(timeOf(a)).toBe(one);
      if (one !== other) expect(a < b).toBe(one < other);
      else if (first !== second) expect(a < b).toBe(first < second);
      expect(a >= idFrom(one) && a < idFrom(one + 1)).toBe(true);
      expect(a > FIRST_ID && a < idAfter(a) && a < END_ID).toBe(true);
    }),
  );
});

test("names of one node only grow, however the clock stands and however many there are", () => {
  const ids = new ArchiveIds();
  let last = "";
  for (const nowMs of [5, 5, 7, 6, 5, 8, ...Array<number>(50_000).fill(8), 9, 12]) {
    const id = ids.next(nowMs, "same");
    expect(id > last).toBe(true);
    last = id;
  }
});

test("the ends of ranges tell their time, open ones have none", () => {
  const id = archiveId(1_700_000_000_000, 7, "a");
  for (const bound of [id, idAfter(id), idFrom(1_700_000_000_000)]) {
    expect(boundMs(bound)).toBe(1_700_000_000_000);
  }
  for (const bound of [FIRST_ID, END_ID]) expect(boundMs(bound)).toBeUndefined();
});

test("what is no name of ours has no time", () => {
  for (const id of ["", "28482-98726-73623", "000000000000", "~", archiveId(5, 0, "a").slice(1)]) {
    expect(timeOf(id)).toBeUndefined();
  }
});
