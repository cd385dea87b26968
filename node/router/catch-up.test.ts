import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { Route } from "../routes/contract.ts";
import type { ClientSession, Incoming } from "../session/contract.ts";
import { Carried } from "./carried.ts";
import type { CatchUpParts } from "./catch-up.ts";
import { CatchUp, owners } from "./catch-up.ts";
import { newCounters } from "./counters.ts";

const carried = new Carried([owners], newCounters(), silentLog);
const sessionWith = (state: Map<string, unknown>) =>
  ({ id: "hers", state, route: { session: "hers" } }) as unknown as ClientSession;

/** Goes on with it. @returns gives it what it missed, once it is known */
async function goOn(catchUp: CatchUp, session: ClientSession, owner: string): Promise<() => void> {
  const incoming = catchUp.after({ install() {} } as unknown as Incoming, owner);
  incoming.install(session);
  return (await incoming.catchUp?.(session)) ?? (() => {});
}

test("a session whose node dies before it has caught up is asked for as of both that died", async () => {
  const asked: string[] = [];
  const told: unknown[] = [];
  const catchUp = new CatchUp({
    ...{ self: "here", clock: new FakeClock(), log: silentLog, mesh: undefined, handOver: {} },
    routes: { nodes: new Map() },
    deliverer: { missedBy: (_route: Route, owner: string) => asked.push(owner) && [] },
    shadows: () => ({ stateChanged: (...change: unknown[]) => told.push(change) }),
  } as unknown as CatchUpParts);
  const before = sessionWith(new Map());
  await goOn(catchUp, before, "first");
  const copy = carried.export(before);
  const session = sessionWith(new Map());
  carried.import(session, copy);

  (await goOn(catchUp, session, "second"))();
  expect(asked).toEqual(["first", "second"]);
  // Now it has caught up, and its copy is told so.
  expect(carried.export(session).size).toBe(0);
  expect(told).toEqual([[session, "catch-up", []]]);
});
