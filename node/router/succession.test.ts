import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { KeptAnswer } from "./keeping.ts";
import type { SuccessionParts } from "./succession.ts";
import { Succession } from "./succession.ts";

/** @param answers of the other nodes, to whom it is all the same which session it is */
function asking(answers: Readonly<Record<string, KeptAnswer>>): Succession {
  const nodes = Object.keys(answers).map((incarnation) => [incarnation, { incarnation, zone: "" }]);
  const succession = new Succession({
    ...{ clock: new FakeClock(), log: silentLog, zone: "", mesh: {} },
    adopt: () => Promise.resolve("never"),
    routes: { nodes: new Map(nodes as never) },
    passedOver: { begin() {}, listen() {} },
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
