import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import type { ClientSession } from "./contract.ts";
import { Session } from "./session.ts";
import { bodyOf, message, openKit, passing, until } from "./testing/door-kit.ts";

const ACKS = "urn:xmpp:sm:3";
const turn = () => new Promise((resolve) => setImmediate(resolve));
const unacknowledgedOf = (session: ClientSession) =>
  session instanceof Session ? session.acks.outgoing.unacknowledgedCount : 0;

test("sessions are closed at the set rate, and the drain ends with the last of them", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  const all = [];
  for (let number = 0; number < 6; number += 1) all.push(await kit.bound(`r${number}`));
  for (const { client } of all) {
    client.socket.on("data", (chunk: Buffer) => {
      if (chunk.includes("system-shutdown")) client.send("</stream:stream>");
    });
  }
  let isDone = false;
  const drain = kit.door.drain({ perSecond: 20, deadlineMs: 60_000 }).then(() => {
    isDone = true;
  });
  // Twenty a second are one in each of the drain's steps of 50 ms.
  await until(() => kit.router.ended.length === 1, "the first leaves");
  expect(kit.door.sessions.size).toBe(5);
  clock.advance(50);
  await until(() => kit.router.ended.length === 2, "the second leaves");
  expect(kit.door.sessions.size).toBe(4);
  expect(isDone).toBe(false);
  await until(() => {
    clock.advance(50);
    return isDone;
  }, "all leave");
  await drain;
  expect(kit.router.ended).toHaveLength(6);
  expect(kit.complaints).toEqual([]);
});

test("new streams and those without a session are told that the node shuts down", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  const { client } = await kit.bound();
  await client.enableAcks();
  const negotiating = await kit.connect();
  await negotiating.open();
  const drained = kit.door.drain({ perSecond: 1_000, deadlineMs: 60_000 });
  expect(await negotiating.readToEnd()).toContain("<system-shutdown xmlns");
  const late = await kit.connect();
  expect(await late.readToEnd()).toMatch(/^<\?xml.*<system-shutdown xmlns.*<\/stream:stream>$/);
  client.send("</stream:stream>");
  await until(() => {
    clock.advance(50);
    return kit.router.ended.length === 1;
  }, "the last one leaves");
  await passing(clock, drained);
  await expect(kit.connect()).rejects.toThrow(/ECONNREFUSED/);
});

test("a client is asked what it received before its stream ends: that is not handed back", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  const { client, session } = await kit.bound();
  await client.enableAcks();
  for (const body of ["one", "two", "three"]) session.deliver(message(body));
  await client.read("three");
  const drained = kit.door.drain({ perSecond: 1_000, deadlineMs: 60_000 });
  client.send(`<a xmlns='${ACKS}' h='2'/>`);
  await until(() => unacknowledgedOf(session) === 1, "the answer comes");
  await until(() => {
    clock.advance(50);
    return client.received.includes("system-shutdown");
  }, "the end");
  client.send("</stream:stream>");
  await until(() => {
    clock.advance(50);
    return kit.router.ended.length === 1;
  }, "the session ends");
  expect(kit.router.ended[0]?.unacknowledged.map(bodyOf)).toEqual(["three"]);
  await passing(clock, drained);
});

test("what a client says before it notices the shutdown is still accepted", async () => {
  await using kit = await openKit();
  const { client } = await kit.bound();
  const drained = kit.door.drain({ perSecond: 1_000, deadlineMs: 60_000 });
  await client.read("<system-shutdown xmlns");
  client.send("<message id='last words'/></stream:stream>");
  await drained;
  expect(kit.router.stanzas.map(({ attributes }) => attributes.id)).toEqual(["last words"]);
  expect(kit.router.order.at(-1)).toMatch(/^ended/);
});

test("the drain waits for what has not been handed over, within its deadline", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  const { client } = await kit.bound();
  let tries = 0;
  kit.router.part = async () => {
    tries += 1;
    if (tries < 3) throw new Unavailable("store-timeout", "Cannot store");
  };
  let isDone = false;
  const drained = kit.door.drain({ perSecond: 1_000, deadlineMs: 60_000 }).then(() => {
    isDone = true;
  });
  client.send("</stream:stream>");
  await until(() => tries === 1, "the first try");
  expect(isDone).toBe(false);
  await until(() => {
    clock.advance(50);
    return isDone;
  }, "handed over");
  await drained;
  expect(kit.router.ended).toHaveLength(1);
});

test("at the deadline the drain gives up, and says what is left", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  const { client, session } = await kit.bound();
  await client.enableAcks();
  session.deliver(message("one"));
  kit.router.part = () => new Promise(() => {}); // The store never answers.
  let isDone = false;
  const drained = kit.door.drain({ perSecond: 1_000, deadlineMs: 5_000 }).then(() => {
    isDone = true;
  });
  client.destroy();
  await until(() => {
    clock.advance(50);
    return isDone;
  }, "given up");
  await drained;
  expect(kit.complaints).toContain("drain-deadline-passed");
});

test("a rate that would miss the deadline is raised", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  for (let number = 0; number < 5; number += 1) {
    const { client } = await kit.bound(`r${number}`);
    client.socket.on("data", () => client.send("</stream:stream>"));
  }
  const drained = kit.door.drain({ perSecond: 1, deadlineMs: 3_000 });
  // In three fifths of its time: one in each 360 ms.
  for (let gone = 1; gone <= 5; gone += 1) {
    for (let step = 0; step < 8; step += 1) {
      clock.advance(50);
      await turn();
    }
    await until(() => kit.router.ended.length === gone, "the next leaves");
  }
  await passing(clock, drained);
  expect(kit.router.ended).toHaveLength(5);
  expect(kit.complaints).toEqual([]);
});
