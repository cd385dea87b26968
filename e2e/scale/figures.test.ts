import { expect, test } from "vitest";
import { Figures, withSection } from "./figures.ts";

test("rows and columns stand in the order in which their first figures came", () => {
  const figures = new Figures();
  figures.put("Login, CPU ms", "zonda", 1.2345);
  figures.putTimes("Login", "ejabberd", Float64Array.from([1, 2, 3, 4]), [0.5, 1]);
  figures.seeOthers(-0.01);
  figures.seeOthers(0.25);
  figures.note("3 logins failed");
  expect(figures.section("`a`").split("\n")).toEqual([
    "Measured by `a`.",
    "Other work used 0 to 25 % of the machine.",
    "",
    "| what | zonda | ejabberd |",
    "| --- | ---: | ---: |",
    "| Login, CPU ms | 1.23 | – |",
    "| Login, p50, ms | – | 3 |",
    "| Login, the last, ms | – | 4 |",
    "",
    "- 3 logins failed",
  ]);
});

test("a section takes the place of its last one, and of nothing else", () => {
  const page = "a\n<!-- figures of x -->\nold\n<!-- end of x -->\nb\n";
  const next = withSection(page, "x", "new");
  expect(next).toBe("a\n<!-- figures of x -->\nnew\n<!-- end of x -->\nb\n");
  expect(withSection(next, "x", "old")).toBe(page);
  expect(() => withSection(page, "y", "new")).toThrow("Cannot write y: the page lacks");
});
