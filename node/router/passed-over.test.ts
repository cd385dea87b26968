import { describe, expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { Route } from "../routes/contract.ts";
import { newCounters } from "./counters.ts";
import type { Job } from "./deliver.ts";
import { envelopeOf } from "./envelopes.ts";
import { PassedOver } from "./passed-over.ts";

const job = (user: string, bytes = 100) =>
  ({
    user,
    envelope: { bytes: Buffer.alloc(bytes) },
    took: new Set(["phone"]),
  }) as unknown as Job & {
    took: Set<string>;
  };
const route = (user: string, session: string, node: string): Route => ({
  ...{ user, session, node },
  ...{ resource: "desk", available: true, priority: 0 },
});

function open() {
  const clock = new FakeClock();
  const counters = newCounters();
  const passedOver = new PassedOver({ self: "self", clock, counters });
  const add = (made: ReturnType<typeof job>, routes: readonly Route[] = []) =>
    passedOver.add(made, made.took, routes);
  const of = (...asked: Parameters<typeof route>) =>
    passedOver.of(route(...asked)).map((one) => one.job);
  return { clock, counters, passedOver, add, of };
}

describe("what sessions were passed over for", () => {
  test("is for those of nodes that were dead, and for those that were tried in vain there", () => {
    const { passedOver, add, of } = open();
    const [one, two, three] = [job("juliet"), job("juliet"), job("nurse")];
    add(one, [route("juliet", "s1", "a")]);
    passedOver.nodeLapsed("a");
    add(two);
    add(three);
    expect(of("juliet", "s1", "a")).toEqual([one, two]);
    expect(of("juliet", "s2", "a")).toEqual([two]);
    expect(of("juliet", "s1", "b")).toEqual([one]);
    expect(of("juliet", "s2", "b")).toEqual([]);
    passedOver.remove(two.took);
    expect(of("juliet", "s1", "a")).toEqual([one]);
    expect(of("nurse", "s3", "a")).toEqual([three]);
  });

  test("is also for those of a node that was found dead while it was under way", () => {
    const { passedOver, add, of } = open();
    const one = job("juliet");
    passedOver.nodeLapsed("a");
    add(one);
    passedOver.nodeLapsed("b");
    expect(of("juliet", "s", "b")).toEqual([]);
    add(one);
    expect(of("juliet", "s", "b")).toEqual([one]);
    expect(of("juliet", "s", "a")).toEqual([one]);
  });

  test("is not for those that a node has when it goes once more: it was back between", () => {
    const { passedOver, add, of } = open();
    const [one, two] = [job("juliet"), job("juliet")];
    passedOver.nodeLapsed("a");
    add(one);
    passedOver.nodeDown("a");
    expect(of("juliet", "s1", "a")).toEqual([one]);
    passedOver.nodeUp("a");
    passedOver.nodeLapsed("a");
    add(two);
    expect(of("juliet", "s2", "a")).toEqual([two]);
  });

  test("nor when it was taken for dead, is back, and others may still be taking its sessions over", () => {
    const { clock, passedOver, add, of } = open();
    const [one, two] = [job("juliet"), job("juliet")];
    passedOver.nodeDown("a");
    add(one);
    passedOver.nodeBack("a");
    clock.advance(1_000);
    expect(of("juliet", "s1", "a")).toEqual([one]);
    passedOver.nodeLapsed("a");
    add(two);
    passedOver.nodeDown("a");
    expect(of("juliet", "s2", "a")).toEqual([two]);
  });

  test("is also for those of nodes that died before this one was there, for a minute", () => {
    const { clock, passedOver, add, of } = open();
    passedOver.begin();
    passedOver.nodeUp("a");
    expect([passedOver.isLikely, passedOver.hasDead]).toEqual([true, false]);
    const [one, two] = [job("juliet"), job("juliet")];
    add(one);
    clock.advance(61_000);
    add(two);
    expect(of("juliet", "s", "unknown")).toEqual([one]);
    expect(of("juliet", "s", "a")).toEqual([]);
  });

  test("a node that is back, or has been down for long, has no sessions that cannot be found", () => {
    const { clock, passedOver } = open();
    passedOver.nodeLapsed("a");
    passedOver.nodeLapsed("b");
    passedOver.nodeUp("a");
    expect([passedOver.isLikely, passedOver.hasDead]).toEqual([true, true]);
    passedOver.nodeDown("b");
    clock.advance(59_000);
    expect(passedOver.isLikely).toBe(true);
    clock.advance(2_000);
    expect(passedOver.isLikely).toBe(false);
  });

  test("is not for a session that has begun at a node since that is back, when it goes on elsewhere", () => {
    const { clock, passedOver, add, of } = open();
    const [one, two] = [job("juliet"), job("juliet")];
    passedOver.begin();
    expect(passedOver.ownerOf("a")).toBe(undefined);
    passedOver.nodeDown("a");
    add(one);
    add(two, [route("juliet", "before", "a")]);
    expect(passedOver.ownerOf("a")).toBe("a");
    passedOver.nodeBack("a");
    expect(passedOver.ownerOf("a")).toBe("a"); // Its routes may not be there yet.
    clock.advance(1_000);
    const owner = passedOver.ownerOf("a") ?? "";
    expect(owner).toBe("self");
    expect(of("juliet", "since", owner)).toEqual([]);
    expect(of("juliet", "before", owner)).toEqual([two]);
    expect(of("juliet", "before", "a")).toEqual([one, two]); // Its shadow goes on with it.
    clock.advance(60_000);
    expect(passedOver.ownerOf("a")).toBe(undefined);
  });

  test("is to be tried with those whose nodes are there, or are back, a few times", () => {
    const { clock, passedOver, add } = open();
    const told: string[][] = [];
    passedOver.listen(() => told.push([...passedOver.owing]));
    const [one, two] = [job("juliet"), job("nurse")];
    add(two, [route("nurse", "s", "b")]);
    passedOver.nodeLapsed("a");
    passedOver.nodeBack("a");
    add(one); // Its routes may not be there yet.
    clock.advance(1_000);
    const owed = (...to: Parameters<typeof route>) =>
      passedOver.owedTo(route(...to)).map((entry) => entry.job);
    passedOver.found("juliet", [route("juliet", "s", "a")]);
    passedOver.found("juliet", [route("juliet", "later", "a")]);
    expect(owed("juliet", "s", "a")).toEqual([one]);
    expect(owed("juliet", "later", "a")).toEqual([]);
    expect(told).toEqual([["nurse"], ["nurse", "juliet"]]);
    passedOver.remove(two.took);
    for (let tries = 1; tries < 8; tries += 1) passedOver.tried("juliet");
    expect([...passedOver.owing]).toEqual(["juliet"]);
    passedOver.tried("juliet");
    expect(passedOver.owing.size).toBe(0);
  });

  test("is for nobody when it was tried often enough, unless sessions may be where no route leads", () => {
    const { passedOver, add } = open();
    const one = job("juliet");
    const tryAll = () => {
      for (let tries = 0; tries < 8; tries += 1) passedOver.tried("juliet");
    };
    passedOver.nodeLapsed("a");
    add(one, [route("juliet", "s", "b")]);
    tryAll();
    expect([passedOver.owing.size, passedOver.size]).toEqual([0, 1]);
    passedOver.nodeUp("a");
    add(one, [route("juliet", "s", "b")]);
    tryAll();
    expect([passedOver.owing.size, passedOver.size]).toEqual([0, 0]);
  });

  test("is also for those of a node that was down and is back, which others may be taking over", () => {
    const { clock, passedOver, add, of } = open();
    passedOver.nodeLapsed("a");
    passedOver.nodeBack("a");
    clock.advance(1_000);
    expect(passedOver.isHiding("a")).toBe(false);
    passedOver.nodeLapsed("a");
    passedOver.nodeDown("a");
    passedOver.nodeBack("a");
    clock.advance(10_000);
    const one = job("juliet");
    add(one);
    expect(of("juliet", "s", "a")).toEqual([one]);
    clock.advance(50_000);
    expect(passedOver.isHiding("a")).toBe(false);
  });

  test("is tried also with a session that has moved on from a node that is back", () => {
    const { clock, passedOver, add } = open();
    const one = job("juliet");
    passedOver.nodeLapsed("a");
    add(one);
    passedOver.nodeBack("a");
    clock.advance(1_000);
    const [moved, begun] = [{ ...route("juliet", "s", "b"), moves: 1 }, route("juliet", "t", "b")];
    expect(passedOver.isOwing("juliet")).toBe(true);
    passedOver.found("juliet", [moved, begun]);
    const owed = (to: Route) => passedOver.owedTo(to).map((entry) => entry.job);
    expect([owed(moved), owed(begun)]).toEqual([[one], []]);
  });

  test("is tried with sessions anywhere when this node had no lease, and could not know of them", () => {
    const { clock, passedOver, add } = open();
    const [before, one, stored] = [job("juliet"), job("juliet"), job("juliet")];
    stored.took.clear();
    passedOver.begin();
    add(before);
    passedOver.leaseLost();
    add(one);
    add(stored);
    passedOver.leaseRegained();
    clock.advance(1_000);
    passedOver.found("juliet", [route("juliet", "s", "a"), route("juliet", "t", "b")]);
    for (const [session, node] of [
      ["s", "a"],
      ["t", "b"],
    ] as const) {
      const owed = passedOver.owedTo(route("juliet", session, node));
      expect(owed.map((entry) => entry.job)).toEqual([one]);
    }
  });

  test("is tried with those of a node that had no lease when this one came to be", () => {
    const { clock, passedOver, add } = open();
    const [one, two, stored] = [job("juliet"), job("nurse"), job("juliet")];
    stored.took.clear();
    passedOver.begin();
    add(one);
    add(stored);
    passedOver.nodeBack("a");
    clock.advance(1_000);
    passedOver.nodeBack("a");
    passedOver.found("juliet", [route("juliet", "s", "a"), route("juliet", "t", "b")]);
    const owed = (session: string, node: string) =>
      passedOver.owedTo(route("juliet", session, node)).map((entry) => entry.job);
    expect(owed("s", "a")).toEqual([one, stored]);
    expect(owed("t", "b")).toEqual([]);
    add(two);
    expect([...passedOver.owing]).toEqual(["juliet"]);
  });

  test("is forgotten after two minutes", () => {
    const { clock, passedOver, add, of } = open();
    const [one, two] = [job("juliet"), job("juliet")];
    add(one, [route("juliet", "s", "a")]);
    clock.advance(60_000);
    add(two, [route("juliet", "s", "a")]);
    clock.advance(70_000);
    expect(of("juliet", "s", "a")).toEqual([two]);
    clock.advance(70_000);
    expect(passedOver.size).toBe(0);
  });

  test("what has gone back does not keep others from being forgotten", () => {
    const { clock, passedOver, add, of } = open();
    passedOver.nodeLapsed("a");
    const all = Array.from({ length: 70_000 }, (_, at) => job(`u${at % 100}`));
    const kept = job("juliet");
    add(kept);
    for (const one of all) {
      add(one);
      passedOver.remove(one.took);
    }
    expect(of("juliet", "s", "a")).toEqual([kept]);
    expect(passedOver.size).toBe(1);
    clock.advance(130_000);
    expect(passedOver.size).toBe(0);
  });

  test("is bounded for each user, and for all; the oldest goes first and is counted", () => {
    const { counters, passedOver, add, of } = open();
    passedOver.nodeLapsed("a");
    for (let count = 0; count < 1_010; count += 1) add(job("juliet"));
    expect(of("juliet", "s", "a").length).toBe(1_000);
    expect(counters.passedOverLost).toBe(10);
    for (let count = 0; count < 5; count += 1) add(job("nurse", 2 ** 20));
    expect(of("nurse", "s", "a").length).toBe(3);
    for (let user = 0; user < 40; user += 1) add(job(`u${user}`, 2 ** 20));
    expect(of("juliet", "s", "a")).toEqual([]);
    expect(of("u39", "s", "a").length).toBe(1);
    expect(passedOver.size).toBeLessThan(32);
  });

  test("is owed to who is found late, as the routes of a node come later than its record", () => {
    const { clock, passedOver, add } = open();
    const one = job("juliet");
    const late = route("juliet", "s", "a");
    const owed = () => passedOver.owedTo(late).map((entry) => entry.job);
    passedOver.nodeDown("a");
    add(one);
    passedOver.nodeBack("a");
    passedOver.found("juliet", [route("juliet", "other", "b")]);
    expect(owed()).toEqual([one]);
    clock.advance(1_000);
    passedOver.found("juliet", [route("juliet", "other", "b")]);
    expect(owed()).toEqual([]);
  });

  test("is remembered without the buffer that it came in", () => {
    const { add } = open();
    const bytes = Buffer.from("<message xmlns='jabber:client' from='r@d/o' to='j@d'/>");
    const made = { ...job("juliet"), envelope: envelopeOf(bytes, 0) };
    expect(made.envelope.bytes.buffer.byteLength).toBeGreaterThan(bytes.length);
    add(made);
    expect(made.envelope.bytes.buffer.byteLength).toBe(bytes.length);
  });
});
