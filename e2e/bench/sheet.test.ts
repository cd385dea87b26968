import { expect, test } from "vitest";
import { rounded } from "./sheet.ts";

test("a figure has three digits that mean something, and no zeros behind", () => {
  const figures = [0.03981, 0.5, 7.604, 99.96, 100.4, 1234.5, 0, Number.NaN];
  expect(figures.map(rounded)).toEqual(["0.0398", "0.5", "7.6", "100", "100", "1235", "0", "–"]);
});
