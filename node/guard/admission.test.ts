import { expect, test } from "vitest";
import type { Urgency } from "./admission.ts";
import { Admission } from "./admission.ts";

const LIMITS = { placesMax: 2, passwordPlacesMax: 1, waitingMax: 4 };

/** Steps that last until they are told to end. */
function open(limits = LIMITS) {
  const admission = new Admission(limits);
  const served: string[] = [];
  const ends = new Map<string, () => void>();
  const enter = (name: string, urgency: Urgency) => {
    const step = () => {
      served.push(name);
      return new Promise<void>((resolve) => {
        ends.set(name, resolve);
      });
    };
    void admission.run(urgency, step, () => void served.push(`no ${name}`));
  };
  const settle = () => new Promise((resolve) => setImmediate(resolve));
  const end = async (name: string) => {
    ends.get(name)?.();
    await settle();
  };
  return { admission, served, enter, end, settle };
}

test("while there are places everybody is served at once", async () => {
  const { served, enter, admission } = open();
  enter("a", "challenge");
  enter("b", "password");
  await Promise.resolve();
  expect(served).toEqual(["a", "b"]);
  expect(admission.waiting).toBe(0);
});

test("who waits is served by urgency, and in its line by arrival", async () => {
  const { served, enter, end } = open();
  enter("a", "answer");
  enter("b", "answer");
  enter("password", "password");
  enter("challenge 1", "challenge");
  enter("challenge 2", "challenge");
  enter("resumption", "resumption");
  for (const name of ["a", "b", "resumption", "challenge 1", "challenge 2"]) await end(name);
  expect(served).toEqual(["a", "b", "resumption", "challenge 1", "challenge 2", "password"]);
});

test("passwords leave places to others", async () => {
  const { served, enter, end, admission } = open();
  enter("first", "password");
  enter("second", "password");
  enter("token", "token");
  await Promise.resolve();
  expect(served).toEqual(["first", "token"]);
  expect(admission.waiting).toBe(1);
  await end("token");
  expect(served).toEqual(["first", "token"]);
  await end("first");
  expect(served).toEqual(["first", "token", "second"]);
});

test("when the lines are full the least urgent goes, and who came last of these first", async () => {
  const { served, enter, end, admission, settle } = open();
  enter("a", "answer");
  enter("b", "answer");
  for (const name of ["p1", "p2", "p3"]) enter(name, "password");
  enter("c1", "challenge");
  enter("p4", "password");
  await settle();
  expect(served.slice(2)).toEqual(["no p4"]);
  enter("t1", "token");
  enter("c2", "challenge");
  await settle();
  expect(served.slice(3)).toEqual(["no p3", "no p2"]);
  enter("r1", "resumption");
  enter("t2", "token");
  enter("c3", "challenge");
  await settle();
  expect(served.slice(5)).toEqual(["no c3", "no p1", "no c2"]);
  expect(admission.waiting).toBe(4);
  expect(admission.shed("password")).toBe(4);
  expect(admission.shed("challenge")).toBe(2);
  expect(admission.shed("token")).toBe(0);
  for (const name of ["a", "b", "r1", "t1", "t2", "c1"]) await end(name);
  expect(served.slice(8)).toEqual(["r1", "t1", "t2", "c1"]);
  expect(admission.waiting).toBe(0);
});

test("a step that fails gives its place to the next", async () => {
  const admission = new Admission({ placesMax: 1, passwordPlacesMax: 1, waitingMax: 4 });
  const done: string[] = [];
  const run = (urgency: Urgency, name: string) =>
    admission.run(
      urgency,
      () => void done.push(name),
      () => void done.push(`no ${name}`),
    );
  const failing = admission.run(
    "token",
    () => Promise.reject(new Error("away")),
    () => void done.push("no token"),
  );
  const next = run("password", "served");
  await expect(failing).rejects.toThrow("away");
  await next;
  await run("password", "again");
  expect(done).toEqual(["served", "again"]);
});
