import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { KeptAnswer } from "./keeping.ts";
import type { SuccessionParts } from "./succession.ts";
import { Succession } from "./succession.ts";

/** @param answers of the other nodes, to whom it is all the same which session it is */
function asking(answers: Readonly<Record<string, KeptAnswer>>, hasDead = false): Succession {
  const nodes = Object.keys(answers).map((incarnation) => [incarnation, { incarnation, zone: "" }]);
  const succession = new Succession({
    ...{ clock: new FakeClock(), log: silentLog, zone: "", mesh: {} },
    adopt: () => Promise.resolve("never"),
    routes: { nodes: new Map(nodes as never) },
    passedOver: { begin() {}, listen() {}, hasDead },
  } as unknown as SuccessionParts);
  succession.moves.isAt = async (node) => answers[node] ?? "gone";
  return succession;
}

test("who takes a session over has the last word, whatever its own shadow has of it by then", async () => {
  const answers: Record<string, KeptAnswer> = { a: "perhaps", b: "perhaps", c: "perhaps" };
  for (const node of ["a", "b", "c"]) {
    const succession = asking({ ...answers, [node]: "kept" });
    expect(await succession.isKept("juliet@localhost", "s")).toBe("kept");
  }
  expect(await asking(answers).isKept("juliet@localhost", "s")).toBe("perhaps");
  expect(await asking({ a: "gone", b: "gone" }).isKept("juliet@localhost", "s")).toBe("gone");
});

test("what a dead node left at an address is asked for where one has died, until nobody has it", async () => {
  const route = { user: "juliet@localhost", resource: "balcony", node: "here", session: "new" };
  const answers: Record<string, KeptAnswer> = { a: "gone", b: "perhaps" };
  const published = { ...route, available: true, priority: 0 };
  expect(asking(answers).leftAt(published)).toBeUndefined();
  const succession = asking(answers, true);
  const asked: unknown[] = [];
  succession.moves.isAt = async (node, sought, isPatient) => {
    asked.push([sought.session, sought.node, isPatient]);
    const answer = answers[node] ?? "gone";
    answers[node] = "gone";
    return answer;
  };
  await succession.leftAt(published);
  expect(asked).toEqual(Array.from({ length: 4 }, () => ["", "here", true]));
});
