/** What a shadow answers to the owners of sessions. */
import { setImmediate } from "node:timers/promises";
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { Route } from "../routes/contract.ts";
import type { Incoming } from "../session/contract.ts";
import { message } from "../session/testing/door-kit.ts";
import type { MirrorItem } from "../shadow/mirror.ts";
import type { Envelope } from "../stanza/contract.ts";
import { Jid } from "../stanza/jid.ts";
import { newCounters } from "./counters.ts";
import type { Endings } from "./ended.ts";
import type { HandOverParts } from "./hand-over.ts";
import { HandOver } from "./hand-over.ts";
import type { KeepingParts } from "./keeping.ts";
import { Keeping } from "./keeping.ts";
import type { PackedSession } from "./session-wire.ts";
import { encodeWaiting, packSession } from "./session-wire.ts";

const USER = "juliet@capulet.example";

/** That session, whole. */
function whole(
  session: string,
  more: Partial<PackedSession> = {},
  moves = 0,
  windowMs = 60_000,
): MirrorItem {
  const route = { user: USER, resource: session, node: "owner", session, available: true, moves };
  const counts = { windowMs, received: 0, countedFrom: 0, acknowledged: 0 };
  const state = {
    ...{ ...counts, route: { ...route, priority: 0 } },
    ...{ lang: undefined, mayRepeat: false, inherited: undefined },
  };
  const nothing = { waiting: [], held: [], carried: new Map(), recent: [] };
  return {
    kind: "whole",
    id: session,
    sequence: 1,
    payload: packSession({ state, ...nothing, ...more }),
  };
}

/** Nobody has missed anything. */
const CAUGHT_UP = { after: (incoming: Incoming) => incoming };

/** Of this node's sessions only their ids matter here. */
function shadowWith(ids: readonly string[], isOwnerAlive = true, isLapsed = false): Keeping {
  const sessions = ids.map((id) => ({ id, moving: undefined, route: { session: id } }));
  return new Keeping({
    sessions: () => ({ ofUser: () => sessions }),
    peers: { ready: async () => isOwnerAlive },
    routes: { nodes: new Map([["owner", {}]]) },
    isLapsed: () => isLapsed,
    clock: new FakeClock(),
    log: silentLog,
  } as unknown as KeepingParts);
}

/** One that takes over what it has copies of; its routes, clock and sessions are what is handed in. */
function adopting({
  clock = new FakeClock(),
  nodes = new Map(),
  routes = [],
  here = [],
  ...parts
}: Readonly<Record<string, unknown>>): Keeping {
  return new Keeping({
    ...{ clock, log: silentLog, catchUp: CAUGHT_UP, isLapsed: () => false },
    sessions: () => ({ ofUser: () => here }),
    peers: { ready: async () => true },
    routes: {
      nodes,
      renounced: async () => new Map(),
      read: async () => ({ revision: 1, routes }),
    },
    ...parts,
  } as unknown as KeepingParts);
}

test("a session that goes on here is kept, and no copy of it is", async () => {
  const shadow = shadowWith(["hers"]);
  const frame = { term: 1, items: [whole("hers"), whole("another")] };
  expect(await shadow.take("owner", frame)).toEqual(["kept", "stored"]);
  expect(shadow.copies).toBe(1);
  expect([shadow.isKept("hers"), shadow.isKept("another")]).toEqual(["gone", "perhaps"]);
});

test("a session whose node has no lease is waited for: either that goes on with it, or whoever has the copy", async () => {
  const shadow = shadowWith([], true, true);
  await shadow.take("owner", { term: 1, items: [whole("hers")] });
  expect([shadow.isKept("hers"), shadow.isKept("another")]).toEqual(["kept", "gone"]);
});

test("a node that has a session as it was before it went on elsewhere does not say that it is its own", async () => {
  const held = { id: "hers", moving: undefined, route: { session: "hers", moves: 1 } };
  const movable = { ...held, freeze: () => undefined, forget: () => [] };
  const displaced: unknown[] = [];
  const shadow = adopting({
    here: [movable],
    adopt: async ({ state }: Incoming) => displaced.push(state.route.moves) && "taken",
    endings: { displaced: (session: unknown) => displaced.push(session) },
  });
  expect(await shadow.take("owner", { term: 1, items: [whole("hers", {}, 1)] })).toEqual(["kept"]);
  const frame = { term: 2, items: [whole("hers", {}, 2)] };
  expect(await shadow.take("owner", frame)).toEqual(["stored"]);
  shadow.nodeDown("owner");
  await shadow.adopted();
  expect(displaced).toEqual([movable, 2]);
});

test("a node without a lease does not say that a session is its own: it may have been taken over", async () => {
  const shadow = shadowWith(["hers"]);
  shadow.leaseLost();
  const frame = { term: 1, items: [whole("hers")] };
  await expect(shadow.take("owner", frame)).rejects.toMatchObject({ code: "mesh-failed" });
});

test("a node that goes soon takes no copies, and those it has count as before", async () => {
  const shadow = shadowWith([]);
  expect(await shadow.take("owner", { term: 1, items: [whole("hers")] })).toEqual(["stored"]);
  shadow.leave();
  await expect(shadow.take("owner", { term: 1, items: [whole("hers")] })).rejects.toMatchObject({
    code: "mesh-failed",
  });
  expect(shadow.isKept("hers")).toBe("perhaps");
});

test("a node that is only asked whether it takes copies answers as if there were some", async () => {
  const question = { term: 2, items: [] };
  const [shadow, stranger] = [shadowWith([]), shadowWith([], false)];
  expect(await shadow.take("owner", question)).toEqual([]);
  await expect(stranger.take("owner", question)).rejects.toMatchObject({ code: "mesh-failed" });
  shadow.leave();
  await expect(shadow.take("owner", question)).rejects.toMatchObject({ code: "mesh-failed" });
});

test("who waits for a session is told when it is decided who goes on with it, or after a while", async () => {
  const clock = new FakeClock();
  const nodes = new Map([["owner", {}]]);
  const { promise: adopted, resolve: adopt } = Promise.withResolvers<"taken">();
  const shadow = adopting({ clock, nodes, adopt: () => adopted });
  await shadow.take("owner", { term: 1, items: [whole("hers")] });
  const sought = { user: USER, resource: "", node: "", session: "hers" };
  expect(await shadow.decided({ ...sought, session: "another" })).toBe("gone");
  let answers: string[] = [];
  const ask = () => void shadow.decided(sought).then((answer) => answers.push(answer));
  ask();
  await setImmediate();
  expect(answers).toEqual([]);
  clock.advance(2_000); // Its node may be alive after all.
  await setImmediate();
  expect(answers).toEqual(["perhaps"]);
  answers = [];
  ask();
  nodes.clear();
  shadow.nodeDown("owner");
  await setImmediate();
  ask();
  expect(answers).toEqual([]);
  adopt("taken");
  await setImmediate();
  expect(answers).toEqual(["perhaps", "kept"]);
});

test("who has an address now is told of a session that had it elsewhere, until it is passed on", async () => {
  const nodes = new Map([["owner", {}]]);
  const { promise: adopted, resolve: adopt } = Promise.withResolvers<"taken">();
  const clock = new FakeClock();
  const shadow = adopting({ clock, nodes, adopt: () => adopted });
  await shadow.take("owner", { term: 1, items: [whole("hers")] });
  const sought = { user: USER, resource: "hers", node: "new", session: "" };
  expect(await shadow.decided({ ...sought, resource: "other" })).toBe("gone");
  expect(await shadow.decided({ ...sought, node: "owner" })).toBe("gone"); // It is that one's own.
  const waiting = shadow.decided(sought);
  clock.advance(2_000);
  expect(await waiting).toBe("perhaps");
  nodes.clear();
  shadow.nodeDown("owner");
  await setImmediate();
  const answer = shadow.decided(sought);
  adopt("taken");
  expect(await answer).toBe("kept");
  await shadow.adopted();
  expect(await shadow.decided(sought)).toBe("gone");
});

test("a session that has ended does not have the address before the one that came after it", async () => {
  const adopted: string[] = [];
  const shadow = adopting({
    adopt: async ({ state: { route } }: Incoming) => adopted.push(route.session) && "taken",
  });
  const items = [whole("ended", {}, 0, 0), whole("next")];
  expect(await shadow.take("owner", { term: 1, items })).toEqual(["stored", "stored"]);
  shadow.nodeDown("owner");
  await shadow.adopted();
  expect(adopted).toEqual(["next", "ended"]);
});

test("a copy counts more than a node that had its session before, stood still, and is back", async () => {
  const route = { user: USER, resource: "hers", session: "hers", available: true, priority: 0 };
  const states = { windowMs: 60_000, received: 0, countedFrom: 0, acknowledged: 0 };
  const state = {
    ...states,
    ...{ route: { ...route, node: "owner", moves: 2 }, lang: undefined },
    ...{ mayRepeat: false, inherited: undefined },
  };
  const adopted: unknown[] = [];
  const takenOverFrom = async (holder: Route) => {
    const shadow = adopting({
      nodes: new Map([["other", {}]]),
      routes: [holder],
      adopt: async ({ state: { route } }: Incoming) => adopted.push(route.moves) && "taken",
    });
    await shadow.take("owner", { term: 1, items: [whole("hers", { state })] });
    shadow.nodeDown("owner");
    await shadow.adopted();
    return adopted.splice(0);
  };
  expect(await takenOverFrom({ ...route, node: "other", moves: 1 })).toEqual([2]);
  expect(await takenOverFrom({ ...route, node: "other" })).toEqual([2]);
  // Given away before its owner died, or reclaimed by who had given it to that.
  expect(await takenOverFrom({ ...route, node: "other", moves: 3 })).toEqual([]);
  expect(await takenOverFrom({ ...route, node: "other", moves: 2 })).toEqual([]);
});

test("what a dead node may have passed on of a session that was over is asked for before it goes on", async () => {
  const route = { user: USER, resource: "hers", node: "owner", session: "hers" };
  const counts = { windowMs: 60_000, received: 0, countedFrom: 0, acknowledged: 0 };
  const rest = { lang: undefined, mayRepeat: false, inherited: undefined };
  const doubted: string[] = [];
  const takenOver = async (windowMs: number, routes: readonly unknown[]) => {
    const shadow = adopting({
      routes,
      carried: { import() {} },
      handOver: { restoreRecent() {}, restoreRecentLeft() {} },
      endings: {
        doubt: ({ id }: { id: string }, only = "all") => doubted.push(`${id} ${only}`),
        ended: async () => {},
      },
      adopt: async ({ install }: Incoming) => {
        install({ id: "adopted" } as unknown as Parameters<typeof install>[0]);
        return "taken";
      },
    });
    const state = { ...counts, ...rest, windowMs };
    const copy = whole("hers", {
      state: { ...state, route: { ...route, available: true, priority: 0 } },
    });
    await shadow.take("owner", { term: 1, items: [copy] });
    shadow.nodeDown("owner");
    await shadow.adopted();
    return doubted.splice(0);
  };
  const another = { ...route, node: "other", session: "another" };
  expect(await takenOver(0, [])).toEqual(["adopted all"]);
  expect(await takenOver(0, [another])).toEqual(["hers all"]);
  // Otherwise nobody but its node can know more, if that is not dead.
  expect(await takenOver(60_000, [])).toEqual(["adopted owner"]);
  expect(await takenOver(60_000, [another])).toEqual(["hers owner"]);
});

test("what a dead node gave to a client is not given to the next one of its address", async () => {
  const full = `${USER}/balcony`;
  const given: Envelope[] = [];
  const next = {
    id: "next",
    jid: Jid.parse(full),
    deliver: (one: Envelope) => given.push(one) > 0,
  };
  const handOver = new HandOver({
    stages: { delivery: () => ({ kind: "pass" }) },
    sessions: () => new Map([[full, next]]),
    components: () => new Map(),
    counters: newCounters(),
    self: "here",
    shadows: () => undefined,
    newcomers: () => ({ hadBefore: () => undefined }),
  } as unknown as HandOverParts);
  const route = { user: USER, resource: "balcony", node: "here", session: "next" };
  const { promise: passedOn, resolve } = Promise.withResolvers<readonly Envelope[]>();
  const doubt = () => undefined;
  const ended: Endings["ended"] = async (session, left) =>
    resolve(handOver.takeLeft(session, left));
  const shadow = adopting({ routes: [route], handOver, endings: { ended, doubt } });
  const origin = (count: number) => ({ session: "romeo", count });
  const about = { origin: origin(2), isStored: false, copy: undefined };
  const waiting = [encodeWaiting({ stanza: message("two"), about })];
  const recent = [origin(1), origin(2)];
  const copy = whole("balcony", { waiting, recent });
  expect(await shadow.take("owner", { term: 1, items: [copy] })).toEqual(["stored"]);
  shadow.nodeDown("owner");
  expect(await passedOn).toHaveLength(1);

  const again = (count: number) => {
    const how = { stamped: false, copy: undefined, again: true, rerouted: false, remembered: true };
    const consignment = { ...how, envelope: message(String(count)), origin: origin(count) };
    return handOver.take(consignment, full, "next", "there");
  };
  for (const count of [1, 2, 3]) expect(again(count)).toBe(true);
  // The first has reached the client before; the second nobody knows to have done so.
  expect(given.map(({ bytes }) => /<body>(.*)<\/body>/.exec(bytes.toString())?.[1])).toEqual([
    "2",
    "3",
  ]);
});
