import { expect, test } from "vitest";
import { Lanes } from "./lanes.ts";

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
