/** Shadows that fail, go, or lose their lease. */
import { expect, test } from "vitest";
import { PROBE_MS, RETURN_MS, SUSPECT_MS } from "./standing.ts";
import { mirrored, stateOf, told, turn } from "./testing/bench.ts";

test("a shadow that fails is renounced before another one counts, and comes back in a new term", async () => {
  const bench = await mirrored("a", "b");
  bench.mirror.changed("s");
  (await bench.one()).reject(new Error("mesh-timeout"));
  const whole = await bench.one();
  expect(told(whole)).toBe("b 1: whole s 3");
  const settled = bench.mirror.settled("s");
  whole.resolve(["stored"]);
  expect(await stateOf(settled)).toBe("waits");
  expect(bench.renounced.map(({ about }) => about)).toEqual(["a 1"]);
  bench.renounced[0]?.resolve(true);
  expect(await stateOf(settled)).toBe(true);
  bench.mirror.begin("t");
  expect(told(await bench.one())).toBe("b 1: whole t 1");
  bench.clock.advance(PROBE_MS);
  (await bench.one()).resolve([]);
  await turn();
  bench.mirror.begin("u");
  expect(told(await bench.one())).toBe("a 2: whole u 1");
});

test("nobody goes on without, either, before a shadow that failed is renounced", async () => {
  const bench = await mirrored("a");
  bench.mirror.changed("s");
  (await bench.one()).reject(new Error("mesh-timeout"));
  await turn();
  const settled = bench.mirror.settled("s");
  expect(await stateOf(settled)).toBe("waits");
  bench.renounced[0]?.resolve(true);
  expect(await stateOf(settled)).toBe(true);
  bench.clock.advance(PROBE_MS);
  const probe = await bench.one();
  expect(told(probe)).toBe("a 2: ");
  probe.resolve([]);
  expect(told(await bench.one())).toBe("a 2: whole s 3");
});

test("a node that did not answer is asked again until it does, and has no sessions meanwhile", async () => {
  const bench = await mirrored("a");
  bench.mirror.changed("s");
  (await bench.one()).reject(new Error("mesh-timeout"));
  await turn();
  for (let probe = 1; probe <= 3; probe += 1) {
    bench.clock.advance(PROBE_MS);
    const asked = await bench.one();
    expect(told(asked)).toBe("a 2: ");
    asked.reject(new Error("mesh-timeout"));
    await turn();
  }
  bench.clock.advance(PROBE_MS);
  (await bench.one()).resolve([]);
  expect(told(await bench.one())).toBe("a 2: whole s 3");
});

test("a node that fails again as soon as it is trusted is asked less often", async () => {
  const bench = await mirrored("a");
  bench.mirror.changed("s");
  (await bench.one()).reject(new Error("mesh-timeout"));
  await turn();
  bench.clock.advance(PROBE_MS);
  (await bench.one()).resolve([]);
  (await bench.one()).reject(new Error("mesh-overload"));
  await turn();
  bench.clock.advance(SUSPECT_MS - 1);
  expect(await bench.next()).toEqual([]);
  bench.clock.advance(1);
  expect(told(await bench.one())).toBe("a 3: ");
});

test("a node that has gone is not asked any more", async () => {
  const bench = await mirrored("a");
  bench.mirror.changed("s");
  (await bench.one()).reject(new Error("mesh-timeout"));
  await turn();
  bench.clock.advance(PROBE_MS);
  const probe = await bench.one();
  bench.nodes.splice(0);
  bench.mirror.nodeDown("a");
  probe.reject(new Error("mesh-down"));
  await turn();
  bench.clock.advance(SUSPECT_MS);
  expect(await bench.next()).toEqual([]);
});

test("a session without a shadow gets the first that answers again, at once", async () => {
  const bench = await mirrored("a", "b");
  bench.mirror.changed("s");
  (await bench.one()).reject(new Error("mesh-timeout"));
  const other = await bench.one();
  bench.clock.advance(PROBE_MS / 2);
  other.reject(new Error("mesh-timeout"));
  expect(await bench.next()).toEqual([]);
  bench.clock.advance(PROBE_MS / 2);
  (await bench.one()).resolve([]);
  expect(told(await bench.one())).toBe("a 2: whole s 4");
});

test("a node that was never sent anything has nothing to be renounced", async () => {
  const bench = await mirrored("a", "b");
  bench.mirror.nodeDown("b");
  await turn();
  expect(bench.renounced).toEqual([]);
});

test("a shadow without a lease keeps its copies until another one has them", async () => {
  const bench = await mirrored("a", "b");
  bench.mirror.nodeLapsed("a");
  const whole = await bench.one();
  expect(told(whole)).toBe("b 1: whole s 2");
  const settled = bench.mirror.settled("s");
  expect(bench.renounced).toEqual([]);
  whole.resolve(["stored"]);
  await turn();
  expect(bench.renounced.map(({ about }) => about)).toEqual(["a 1"]);
  expect(await stateOf(settled)).toBe("waits");
  bench.renounced[0]?.resolve(true);
  expect(await stateOf(settled)).toBe(true);
  bench.mirror.nodeUp("a");
  expect(told(await bench.one())).toBe("a 2: "); // What it had is gone then.
});

test("it keeps them where no other node has a lease", async () => {
  const bench = await mirrored("a", "b");
  bench.mirror.nodeLapsed("b");
  bench.mirror.nodeLapsed("a");
  expect(await bench.next()).toEqual([]);
  bench.mirror.begin("t");
  expect(told(await bench.one())).toBe("a 1: whole t 1");
  bench.mirror.nodeUp("b");
  expect(told(await bench.one())).toBe("b 1: whole s 2, whole t 2");
});

test("and as long as this one has not had its own back for a while", async () => {
  const bench = await mirrored("a", "b");
  bench.mirror.leaseLost();
  bench.mirror.nodeLapsed("a");
  bench.mirror.leaseRegained();
  bench.mirror.changed("s");
  expect(told(await bench.one())).toBe("a 1: change s 2");
  bench.clock.advance(RETURN_MS);
  expect(told(await bench.one())).toBe("b 1: whole s 3");
  expect(await bench.next()).toEqual([]);
});

test("a shadow that failed is renounced once others have what it has, whoever else fails", async () => {
  const bench = await mirrored("a", "b", "c");
  bench.mirror.changed("s");
  (await bench.one()).reject(new Error("mesh-timeout"));
  const second = await bench.one();
  expect(told(second)).toBe("b 1: whole s 3");
  second.reject(new Error("mesh-timeout"));
  const third = await bench.one();
  expect(told(third)).toBe("c 1: whole s 4");
  await turn();
  expect(bench.renounced).toEqual([]); // Were this node dead now, it would have the only copy.
  third.resolve(["stored"]);
  await turn();
  expect(bench.renounced.map(({ about }) => about)).toEqual(["b 1", "a 1"]);
});

test("nor is it when that could not be noted, and whoever has it since has failed, too", async () => {
  const bench = await mirrored("a", "b", "c");
  bench.mirror.changed("s");
  (await bench.one()).reject(new Error("mesh-timeout"));
  (await bench.one()).resolve(["stored"]);
  await turn();
  bench.mirror.nodeDown("b");
  bench.renounced[0]?.resolve(false);
  const whole = await bench.one();
  expect(told(whole)).toBe("c 1: whole s 4");
  expect(bench.renounced.map(({ about }) => about)).toEqual(["a 1"]);
  whole.resolve(["stored"]);
  await turn();
  expect(bench.renounced.map(({ about }) => about)).toEqual(["a 1", "b 1", "a 1"]);
});

test("several frames that fail at once are one failure", async () => {
  const bench = await mirrored("a");
  bench.mirror.changed("s");
  const first = await bench.one();
  bench.mirror.changed("s");
  const second = await bench.one();
  first.reject(new Error("mesh-timeout"));
  second.reject(new Error("mesh-timeout"));
  await turn();
  expect(bench.renounced.map(({ about }) => about)).toEqual(["a 1"]);
});

test("nothing is promised on the strength of a copy that is known to be gone", async () => {
  const bench = await mirrored("a", "b");
  expect(bench.mirror.settled("s")).toBeUndefined();
  bench.nodes.shift();
  bench.mirror.nodeDown("a");
  const settled = bench.mirror.settled("s");
  const whole = await bench.one();
  expect(told(whole)).toBe("b 1: whole s 2");
  whole.resolve(["stored"]);
  // It may be back before we see it, with what was sent to it meanwhile.
  expect(await stateOf(settled)).toBe("waits");
  expect(bench.renounced.map(({ about }) => about)).toEqual(["a 1"]);
  bench.renounced[0]?.resolve(true);
  expect(await stateOf(settled)).toBe(true);
});

test("an answer from before a shadow was left says nothing", async () => {
  const bench = await mirrored("a", "b");
  bench.mirror.changed("s");
  const late = await bench.one();
  bench.nodes.shift();
  bench.mirror.nodeDown("a");
  bench.renounced[0]?.resolve(true);
  const settled = bench.mirror.settled("s");
  late.resolve(["stored"]);
  expect(await stateOf(settled)).toBe("waits");
});
