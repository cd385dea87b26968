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

test("what somebody has had while a node stood still is not passed on by it, unless one of several may lack it", async () => {
  let routes: readonly unknown[] = [];
  const passedOn: Envelope[] = [];
  const asked: (string | undefined)[] = [];
  const hadBefore = async ({ origin }: Envelope, _: unknown, __: unknown, only?: string) =>
    asked.push(only) > 0 && origin?.count === 1;
  const endings = new Endings({
    routes: { find: () => ({ revision: 1, routes }) },
    handOver: {
      takeLeft: (_: unknown, left: readonly Envelope[]) => left,
      isStored: () => false,
      passing: new Passing(),
    },
    line: { passOn: async (envelope: Envelope) => passedOn.push(envelope) > 0 },
    deliverer: { hadBefore },
    counters: newCounters(),
    clock: new FakeClock(),
  } as unknown as EndedParts);
  const left = [1, 2].map((count) =>
    Object.assign(message(`m${count}`), { origin: { session: "juliet", count } }),
  );
  const jid = Jid.parse("romeo@localhost/orchard");
  const how = { available: true, priority: 0 };
  const route = { ...how, user: jid.bare, resource: jid.resource, session: "s" };
  const session = { id: "s", jid, route } as unknown as ClientSession;
  await endings.ended(session, left);
  expect(passedOn.splice(0)).toEqual(left); // It is this node's alone.
  endings.doubt(session);
  await endings.ended(session, left);
  expect(passedOn.splice(0)).toEqual([left[1]]);
  const passedOnTo = async (...resources: readonly string[]) => {
    routes = [route, ...resources.map((resource) => ({ ...how, resource, session: resource }))];
    await endings.ended(session, left);
    return passedOn.splice(0);
  };
  expect(await passedOnTo("orchard")).toEqual([left[1]]);
  expect(await passedOnTo("balcony", "garden")).toEqual([left[1]]);
  // The other may be the one that had it.
  expect(await passedOnTo("orchard", "balcony")).toEqual(left);
  routes = [];
  asked.length = 0;
  // Taken over from a node which may have given it to the client after all.
  endings.doubt(session, "owner");
  await endings.ended(session, left);
  expect(passedOn).toEqual([left[1]]);
  expect(asked).toEqual(["owner", "owner"]);
});
