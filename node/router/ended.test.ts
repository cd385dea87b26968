import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { ClientSession } from "../session/contract.ts";
import { message } from "../session/testing/door-kit.ts";
import type { Envelope } from "../stanza/contract.ts";
import { Jid } from "../stanza/jid.ts";
import { newCounters } from "./counters.ts";
import type { EndedParts } from "./ended.ts";
import { Endings } from "./ended.ts";
import { Passing } from "./passing.ts";

test("what somebody has had while a node stood still is not passed on by it", async () => {
  const passedOn: Envelope[] = [];
  const endings = new Endings({
    routes: { find: () => ({ revision: 1, routes: [] }) },
    handOver: {
      takeLeft: (_: unknown, left: readonly Envelope[]) => left,
      isStored: () => false,
      passing: new Passing(),
    },
    line: { passOn: async (envelope: Envelope) => passedOn.push(envelope) > 0 },
    deliverer: { hadBefore: async ({ origin }: Envelope) => origin?.count === 1 },
    counters: newCounters(),
    clock: new FakeClock(),
  } as unknown as EndedParts);
  const left = [1, 2].map((count) =>
    Object.assign(message(`m${count}`), { origin: { session: "juliet", count } }),
  );
  const jid = Jid.parse("romeo@localhost/orchard");
  const session = { id: "s", jid, route: { user: jid.bare } } as unknown as ClientSession;
  await endings.ended(session, left);
  expect(passedOn.splice(0)).toEqual(left); // It is this node's alone.
  endings.doubt(session);
  await endings.ended(session, left);
  expect(passedOn).toEqual([left[1]]);
});
