/** A session that is resumed where it is not: it is looked for until it is somewhere, or nowhere. */
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { Kit } from "./testing/door-kit.ts";
import { logIn, openKit, testRoutes, until } from "./testing/door-kit.ts";

const ELSEWHERE = {
  user: "romeo@localhost",
  resource: "orchard",
  node: "another",
  session: "abcdef",
  available: true,
  priority: 0,
};

/** A client that has logged in and resumes that session. */
async function resuming(kit: Kit) {
  const client = await kit.connect();
  await logIn(client, "romeo");
  client.send(`<resume xmlns='urn:xmpp:sm:3' previd='${ELSEWHERE.session}' h='0'/>`);
  return client;
}

test("a session whose node does not answer is waited for, until its route is gone", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  let asked = 0;
  kit.router.fetchSession = async () => {
    asked += 1;
    return "later";
  };
  await kit.routes.bind(ELSEWHERE);
  const client = await resuming(kit);
  await until(() => {
    clock.advance(100);
    return asked > 3;
  }, "several looks");
  await kit.routes.unbind(ELSEWHERE);
  await until(() => {
    clock.advance(100);
    return client.received.includes("<failed");
  }, "the answer");
  expect(client.received).toContain("<item-not-found");
});

test("a node without a lease says of no session that it is nowhere", async () => {
  const clock = new FakeClock();
  const routes = Object.assign(testRoutes(), { holdsLease: false });
  await using kit = await openKit({ clock, routes });
  kit.router.fetchSession = async () => "gone";
  kit.router.isKept = async () => "gone";
  const client = await resuming(kit);
  await until(() => {
    clock.advance(500);
    return client.isClosed;
  }, "the deadline");
  expect(await client.readToEnd()).not.toContain("<failed");
});

test("whoever has a copy of a session says when to look again", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  kit.router.fetchSession = async () => "away";
  const asked: boolean[] = [];
  const { promise: decided, resolve: decide } = Promise.withResolvers<void>();
  kit.router.isKept = async (_user, _session, isPatient = false) => {
    asked.push(isPatient);
    if (isPatient) await decided;
    return isPatient ? "kept" : "gone";
  };
  await kit.routes.bind(ELSEWHERE);
  const client = await resuming(kit);
  await until(() => asked.length > 0, "the question");
  await kit.routes.unbind(ELSEWHERE);
  decide();
  await until(() => client.received.includes("<item-not-found"), "the answer, at once");
  expect(asked).toEqual([true, false, false]);
});

test("a session is not fetched for a client that has left meanwhile", async () => {
  await using kit = await openKit({ clock: new FakeClock() });
  let fetched = 0;
  kit.router.fetchSession = async () => {
    fetched += 1;
    return "later";
  };
  await kit.routes.bind(ELSEWHERE);
  const { promise: readable, resolve } = Promise.withResolvers<void>();
  const read = kit.routes.read.bind(kit.routes);
  let asked = 0;
  kit.routes.read = async (user) => {
    asked += 1;
    await readable;
    return read(user);
  };
  const client = await resuming(kit);
  await until(() => asked > 0, "the question");
  client.destroy();
  await until(() => kit.door.negotiating === 0, "it has left");
  resolve();
  await until(() => kit.door.stats.resumptionsFailed > 0, "the end of the search");
  expect(fetched).toBe(0);
});

test("a session that goes on somewhere between two questions is found", async () => {
  await using kit = await openKit({ clock: new FakeClock() });
  let fetched = 0;
  kit.router.fetchSession = async () => {
    fetched += 1;
    return "later";
  };
  kit.router.isKept = async () => {
    await kit.routes.bind(ELSEWHERE);
    return "gone"; // Any more: it is in the routes.
  };
  const client = await resuming(kit);
  await until(() => fetched > 0, "the second look");
  expect(client.received).not.toContain("<failed");
});

test("a session whose node does not answer for too long is to be resumed later", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  kit.router.fetchSession = async () => "later";
  await kit.routes.bind(ELSEWHERE);
  const client = await resuming(kit);
  await until(() => {
    clock.advance(500);
    return client.isClosed;
  }, "the deadline");
  const all = await client.readToEnd();
  expect(all).toContain("<resource-constraint xmlns");
  expect(all).not.toContain("<failed");
});
