import { expect, test } from "vitest";
import type { Follower, Way } from "./lanes.ts";
import { Lanes } from "./lanes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
const pending = () => Promise.withResolvers<void>();

test("a free lane runs its task at once and makes no promise", () => {
  const lanes = new Lanes(2);
  let ran = false;
  expect(
    lanes.run("romeo", "a", () => {
      ran = true;
    }),
  ).toBeUndefined();
  expect(ran).toBe(true);
  expect(lanes.tasks).toBe(0);
});

test("tasks of one lane run one after another, those of others meanwhile", async () => {
  const lanes = new Lanes(10);
  const done: string[] = [];
  const first = pending();
  const one = lanes.run("romeo", "a", () => first.promise.then(() => void done.push("a1")));
  const two = lanes.run("romeo", "a", () => void done.push("a2"));
  lanes.run("romeo", "b", () => void done.push("b1"));
  expect(lanes.tasks).toBe(2);
  first.resolve();
  await Promise.all([one, two]);
  expect(done).toEqual(["b1", "a1", "a2"]);
  expect(lanes.tasks).toBe(0);
});

test("a task that fails tells its caller and does not stop the lane", async () => {
  const lanes = new Lanes(10);
  const first = lanes.run("romeo", "a", () => Promise.reject(new Error("first")));
  let ran = false;
  const second = lanes.run("romeo", "a", () => {
    ran = true;
  });
  await expect(first).rejects.toThrow("first");
  await second;
  expect(ran).toBe(true);
  expect(() =>
    lanes.run("romeo", "a", () => {
      throw new Error("at once");
    }),
  ).toThrow("at once");
  expect(lanes.tasks).toBe(0);
});

test("a lane says when it is full, and is free again afterwards", async () => {
  const lanes = new Lanes(2);
  const first = pending();
  const all = [lanes.run("romeo", "a", () => first.promise), lanes.run("romeo", "a", () => {})];
  expect(lanes.isFull("romeo", "a")).toBe(true);
  expect(lanes.isFull("romeo", "b")).toBe(false);
  first.resolve();
  await Promise.all(all);
  expect(lanes.isFull("romeo", "a")).toBe(false);
});

const ROUTE = {
  user: "juliet@example.org",
  resource: "balcony",
  node: "two",
  session: "juliet's",
  available: true,
  priority: 0,
};
const SET = { revision: 1, routes: [ROUTE] };

/** One that follows what was sent just before it; its work is done when the test says. */
function follower(count: number) {
  const work = pending();
  const seen = { begun: 0, asked: 0, ahead: undefined as Promise<void> | undefined };
  const way: Way = { route: ROUTE, set: SET, origin: { session: "romeo's", count } };
  const follows: Follower = {
    way: undefined,
    mayFollow: ({ origin: before }) => {
      seen.asked += 1;
      return before.count === count - 1;
    },
  };
  const task = (ahead?: Promise<void>) => {
    follows.way = way;
    seen.begun += 1;
    seen.ahead = ahead;
    return work.promise;
  };
  const run = (lanes: Lanes) => lanes.run("romeo", "a", task, follows);
  return { run, seen, done: work.resolve };
}

test("what goes the same way begins before the one ahead of it is done", async () => {
  const lanes = new Lanes(10);
  const [one, two, four] = [follower(1), follower(2), follower(4)];
  const begun = () => [one, two, four].map(({ seen }) => seen.begun);
  const all = [one, two, four].map(({ run }) => run(lanes));
  let isLastBegun = false;
  all.push(
    lanes.run("romeo", "a", () => {
      isLastBegun = true;
    }),
  );
  expect(begun()).toEqual([1, 1, 0]);
  expect([one.seen.ahead, two.seen.ahead === undefined]).toEqual([undefined, false]);
  expect(lanes.tasks).toBe(4);
  two.done();
  await turn();
  expect(begun()).toEqual([1, 1, 0]);
  one.done();
  await two.seen.ahead;
  await turn();
  expect(begun()).toEqual([1, 1, 1]);
  expect([four.seen.asked, four.seen.ahead]).toEqual([1, undefined]);
  expect(isLastBegun).toBe(false);
  four.done();
  await Promise.all(all);
  expect([isLastBegun, lanes.tasks, lanes.isIdle("romeo")]).toEqual([true, 0, true]);
});

test("who follows two others waits for both", async () => {
  const lanes = new Lanes(10);
  const [one, two, three] = [follower(1), follower(2), follower(3)];
  const all = [one, two, three].map(({ run }) => run(lanes));
  let isAlone = false;
  void three.seen.ahead?.then(() => {
    isAlone = true;
  });
  two.done();
  await turn();
  expect(isAlone).toBe(false);
  one.done();
  await turn();
  expect(isAlone).toBe(true);
  three.done();
  await Promise.all(all);
});

test("a lane has only some on their way at once: others need the link, too", async () => {
  const lanes = new Lanes(100);
  const some = Array.from({ length: 40 }, (_, at) => follower(at + 1));
  const all = some.map(({ run }) => run(lanes));
  const begun = () => some.filter(({ seen }) => seen.begun > 0).length;
  expect(begun()).toBe(16);
  some[0]?.done();
  await turn();
  expect(begun()).toBe(17);
  for (const { done } of some) done();
  await Promise.all(all);
  expect(begun()).toBe(40);
});
