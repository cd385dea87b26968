import { expect, test } from "vitest";
import type { ClientSession } from "../session/contract.ts";
import { message } from "../session/testing/door-kit.ts";
import type { Envelope } from "../stanza/contract.ts";
import { Jid } from "../stanza/jid.ts";
import { newCounters } from "./counters.ts";
import type { Consignment, HandOverParts } from "./hand-over.ts";
import { HandOver } from "./hand-over.ts";

const ADDRESS = "romeo@localhost/orchard";
const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Romeo's session, whose copy is where the test says. */
function bench() {
  const given: Envelope[] = [];
  const session = {
    id: "s",
    jid: Jid.parse(ADDRESS),
    deliver: (envelope: Envelope) => given.push(envelope) > 0,
  } as unknown as ClientSession;
  const sessions = new Map([[ADDRESS, session]]);
  const copies: PromiseWithResolvers<void>[] = [];
  const elsewhere: (Promise<boolean> | undefined)[] = [];
  const hadBefore = () => elsewhere.shift();
  const delivered = () => {
    const copy = Promise.withResolvers<void>();
    copies.push(copy);
    return copy.promise;
  };
  const handOver = new HandOver({
    stages: { delivery: () => ({ kind: "pass" }) },
    sessions: () => sessions,
    components: () => new Map(),
    counters: newCounters(),
    self: "here",
    shadows: () => ({ delivered, changed: () => undefined }),
    newcomers: () => ({ hadBefore }),
  } as unknown as HandOverParts);
  const take = (more: Partial<Consignment>, full = ADDRESS) => {
    const plain = { origin: undefined, stamped: false, copy: undefined, again: false };
    const consignment = { ...plain, envelope: message("m"), rerouted: false, remembered: false };
    return handOver.take({ ...consignment, ...more }, full, full === ADDRESS ? "s" : "", "there");
  };
  return { given, copies, take, sessions, session, handOver, elsewhere };
}

test("the next message is handed over while the copy of the one before is on its way", async () => {
  const { given, copies, take } = bench();
  const [first, second] = [{}, {}] as { accepted?: Promise<void> }[];
  expect(take({ acceptance: first })).toBe(true);
  expect(take({ acceptance: second })).toBe(true);
  expect(given).toHaveLength(2);
  const accepted: string[] = [];
  void first?.accepted?.then(() => accepted.push("first"));
  void second?.accepted?.then(() => accepted.push("second"));
  await turn();
  expect(accepted).toEqual([]);
  copies[0]?.resolve();
  await turn();
  expect(accepted).toEqual(["first"]);
  copies[1]?.resolve();
  await turn();
  expect(accepted).toEqual(["first", "second"]);
});

test("another node hears that a message was handed over when its copy has it", async () => {
  const { given, copies, take } = bench();
  const answers: boolean[] = [];
  const taken = take({});
  expect(given).toHaveLength(1);
  void Promise.resolve(taken).then((is) => answers.push(is));
  await turn();
  expect(answers).toEqual([]);
  copies[0]?.resolve();
  await turn();
  expect(answers).toEqual([true]);
});

test("who is asked whether anybody has had it says so when its copy has it, or it is over", async () => {
  const { given, copies, take, sessions } = bench();
  const ask = (count: number) =>
    take(
      { origin: { session: "juliet", count }, again: true, remembered: true },
      "romeo@localhost/",
    );
  expect(ask(1)).toBe(false);
  void take({ origin: { session: "juliet", count: 1 }, remembered: true });
  expect(given).toHaveLength(1);
  let answer: unknown;
  void Promise.resolve(ask(1)).then((is) => {
    answer = is;
  });
  await turn();
  expect(answer).toBeUndefined();
  for (const { resolve } of copies) resolve();
  await turn();
  expect(answer).toBe(true);
  sessions.clear();
  expect(ask(1)).toBe(true);
  expect(ask(2)).toBe(false);
  expect(given).toHaveLength(1);
});

test("what is sent again is given to a session that has begun since when nobody has had it elsewhere", async () => {
  const { given, take, elsewhere, sessions } = bench();
  const again = (count: number) =>
    take({ origin: { session: "juliet", count }, again: true, remembered: true });
  elsewhere.push(Promise.resolve(true), Promise.resolve(false), Promise.resolve(false));
  expect(await again(1)).toBe(true);
  expect(given).toHaveLength(0);
  void again(2);
  await turn();
  expect(given).toHaveLength(1);
  const late = again(3);
  sessions.clear();
  expect(await late).toBe(false);
});

test("of one millisecond and one sender, what waits goes before or behind a stored one as it was sent", () => {
  const { given, take, session, handOver } = bench();
  const of = (count: number) => ({ session: "juliet", count });
  const [first, stored, last] = ["first", "stored", "last"].map((body) => ({
    ...message(body),
    receivedMs: 1_000,
  })) as [Envelope, Envelope, Envelope];
  handOver.hold(session);
  void take({ envelope: first, origin: of(1) });
  void take({ envelope: last, origin: of(3) });
  expect(given).toEqual([]);
  expect(handOver.giveStored(session, stored, of(2))).toBe(true);
  expect(given).toEqual([first, stored]);
  handOver.release(session);
  expect(given).toEqual([first, stored, last]);
});

test("what the session before had is known here, when the next one of its address is elsewhere", () => {
  const { take, sessions, handOver } = bench();
  const origin = { session: "juliet", count: 1 };
  void take({ origin, remembered: true });
  expect(handOver.hadBefore(origin, ADDRESS, "next")).toBe(false); // It is not over yet.
  sessions.clear();
  expect(handOver.hadBefore(origin, ADDRESS, "next")).toBe(true);
  expect(handOver.hadBefore(origin, ADDRESS, "s")).toBe(false); // It may have gone on without it.
  expect(handOver.hadBefore({ ...origin, count: 2 }, ADDRESS, "next")).toBe(false);
});

test("what a client acknowledged here is known when its session comes back, and nothing else", () => {
  const { given, take, session, handOver } = bench();
  const about = (count: number, isStored = false) => ({
    ...{ origin: { session: "juliet", count }, isStored, copy: undefined },
  });
  for (const count of [1, 2]) void take({ ...about(count), envelope: message(`${count}`) });
  handOver.forget(session, given.slice(1));
  const [user = "", resource = ""] = ADDRESS.split("/");
  const route = { user, resource, node: "there", session: "s", available: true, priority: 0 };
  expect(handOver.wasHad(about(1), route)).toBe(true);
  expect(handOver.wasHad(about(2), route)).toBe(false);
  expect(handOver.wasHad(about(1), { ...route, session: "another" })).toBe(false);
  // Whether it was acknowledged, the store knows.
  expect(handOver.wasHad(about(1, true), route)).toBe(false);
});

test("what follows is refused unless the session has what was sent just before it", () => {
  const { given, take } = bench();
  const nth = (count: number, follows = true) =>
    take({ origin: { session: "julia", count }, remembered: true, follows });
  expect(nth(2)).toBe(false);
  void nth(1, false);
  void nth(2);
  void nth(3);
  expect(nth(5)).toBe(false);
  expect(nth(2)).not.toBe(false); // It has that already.
  expect(given).toHaveLength(3);
});

test("what one session was given out of the store meanwhile is no less held for another", () => {
  const { given, take, session, sessions, handOver } = bench();
  const others: Envelope[] = [];
  const balcony = Jid.parse("romeo@localhost/balcony");
  const other = {
    ...{ id: "", jid: balcony },
    deliver: (envelope: Envelope) => others.push(envelope) > 0,
  } as unknown as ClientSession;
  sessions.set(balcony.full, other);
  const [envelope, stored] = [message("m"), message("m")];
  const origin = { session: "juliet", count: 1 };
  for (const one of [session, other]) handOver.hold(one);
  void take({ envelope, origin, remembered: true });
  void take({ envelope, origin, remembered: true }, balcony.full);
  expect(handOver.giveStored(session, stored, origin)).toBe(true);
  for (const one of [session, other]) handOver.release(one);
  expect(given).toEqual([stored]);
  expect(others).toEqual([envelope]);
});

test("what a node handed over itself is cut when the shadow of its sender goes on with that", async () => {
  const { given, take } = bench();
  const origin = { session: "juliet", count: 1 };
  void take({ origin });
  void take({ origin, again: true, remembered: true });
  expect(given).toHaveLength(1);
});

test("what a session had before it went on here waits behind stored messages, what another had is stored", () => {
  const { given, take, session, handOver } = bench();
  const [live, earlier, others] = [message("m"), message("m"), message("m")];
  const nth = (count: number) => ({ origin: { session: "juliet", count }, remembered: true });
  handOver.hold(session);
  expect(take({ ...nth(3), envelope: others, rerouted: true })).toBe(false);
  void take({ ...nth(1), envelope: live });
  expect(take({ ...nth(2), envelope: earlier, rerouted: true, goesOn: true })).not.toBe(false);
  handOver.release(session);
  expect(given).toEqual([live, earlier]);
});

/** A session for which a message is held that lies in the store besides. */
function heldAndStored() {
  const { given, take, session, handOver } = bench();
  const [live, stored] = [message("m"), message("m")];
  const origin = { session: "juliet", count: 1 };
  handOver.hold(session);
  void take({ envelope: live, origin, remembered: true });
  return { given, session, handOver, live, stored, origin };
}

test("what a session was given out of the store, and not when it went on elsewhere, is given to it when it is back", () => {
  const { given, session, handOver, stored, origin } = heldAndStored();
  expect(handOver.giveStored(session, stored, origin)).toBe(true);
  handOver.forget(session, [stored]); // Another node goes on with it as it was before that.
  expect(handOver.giveStored(session, stored, origin)).toBe(true);
  expect(given).toEqual([stored, stored]);
});

test("what a session was given out of the store keeps its place among what waits, and is not given again", () => {
  const { given, take, session, handOver } = bench();
  const nth = (count: number) => ({ origin: { session: "juliet", count }, remembered: true });
  const [first, live, stored] = [message("1"), message("m"), message("m")];
  handOver.hold(session);
  void take({ ...nth(2), envelope: first }); // It came in first, and another node took it later.
  void take({ ...nth(1), envelope: live });
  expect(handOver.giveStored(session, stored, nth(1).origin)).toBe(true);
  expect(handOver.heldOf(session)).toMatchObject({ waiting: [first, undefined], left: 0 });
  expect(handOver.takeLeft(session, [])).toEqual([first]);
  expect(given).toEqual([stored]);
});

test("what a session that stands still is not given out of the store is held for it as before", () => {
  const { given, session, handOver, live, stored, origin } = heldAndStored();
  const { deliver } = session;
  session.deliver = () => false; // Another node has asked for it, and does not take it over after all.
  expect(handOver.giveStored(session, stored, origin)).toBe(false);
  handOver.release(session);
  expect(handOver.heldOf(session)?.waiting).toEqual([live]);
  session.deliver = deliver;
  expect(handOver.giveStored(session, stored, origin)).toBe(true);
  handOver.release(session);
  expect(given).toEqual([stored]);
});
