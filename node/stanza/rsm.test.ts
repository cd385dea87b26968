import { describe, expect, test } from "vitest";
import { parseElement } from "../xml/parser.ts";
import type { StanzaError } from "./error.ts";
import { pageOf, readPageRequest, setElement } from "./rsm.ts";

const ALL = ["a", "b", "c", "d", "e"];
const same = (id: string) => id;
const request = (content: string) =>
  readPageRequest(
    parseElement(Buffer.from(`<set xmlns='http://jabber.org/protocol/rsm'>${content}</set>`)),
  );
const page = (content: string, most = 100) => pageOf(ALL, same, request(content), most);

describe("the pages of XEP-0059", () => {
  test.each([
    ["", "abcde", 0],
    ["<max>2</max>", "ab", 0],
    ["<max>2</max><after>b</after>", "cd", 2],
    ["<max>2</max><after>e</after>", "", 5],
    ["<max>2</max><before/>", "de", 3],
    ["<max>2</max><before>d</before>", "bc", 1],
    ["<max>9</max><before>c</before>", "ab", 0],
    ["<max>2</max><index>3</index>", "de", 3],
    ["<max>2</max><index>9</index>", "", 5],
    ["<max>0</max>", "", 0],
  ])("%s gives %s", (content, items, index) => {
    expect(page(content)).toEqual({ items: [...items], index, count: 5 });
  });

  test("a page has no more than the service allows", () => {
    expect(page("<max>100</max>", 3).items).toEqual(["a", "b", "c"]);
    expect(page("<before/>", 3).items).toEqual(["c", "d", "e"]);
  });
});

describe("what is refused", () => {
  test.each([
    ["<after>z</after>", "item-not-found"],
    ["<before>z</before>", "item-not-found"],
    ["<max>many</max>", "bad-request"],
    ["<max>-1</max>", "bad-request"],
    ["<max/>", "bad-request"],
    ["<index>x</index>", "bad-request"],
  ])("%s: %s", (content, condition) => {
    expect(() => page(content)).toThrow(
      expect.objectContaining<Partial<StanzaError>>({ condition: condition as "bad-request" }),
    );
  });
});

test("a page says where it begins and ends, and an empty one only how many there are", () => {
  expect(setElement(page("<max>2</max><after>a</after>"), same).toString()).toBe(
    '<set xmlns="http://jabber.org/protocol/rsm"><first index="1">b</first><last>c</last><count>5</count></set>',
  );
  expect(setElement(page("<max>0</max>"), same).toString()).toBe(
    '<set xmlns="http://jabber.org/protocol/rsm"><count>5</count></set>',
  );
});
