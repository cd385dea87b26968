import { setImmediate as turn } from "node:timers/promises";
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import type { OwnRoutes } from "./contract.ts";
import { Members } from "./members.ts";
import { makeNode, makeRoute } from "./testing/records.ts";

const USER = "juliet@example.com";
const here = makeRoute({ node: "one", resource: "phone", session: "p" });
const theirs = makeRoute({ node: "two", resource: "balcony", session: "b" });
const nobody = { revision: 9, routes: [] };

/** Two nodes, one of which may lapse, and what it answers. */
class Bench {
  readonly clock = new FakeClock();
  readonly lines: string[] = [];
  asked = 0;
  holdsLease = true;
  answer: () => Promise<OwnRoutes | "gone" | "broken"> = async () => this.held;
  held: OwnRoutes = { routes: [theirs], isPublished: false };
  readonly members = new Members({
    clock: this.clock,
    log: silentLog,
    holdsLease: () => this.holdsLease,
    ask: () => {
      this.asked += 1;
      return this.answer();
    },
    onUp: ({ incarnation }) => this.lines.push(`up ${incarnation}`),
    onLapsed: ({ incarnation }) => this.lines.push(`lapsed ${incarnation}`),
    onBack: ({ incarnation }) => this.lines.push(`back ${incarnation}`),
    onDown: ({ incarnation }) => this.lines.push(`down ${incarnation}`),
  });

  /** The second node's record has gone. */
  async lapse(): Promise<void> {
    this.members.up(makeNode("two"));
    this.members.gone(makeNode("two"), 5);
    await turn();
  }

  async pass(ms: number): Promise<void> {
    for (let left = ms; left > 0; left -= 500) {
      this.clock.advance(Math.min(left, 500));
      await turn();
      await turn();
    }
  }
}

const silence = () => new Promise<never>(() => undefined);

test("a node that answers without a lease is not down, until that takes too long", async () => {
  const bench = new Bench();
  await bench.lapse();
  await bench.pass(29_500);
  expect(bench.lines).toEqual(["up two", "lapsed two"]);
  expect(bench.members.nodes.has("two")).toBe(true);
  await bench.pass(1_000);
  expect(bench.lines).toEqual(["up two", "lapsed two", "down two"]);
  expect(bench.members.nodes.has("two")).toBe(false);
});

test("a node is down when three questions in a row are not answered", async () => {
  const bench = new Bench();
  await bench.lapse();
  await bench.pass(1_000);
  bench.answer = silence;
  await bench.pass(1_500);
  expect(bench.lines).toEqual(["up two", "lapsed two"]);
  await bench.pass(500);
  expect(bench.lines.at(-1)).toBe("down two");
  expect(bench.asked).toBe(6); // Not asked any more.
  await bench.pass(2_000);
  expect(bench.asked).toBe(6);
});

test("one answer makes up for all that are missing", async () => {
  const bench = new Bench();
  let questions = 0;
  bench.answer = () => {
    questions += 1;
    return questions % 3 === 0 ? Promise.resolve(bench.held) : silence();
  };
  await bench.lapse();
  await bench.pass(20_000);
  expect(bench.lines).toEqual(["up two", "lapsed two"]);
});

test("a node that leaves, or cannot be reached, is down at once", async () => {
  for (const said of ["gone", "broken"] as const) {
    const bench = new Bench();
    bench.answer = async () => said;
    await bench.lapse();
    expect(bench.lines).toEqual(["up two", "lapsed two", "down two"]);
  }
});

test("a connection that broke once is made anew", async () => {
  const bench = new Bench();
  bench.answer = async () => (bench.asked === 1 ? "broken" : bench.held);
  await bench.lapse();
  await bench.pass(5_000);
  expect(bench.lines).toEqual(["up two", "lapsed two"]);
});

test("a node that has a lease again was never down, and is asked until its routes are there", async () => {
  const bench = new Bench();
  await bench.lapse();
  bench.members.up(makeNode("two"));
  await bench.pass(1_000);
  expect([...bench.members.lapsed]).toEqual(["two"]);
  bench.held = { ...bench.held, isPublished: true };
  await bench.pass(1_000);
  expect([...bench.members.lapsed]).toEqual([]);
  const { asked } = bench;
  await bench.pass(60_000);
  expect(bench.asked).toBe(asked);
  expect(bench.lines).toEqual(["up two", "lapsed two", "back two"]);
});

test("one that is silent after it got its lease is not down: its lease tells", async () => {
  const bench = new Bench();
  await bench.lapse();
  bench.members.up(makeNode("two"));
  bench.answer = silence;
  await bench.pass(60_000);
  expect(bench.lines).toEqual(["up two", "lapsed two", "back two"]);
  expect([...bench.members.lapsed]).toEqual([]);
});

test("a lease that lapses again before all is in place is asked for anew", async () => {
  const bench = new Bench();
  await bench.lapse();
  bench.members.up(makeNode("two"));
  bench.members.gone(makeNode("two"), 7);
  bench.answer = silence;
  await bench.pass(2_000);
  expect(bench.lines).toEqual(["up two", "lapsed two", "back two", "lapsed two", "down two"]);
});

test("what is read is completed with what a lapsed node holds, unless another has it by now", async () => {
  const bench = new Bench();
  expect(bench.members.complete(USER, nobody, undefined)).toBe(nobody);
  await bench.lapse();
  expect(await bench.members.complete(USER, nobody, undefined)).toEqual({
    revision: 9,
    routes: [theirs],
  });
  const other = { ...theirs, node: "one", session: "other" };
  const set = { revision: 9, routes: [here, other] };
  expect(await bench.members.complete(USER, set, undefined)).toEqual(set);
});

test("of a lapsed node that does not answer what was known counts; it says only what is its own", async () => {
  const bench = new Bench();
  bench.answer = () => Promise.reject(new Error("no answer"));
  await bench.lapse();
  const known = { revision: 4, routes: [here, theirs] };
  expect(await bench.members.complete(USER, nobody, known)).toEqual({
    revision: 9,
    routes: [theirs],
  });
  bench.answer = async () => ({ routes: [here], isPublished: false });
  expect(await bench.members.complete(USER, nobody, known)).toEqual(nobody);
});

test("a set that is learnt by the way keeps the routes of lapsed nodes", async () => {
  const bench = new Bench();
  const known = { revision: 4, routes: [here, theirs] };
  expect(bench.members.keep(nobody, known)).toBe(nobody);
  await bench.lapse();
  expect(bench.members.keep({ revision: 9, routes: [here] }, known)).toEqual({
    revision: 9,
    routes: [here, theirs],
  });
});

test("whoever writes to etcd sees what is there, and who else has the address", async () => {
  const bench = new Bench();
  await bench.lapse();
  const completed = { revision: 9, routes: [here, theirs] };
  expect(bench.members.inEtcd(completed).routes).toEqual([here]);
  // As it was before the lease had lapsed.
  const before = { revision: 4, routes: [here, theirs] };
  expect(bench.members.inEtcd(before)).toEqual(before);
  const bound = { ...theirs, node: "one", session: "new" };
  expect(await bench.members.holder(bound, undefined)).toEqual(theirs);
  expect(await bench.members.holder(theirs, undefined)).toBeUndefined();
  expect(await bench.members.holder({ ...bound, resource: "x" }, undefined)).toBeUndefined();
});

test("a node that nobody can ask is down when its lease has lapsed", () => {
  const lines: string[] = [];
  const note = (what: string) => () => void lines.push(what);
  const members = new Members({
    clock: new FakeClock(),
    log: silentLog,
    ask: undefined,
    holdsLease: () => true,
    onUp: note("up"),
    onLapsed: note("lapsed"),
    onBack: note("back"),
    onDown: (_node, revision) => lines.push(`down ${revision}`),
  });
  members.up(makeNode("two"));
  members.gone(makeNode("two"), 5);
  expect(lines).toEqual(["up", "lapsed", "down 5"]);
});

test("what was known of a node that is down when it should answer is not said any more", async () => {
  const bench = new Bench();
  await bench.lapse();
  bench.answer = silence; // It dies.
  const asked = bench.members.complete(USER, nobody, { revision: 8, routes: [theirs] });
  bench.answer = async () => "broken";
  await bench.pass(1_000);
  expect(bench.lines.at(-1)).toBe("down two");
  expect(await asked).toEqual(nobody);
});

test("where nobody has a lease it is not held against a node that it has none", async () => {
  const bench = new Bench();
  bench.holdsLease = false;
  await bench.lapse();
  await bench.pass(60_000);
  bench.holdsLease = true;
  await bench.pass(29_000);
  expect(bench.lines).toEqual(["up two", "lapsed two"]);
  await bench.pass(2_000);
  expect(bench.lines).toEqual(["up two", "lapsed two", "down two"]);
});

test("a node that has another lease is asked until its routes are on it, and nobody is told", async () => {
  const bench = new Bench();
  bench.members.up(makeNode("two"));
  bench.members.renewed(makeNode("two"), 5);
  await bench.pass(1_000);
  expect(await bench.members.complete(USER, nobody, undefined)).toEqual({
    revision: 9,
    routes: [theirs],
  });
  bench.held = { routes: [theirs], isPublished: true };
  await bench.pass(500);
  expect(bench.members.returns).toBe(1);
  expect(bench.members.complete(USER, nobody, undefined)).toBe(nobody);
  expect(bench.lines).toEqual(["up two"]);
});

test("all live nodes say what they hold; of one resource that counts which stands on a lease", async () => {
  const bench = new Bench();
  bench.members.up(makeNode("two"));
  const own = { routes: [here], isPublished: false };
  expect(await bench.members.held(USER, own, undefined)).toEqual([here, theirs]);
  const taken = { ...here, node: "two", session: "new" };
  bench.held = { routes: [taken], isPublished: true };
  expect(await bench.members.held(USER, own, undefined)).toEqual([taken]);
});

test("of a live node that does not say what it holds what was known counts", async () => {
  const bench = new Bench();
  bench.members.up(makeNode("two"));
  bench.answer = async () => "broken";
  const own = { routes: [], isPublished: true };
  expect(await bench.members.held(USER, own, undefined)).toEqual([]);
  const known = { revision: 4, routes: [here, theirs] };
  expect(await bench.members.held(USER, own, known)).toEqual([theirs]);
});
