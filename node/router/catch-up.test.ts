import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { Route } from "../routes/contract.ts";
import type { ClientSession, Incoming } from "../session/contract.ts";
import { message } from "../session/testing/door-kit.ts";
import { encodeEnvelope } from "../stanza/wire.ts";
import { Carried } from "./carried.ts";
import type { CatchUpParts } from "./catch-up.ts";
import { CatchUp, owners } from "./catch-up.ts";
import { newCounters } from "./counters.ts";
import { encodeDeliver, encodeMissed } from "./frames.ts";

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

test("where a session is that goes on is looked up again by whoever it has asked", () => {
  const done: string[] = [];
  const catchUp = new CatchUp({
    routes: { outdated: (user: string) => done.push(`forgets ${user}`) },
    deliverer: { missedBy: () => done.push("looks") && [] },
  } as unknown as CatchUpParts);
  const at = { resource: "balcony", node: "here", session: "hers" };
  const route = { user: "juliet@capulet.example", ...at, available: true, priority: 0 };
  catchUp.answer({ route, owner: "dead" });
  expect(done).toEqual(["forgets juliet@capulet.example", "looks"]);
});

test("a node that is busy for seconds is waited for; one that is silent keeps nobody else waiting", async () => {
  const clock = new FakeClock();
  const answers: ((missed: Buffer) => void)[] = [];
  const catchUp = new CatchUp({
    ...{ self: "here", clock, log: silentLog, shadows: () => undefined },
    routes: { nodes: new Map([["busy", {}]]) },
    deliverer: { missedBy: () => [] },
    handOver: {
      takeAt: (_what: unknown, _route: Route, from: string) => given.push(from),
    },
    mesh: { request: () => new Promise((resolve) => answers.push(resolve)) },
  } as unknown as CatchUpParts);
  const given: string[] = [];
  const route = {
    ...{ user: "juliet@capulet.example", resource: "balcony", node: "here", session: "hers" },
    ...{ available: true, priority: 0 },
  };
  const session = () => ({ ...sessionWith(new Map()), route }) as unknown as ClientSession;
  const missed = encodeMissed([
    encodeDeliver({
      ...{ envelope: encodeEnvelope(message("hello")), origin: undefined },
      recipients: [{ full: "juliet@capulet.example/balcony", session: "hers", revision: 0 }],
      ...{ stamped: false, again: false, rerouted: false, copy: undefined, follows: false },
      goesOn: false,
    }),
  ]);

  const first = goOn(catchUp, session(), "dead");
  await setImmediate();
  clock.advance(2_500);
  answers.shift()?.(missed);
  (await first)();
  expect(given).toEqual(["busy"]);

  const second = goOn(catchUp, session(), "dead");
  await setImmediate();
  clock.advance(3_000);
  (await second)();
  (await goOn(catchUp, session(), "dead"))();
  expect(given).toEqual(["busy"]);
  expect(answers).toHaveLength(1);
});
