import { expect, test } from "vitest";
import { PATIENCE_MS, RIDE_MS } from "./riders.ts";
import { Bench, mirrored, stateOf, told, turn } from "./testing/bench.ts";

test("a session is sent whole, then its changes, those of one turn in one frame", async () => {
  const bench = new Bench("a");
  bench.mirror.begin("s");
  bench.mirror.begin("t");
  expect(told(await bench.one())).toBe("a 1: whole s 1, whole t 1");
  bench.mirror.changed("s");
  bench.mirror.changed("s");
  expect(told(await bench.one())).toBe("a 1: change s 2");
});

test("a promise waits until the shadow has all changes before it", async () => {
  const bench = new Bench("a");
  bench.mirror.begin("s");
  const whole = await bench.one();
  const first = bench.mirror.settled("s");
  bench.mirror.changed("s");
  const second = bench.mirror.settled("s");
  const change = await bench.one();
  whole.resolve(["stored"]);
  expect(await stateOf(first)).toBe(true);
  expect(await stateOf(second)).toBe("waits");
  change.resolve(["stored"]);
  expect(await stateOf(second)).toBe(true);
  expect(bench.mirror.settled("s")).toBeUndefined();
});

test("what is sent in pieces is stored with the last of them", async () => {
  const bench = new Bench("a");
  bench.isComplete = false;
  bench.mirror.begin("s");
  await turn();
  bench.isComplete = true;
  const pieces = await bench.next();
  const settled = bench.mirror.settled("s");
  expect(pieces.map(told)).toEqual(["a 1: whole s 1", "a 1: change s 2"]);
  pieces[0]?.resolve(["stored"]);
  expect(await stateOf(settled)).toBe("waits");
  pieces[1]?.resolve(["stored"]);
  expect(await stateOf(settled)).toBe(true);
});

test("an answer that nobody waits for may take its time", async () => {
  const bench = await mirrored("a");
  bench.mirror.changed("s");
  expect((await bench.one()).isAwaited).toBe(false);
  bench.isForClient = true;
  bench.mirror.changed("s");
  expect((await bench.one()).isAwaited).toBe(true);
  bench.isForClient = false;
  bench.mirror.changed("s");
  const settled = bench.mirror.settled("s");
  const change = await bench.one();
  expect(change.isAwaited).toBe(true);
  change.resolve(["stored"]);
  expect(await stateOf(settled)).toBe(true);
});

test("who comes to wait for it asks once more", async () => {
  const bench = await mirrored("a");
  bench.mirror.changed("s");
  const unawaited = await bench.one();
  const settled = bench.mirror.settled("s");
  const again = await bench.one();
  expect(told(again)).toBe("a 1: change s 3");
  expect(again.isAwaited).toBe(true);
  again.resolve(["stored"]);
  expect(await stateOf(settled)).toBe(true);
  unawaited.resolve(["stored"]);
  expect(bench.mirror.settled("s")).toBeUndefined();
});

test("alone, a node goes on without; who comes later is sent everything", async () => {
  const bench = new Bench();
  bench.mirror.begin("s");
  expect(await stateOf(bench.mirror.settled("s"))).toBe(true);
  expect(bench.mirror.stats).toMatchObject({ shadowed: 0, unshadowed: 1 });
  bench.nodes.push("a");
  bench.mirror.nodeUp("a");
  const whole = await bench.one();
  expect(told(whole)).toBe("a 1: whole s 1");
  expect(await stateOf(bench.mirror.settled("s"))).toBe("waits");
  expect(bench.mirror.stats).toMatchObject({ shadowed: 1, unshadowed: 0 });
});

test("a node that joins takes nothing from a shadow that is there", async () => {
  const bench = await mirrored("b");
  bench.nodes.unshift("a");
  bench.mirror.nodeUp("a");
  bench.mirror.changed("s");
  expect(told(await bench.one())).toBe("b 1: change s 2");
});

test("what a shadow does not know is sent whole again, and is not promised until then", async () => {
  const bench = await mirrored("a");
  bench.mirror.changed("s");
  (await bench.one()).resolve(["unknown"]);
  const whole = await bench.one();
  const settled = bench.mirror.settled("s");
  expect(told(whole)).toBe("a 1: whole s 3");
  expect(await stateOf(settled)).toBe("waits");
  whole.resolve(["stored"]);
  expect(await stateOf(settled)).toBe(true);
});

test("a session that its shadow goes on with is told of", async () => {
  const bench = await mirrored("a");
  bench.mirror.touchAll();
  const touched = await bench.one();
  expect(told(touched)).toBe("a 1: change s 2");
  touched.resolve(["kept"]);
  await turn();
  expect(bench.kept).toEqual(["s"]);
});

test("a session that ends is dropped by its shadow, and who waits is told", async () => {
  const bench = await mirrored("a");
  bench.mirror.changed("s");
  const settled = bench.mirror.settled("s");
  bench.mirror.end("s");
  expect(await stateOf(settled)).toBe(false);
  expect(told(await bench.one())).toBe("a 1: drop s 0");
  expect(bench.mirror.settled("s")).toBeUndefined();
});

test("a large batch goes in several frames, in order", async () => {
  const bench = new Bench("a");
  for (let n = 0; n < 6_000; n += 1) bench.mirror.begin(`s${n}`);
  const frames = await bench.next();
  expect(frames.map(({ items }) => items.length)).toEqual([5_000, 1_000]);
  expect(frames[1]?.items[0]?.id).toBe("s5000");
});

test("a session is safe while another node has all of it", async () => {
  const bench = await mirrored("a");
  expect(bench.mirror.isSafe("s")).toBe(true);
  bench.mirror.changed("s");
  expect(bench.mirror.isSafe("s")).toBe(false);
  (await bench.one()).resolve(["stored"]);
  await bench.mirror.settled("s");
  expect(bench.mirror.isSafe("s")).toBe(true);
  bench.nodes.shift();
  bench.mirror.nodeDown("a");
  expect(bench.mirror.isSafe("s")).toBe(false);
  expect(bench.mirror.isSafe("nobody")).toBe(false);
});

test("what a shadow has forgotten is sent to it whole again", async () => {
  const bench = await mirrored("a");
  bench.mirror.forgottenBy("b");
  bench.mirror.forgottenBy("a");
  expect(bench.mirror.isSafe("s")).toBe(false);
  expect(told(await bench.one())).toBe("a 1: whole s 2");
});

test("how far a shadow has a session is told when nothing of it is on its way", async () => {
  const bench = await mirrored("a");
  bench.stored.splice(0);
  const change = async (until: number, isComplete: boolean) => {
    Object.assign(bench, { until, isComplete });
    bench.mirror.changed("s");
    return await bench.one();
  };
  const [first, second] = [await change(3, true), await change(4, true)];
  expect(bench.stored).toEqual([]);
  first.resolve(["stored"]);
  await turn();
  expect(bench.stored).toEqual(["s 3"]);
  second.resolve(["unknown"]);
  bench.isComplete = false;
  const piece = await bench.one();
  Object.assign(bench, { until: 5, isComplete: true });
  const rest = await bench.one();
  for (const { resolve } of [piece, rest]) resolve(["stored"]);
  await turn();
  expect(bench.stored).toEqual(["s 3", "s 5"]);
});

test("what nobody can have a copy of waits for nobody", async () => {
  const bench = new Bench();
  bench.mirror.begin("s");
  expect(bench.mirror.isMirrored("s")).toBe(true); // It is not known yet.
  expect(await bench.next()).toEqual([]);
  expect(bench.mirror.isMirrored("s")).toBe(false);
  expect(bench.stored).toEqual(["s Infinity"]);
  bench.nodes.push("a");
  bench.mirror.nodeUp("a");
  await bench.one();
  expect(bench.mirror.isMirrored("s")).toBe(true);
  bench.mirror.close("s");
  expect(bench.mirror.isMirrored("s")).toBe(false);
});

test("a change that nobody waits for goes after a while, or with what somebody waits for", async () => {
  const bench = await mirrored("a");
  bench.mirror.changedLittle("s");
  bench.mirror.changedLittle("s");
  expect(await bench.next()).toEqual([]);
  bench.clock.advance(PATIENCE_MS + 2 * RIDE_MS);
  const first = await bench.one();
  expect(told(first)).toBe("a 1: change s 2");
  bench.mirror.changedLittle("s");
  bench.mirror.changed("s");
  expect(told(await bench.one())).toBe("a 1: change s 3");
  bench.clock.advance(PATIENCE_MS + 2 * RIDE_MS);
  expect(await bench.next()).toEqual([]);
  bench.mirror.changedLittle("s");
  const wait = bench.mirror.settled("s");
  const last = await bench.one();
  expect(told(last)).toBe("a 1: change s 4");
  last.resolve(["stored"]);
  expect(await stateOf(wait)).toBe(true);
});

test("what a session has to say aside goes with what goes to its shadow", async () => {
  const bench = await mirrored("a");
  bench.mirror.begin("t");
  (await bench.one()).resolve(["stored"]);
  bench.mirror.changedAside("s");
  expect(await bench.next()).toEqual([]);
  bench.mirror.changed("t");
  expect(told(await bench.one())).toBe("a 1: change t 2, change s 2");
});
