import { expect, test } from "vitest";
import { Book } from "./book.ts";
import { RouteCache } from "./cache.ts";
import { makeRoute } from "./testing/records.ts";

const USER = "juliet@example.com";
const ours = makeRoute({ node: "self", resource: "desk", session: "d" });
const theirs = makeRoute({ node: "other", resource: "phone", session: "p" });

test("the cache takes newer news and refuses older ones, also of nobody", () => {
  const cache = new RouteCache(10);
  cache.learn(USER, { revision: 5, routes: [theirs] });
  expect(cache.learn(USER, { revision: 4, routes: [] }).revision).toBe(5);
  expect(cache.get(USER)?.routes).toEqual([theirs]);
  cache.learn(USER, { revision: 6, routes: [] });
  expect(cache.get(USER)).toBeUndefined();
  expect(cache.learn(USER, { revision: 5, routes: [theirs] }).routes).toEqual([]);
  expect(cache.get(USER)).toBeUndefined();
});

test("a dead node's routes leave the cache; what stays is still found", () => {
  const cache = new RouteCache(10);
  cache.learn(USER, { revision: 5, routes: [theirs, ours] });
  cache.learn("romeo@example.com", { revision: 5, routes: [theirs] });
  cache.dropNode("other", 6);
  expect(cache.get(USER)?.routes).toEqual([ours]);
  expect(cache.get("romeo@example.com")).toBeUndefined();
  // A late notice from before the death does not bring it back.
  cache.learn(USER, { revision: 5, routes: [theirs, ours] });
  expect(cache.get(USER)?.routes).toEqual([ours]);
});

test("what was read after a node's routes went is not forgotten with them: it has come back", () => {
  const cache = new RouteCache(10);
  const back = { revision: 7, routes: [theirs, ours] };
  cache.learn(USER, back);
  cache.dropNode("other", 6);
  expect(cache.get(USER)).toEqual(back);
  const book = new Book();
  book.add(ours, 1);
  book.learn(USER, back);
  book.dropNode("other", 6);
  expect(book.known(USER)).toEqual(back);
});

test("the death of a node means one look at each user that is remembered", () => {
  const users = Array.from({ length: 1_000 }, (_, at) => `user${at}@example.com`);
  const cache = new RouteCache(users.length);
  let looks = 0;
  const isTheirs = (at: number) => at % 5 === 0;
  for (const [at, user] of users.entries()) {
    const routes = [isTheirs(at) ? theirs : ours];
    const revision = () => {
      looks += 1;
      return 5;
    };
    cache.learn(
      user,
      Object.defineProperty({ revision: 5, routes }, "revision", { get: revision }),
    );
  }
  cache.dropNode("other", 6);
  expect(looks).toBeLessThan(2 * users.length);
  expect(users.every((user, at) => (cache.get(user) === undefined) === isTheirs(at))).toBe(true);
});

test("what is in doubt is kept, and is not all until it is read again", () => {
  const cache = new RouteCache(10);
  cache.learn(USER, { revision: 5, routes: [theirs] });
  cache.doubtAll();
  const doubtful = { revision: 5, routes: [theirs], isPartial: true };
  expect(cache.learn(USER, { revision: 5, routes: [theirs] })).toEqual(doubtful);
  expect(
    cache.learn(USER, { revision: 5, routes: [theirs, ours] }, true).isPartial,
  ).toBeUndefined();
});

test("users with many routes count for more, so that the cache stays bounded", () => {
  const cache = new RouteCache(100);
  const routes = Array.from({ length: 99 }, (_, n) => makeRoute({ resource: `r${n}` }));
  for (let user = 0; user < 50; user += 1) cache.learn(`user${user}`, { revision: 1, routes });
  expect(cache.size).toBe(4);
});

test("the book finds out which of our routes a newer set has lost", () => {
  const book = new Book();
  book.add(ours, 10);
  expect(book.learn(USER, { revision: 10, routes: [ours] })).toEqual([]);
  expect(book.learn(USER, { revision: 9, routes: [] })).toEqual([]);
  expect(book.known(USER)?.revision).toBe(10);
  expect(book.learn(USER, { revision: 11, routes: [theirs] })).toEqual([ours]);
  book.unpublish(); // What is on no lease cannot be missing.
  expect(book.learn(USER, { revision: 12, routes: [theirs] })).toEqual([]);
  // But what another has by now is lost.
  const another = { ...ours, node: "other", session: "another" };
  expect(book.learn(USER, { revision: 13, routes: [another] })).toEqual([ours]);
});

test("the book keeps a user's set until the last session here is gone", () => {
  const book = new Book();
  const second = { ...ours, resource: "balcony", session: "b" };
  book.add(ours, 1);
  book.add(second, 2);
  book.learn(USER, { revision: 2, routes: [ours, second, theirs] });
  expect(book.remove({ ...ours, session: "another" })).toBeUndefined();
  expect(book.remove(ours)).toBeUndefined();
  book.dropNode("other", 3);
  expect(book.known(USER)?.routes).toEqual([ours, second]);
  expect(book.remove(second)?.revision).toBe(2);
  expect(book.known(USER)).toBeUndefined();
});

test("of two sets of one revision the complete one counts, which has what is not in etcd", () => {
  const [cache, book] = [new RouteCache(10), new Book()];
  book.add(ours, 9);
  for (const one of [cache, book]) {
    one.learn(USER, { revision: 9, routes: [ours] });
    one.learn(USER, { revision: 9, routes: [ours, theirs] }, true);
    one.learn(USER, { revision: 9, routes: [ours] });
  }
  for (const one of [cache.get(USER), book.known(USER)])
    expect(one?.routes).toEqual([ours, theirs]);
});
