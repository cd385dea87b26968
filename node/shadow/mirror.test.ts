import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { MirrorItem, Verdict } from "./mirror.ts";
import { Mirror } from "./mirror.ts";
import { PATIENCE_MS, RIDE_MS } from "./riders.ts";
import { PROBE_MS, RETURN_MS, SUSPECT_MS } from "./standing.ts";

interface Sent {
  readonly node: string;
  readonly term: number;
  readonly items: readonly MirrorItem[];
  readonly isAwaited: boolean;
  resolve(verdicts: readonly Verdict[]): void;
  reject(error: Error): void;
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve));

/** A mirror, and what it asks for; nodes are chosen in the order given. */
class Bench {
  readonly nodes: string[];
  readonly sent: Sent[] = [];
  readonly renounced: { readonly about: string; readonly resolve: (isNoted: boolean) => void }[] =
    [];
  readonly kept: string[] = [];
  readonly clock = new FakeClock();
  /** Whether what is encoded next is all there is. */
  isComplete = true;
  /** Whether there is something for the client in it. */
  isForClient = false;
  /** As far as that goes. */
  until = 0;
  readonly stored: string[] = [];
  readonly mirror = new Mirror({
    choose: (_id, isUsable) => this.nodes.find(isUsable),
    encode: (id) => ({
      payload: Buffer.from(id),
      isComplete: this.isComplete,
      until: this.until,
      isForClient: this.isForClient,
    }),
    send: (node, term, items, isAwaited) => {
      const { promise, resolve, reject } = Promise.withResolvers<readonly Verdict[]>();
      this.sent.push({ node, term, items, isAwaited, resolve, reject });
      return promise;
    },
    notesLastMs: Number.POSITIVE_INFINITY,
    renounce: (node, term) =>
      new Promise((resolve) => this.renounced.push({ about: `${node} ${term}`, resolve })),
    schedule: (work) => void setImmediate(work),
    after: (ms, work) => void this.clock.after(ms, work),
    nowMs: () => this.clock.monotonicMs(),
    onKept: (id) => void this.kept.push(id),
    onStored: (id, until) => void this.stored.push(`${id} ${until}`),
  });

  constructor(...nodes: string[]) {
    this.nodes = nodes;
  }

  /** Everything sent since the last call. */
  async next(): Promise<readonly Sent[]> {
    await turn();
    await turn();
    return this.sent.splice(0);
  }

  async one(): Promise<Sent> {
    const [sent, ...others] = await this.next();
    expect(others).toEqual([]);
    if (sent === undefined) throw new Error("nothing was sent");
    return sent;
  }
}

const told = ({ node, term, items }: Sent): string =>
  `${node} ${term}: ${items.map(({ kind, id, sequence }) => `${kind} ${id} ${sequence}`).join(", ")}`;

/** What a wait has come to by now. */
async function stateOf(wait: Promise<boolean> | undefined): Promise<boolean | "waits"> {
  return await Promise.race([wait ?? true, turn().then(() => "waits" as const)]);
}

/** A session "s" whose whole its shadow has. */
async function mirrored(...nodes: string[]): Promise<Bench> {
  const bench = new Bench(...nodes);
  bench.mirror.begin("s");
  (await bench.one()).resolve(["stored"]);
  await turn();
  return bench;
}

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
