/** When the lease of a node is revoked whose address refuses connections. */
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import { Refusals } from "./refusals.ts";

type Answer = "refused" | "broken" | "gone";

/** A node that is refused, and what it and others say when they are asked. */
async function judge(own: Answer, others: readonly (boolean | Error)[], times = 1) {
  const clock = new FakeClock();
  const revoked: string[] = [];
  const refusals = new Refusals({
    ...{ clock, log: silentLog },
    ask: async () => own,
    isRefused: async (via) => {
      const answer = others[Number(via)];
      if (typeof answer === "boolean") return answer;
      throw answer ?? new Error(`nobody is called ${via}`);
    },
    nodes: () => ["dead", ...others.keys()].map(String),
    revoke: async (node) => void revoked.push(node),
  });
  for (let time = 0; time < times; time += 1) {
    const seen = [refusals.seen("dead"), refusals.seen("dead")];
    clock.advance(250);
    await Promise.all(seen);
  }
  return revoked;
}

test("a node that others see to refuse connections, too, loses its lease, once", async () => {
  expect(await judge("refused", [true, true], 2)).toEqual(["dead"]);
  expect(await judge("refused", [new Error("mesh-timeout"), true])).toEqual(["dead"]);
});

test("not when one of them reaches it, none says anything, or there is no other", async () => {
  expect(await judge("refused", [true, false])).toEqual([]);
  expect(await judge("refused", [new Error("mesh-timeout")])).toEqual([]);
  expect(await judge("refused", [])).toEqual([]);
});

test("nor when it refuses no more", async () => {
  for (const own of ["broken", "gone"] as const) expect(await judge(own, [true])).toEqual([]);
});
