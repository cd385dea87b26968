import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { LATE_MS, LateAnswers } from "./late-answers.ts";

function bench() {
  const clock = new FakeClock();
  const late = new LateAnswers(clock);
  const gone: string[] = [];
  const wait = (node: string, what: string) => void late.wait(node).then(() => gone.push(what));
  const turn = () => new Promise((resolve) => setImmediate(resolve));
  return { clock, late, gone, wait, turn };
}

test("answers that nobody waits for go with the next one to the same node", async () => {
  const { late, gone, wait, turn } = bench();
  wait("a", "first");
  wait("a", "second");
  wait("b", "third");
  late.goes("a");
  await turn();
  expect(gone).toEqual(["first", "second"]);
});

test("where there is no other answer, they go after a while", async () => {
  const { clock, late, gone, wait, turn } = bench();
  wait("a", "first");
  late.goes("a");
  wait("a", "second");
  await turn();
  expect(gone).toEqual(["first"]);
  clock.advance(LATE_MS);
  await turn();
  expect(gone).toEqual(["first", "second"]);
});
