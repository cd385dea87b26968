import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import { Siblings } from "./siblings.ts";

const SET = { revision: 1, routes: [] };

/** @param notice what comes of the other way */
function open(notice: () => Promise<void>) {
  const clock = new FakeClock();
  const tried: string[] = [];
  const notify = (node: string, user: string) => {
    tried.push(`${node} ${user}`);
    return Promise.reject(new Error("no link"));
  };
  const noticed: string[] = [];
  const other = (node: string, user: string) => {
    noticed.push(`${node} ${user}`);
    return notice();
  };
  return { clock, tried, noticed, siblings: new Siblings(notify, other, clock, silentLog) };
}
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

test("who cannot be told is told another way at once, and again the same way until it has heard", async () => {
  const { clock, tried, noticed, siblings } = open(async () => undefined);
  await siblings.tell(["one"], "juliet", SET);
  expect(noticed).toEqual(["one juliet"]);
  clock.advance(1_000);
  await turn();
  expect(tried).toEqual(["one juliet", "one juliet"]);
  expect(noticed).toEqual(["one juliet"]);
  siblings.close();
});

test("whoever tells does not fail when there is no other way", async () => {
  const { clock, tried, siblings } = open(() => Promise.reject(new Error("no etcd")));
  await siblings.tell(["one"], "juliet", SET);
  clock.advance(1_000);
  await turn();
  expect(tried).toHaveLength(2);
  siblings.close();
});
