import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import { Wakes } from "./wakes.ts";

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("who could not be told because of a dead node is told as soon as that is down", async () => {
  let isThere = true;
  const told: string[] = [];
  const wake = async (user: string) => {
    if (isThere) throw new Unavailable("mesh-down", "Cannot reach node: it is dead");
    told.push(user);
    return true;
  };
  const wakes = new Wakes({
    clock: new FakeClock(),
    log: silentLog,
    wake,
    shadows: () => undefined,
  });
  const users = Array.from({ length: 120 }, (_, index) => `user-${index}`);
  await Promise.all(users.map((user) => wakes.tell(user)));
  expect(wakes.isWaiting("user-0")).toBe(true);
  expect(wakes.size).toBe(120);
  isThere = false;
  wakes.nodeDown();
  await turn();
  expect(told.toSorted()).toEqual(users.toSorted());
  expect(wakes.size).toBe(0);
});
