import { expect, test } from "vitest";
import { Book } from "./book.ts";
import type { Route } from "./contract.ts";

const JULIET = "juliet@capulet.example";
const route = (resource: string, node: string, session = `${resource}1`): Route => ({
  ...{ user: JULIET, resource, node, session },
  ...{ available: true, priority: 0 },
});

test("what a node without a lease reads of its users is completed with what it holds itself", () => {
  const book = new Book();
  const [desk, phone, tablet] = [route("desk", "a"), route("phone", "a"), route("tablet", "b")];
  book.add(desk, 1);
  book.add(phone, 2);
  book.learn(JULIET, { revision: 2, routes: [desk, phone] });
  book.unpublish();
  expect(book.learn(JULIET, { revision: 3, routes: [tablet] }, true)).toEqual([]);
  expect(book.known(JULIET)).toEqual({ revision: 3, routes: [tablet, desk, phone] });
});

test("what another node has by then is not this one's, and what was in etcd and is gone is lost", () => {
  const book = new Book();
  const [desk, phone] = [route("desk", "a"), route("phone", "a")];
  const theirs = route("desk", "b", "desk2");
  book.add(desk, 1);
  book.add(phone, 2);
  book.unpublish();
  expect(book.learn(JULIET, { revision: 3, routes: [theirs] }, true)).toEqual([desk]);
  expect(book.known(JULIET)?.routes).toEqual([theirs, phone]);
  book.add(phone, 4);
  expect(book.learn(JULIET, { revision: 5, routes: [theirs] })).toEqual([desk, phone]);
});
