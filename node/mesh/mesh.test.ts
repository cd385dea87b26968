import { afterEach, expect, test } from "vitest";
import { freePort } from "../../e2e/harness/ports.ts";
import { FakeClock } from "../base/fake-clock.ts";
import type { FrameHandler } from "./contract.ts";
import { FrameKind } from "./contract.ts";
import type { CountedMesh, MeshOptions } from "./mesh.ts";
import {
  introduce,
  listeningLog,
  makeTls,
  makeTwoNames,
  startMesh,
  until,
} from "./testing/cluster.ts";

const NOTHING = Buffer.alloc(0);
const opened: CountedMesh[] = [];
const acknowledge: FrameHandler = () => NOTHING;

async function start(
  incarnation: string,
  onFrame: FrameHandler = acknowledge,
  options: Partial<MeshOptions> = {},
): Promise<CountedMesh> {
  const mesh = await startMesh(incarnation, onFrame, options);
  opened.push(mesh);
  return mesh;
}

/** Two nodes; "one" knows "two". */
async function pair(
  onFrame: FrameHandler = acknowledge,
  options: { one?: Partial<MeshOptions>; two?: Partial<MeshOptions> } = {},
) {
  const one = await start("one", acknowledge, options.one);
  const two = await start("two", onFrame, options.two);
  introduce(one, "two", two.port);
  return { one, two };
}

afterEach(async () => {
  await Promise.all(opened.splice(0).map((mesh) => mesh[Symbol.asyncDispose]()));
});

test("10,000 frames are handled in order, in far fewer writes, and each gets its own answer", async () => {
  const got: number[] = [];
  const { one } = await pair((_, __, payload) => {
    got.push(payload.readUInt32BE());
    return Buffer.from(payload);
  });
  const numbers = Array.from({ length: 10_000 }, (_, number) => number);
  const answers = await Promise.all(
    numbers.map((number) => {
      const payload = Buffer.alloc(4);
      payload.writeUInt32BE(number);
      return one.request("two", FrameKind.deliver, payload);
    }),
  );
  expect(got).toEqual(numbers);
  expect(answers.map((answer) => answer.readUInt32BE())).toEqual(numbers);
  expect(one.stats.writes).toBeLessThan(100);
  expect(one.stats.dials).toBe(1);
  expect(one.stats.unanswered).toBe(0);
  expect(one.stats.unansweredBytes).toBe(0);
});

test("frames are handled in order although the handler answers in another order", async () => {
  const got: string[] = [];
  const held: (() => void)[] = [];
  const { one } = await pair((_, __, payload) => {
    const text = payload.toString();
    got.push(text);
    return new Promise((resolve) => held.push(() => resolve(Buffer.from(text))));
  });
  const settled: string[] = [];
  const requests = ["a", "b", "c"].map(async (text) => {
    const answer = await one.request("two", FrameKind.deliver, Buffer.from(text));
    settled.push(answer.toString());
  });
  await until(() => held.length === 3);
  held[2]?.();
  await requests[2];
  held[1]?.();
  await requests[1];
  held[0]?.();
  await requests[0];
  expect(got).toEqual(["a", "b", "c"]);
  expect(settled).toEqual(["c", "b", "a"]);
});

test("two nodes send to each other at the same time and know who sent", async () => {
  const from: string[] = [];
  const handler: FrameHandler = (sender, kind, payload) => {
    from.push(`${sender} ${kind}`);
    return Buffer.from(`${payload} seen`);
  };
  const one = await start("one", handler);
  const two = await start("two", handler);
  introduce(one, "two", two.port);
  introduce(two, "one", one.port);
  const answers = await Promise.all([
    one.request("two", FrameKind.routes, Buffer.from("x")),
    two.request("one", FrameKind.conflict, Buffer.from("y")),
  ]);
  expect(answers.map(String)).toEqual(["x seen", "y seen"]);
  expect(from.sort()).toEqual([`one ${FrameKind.routes}`, `two ${FrameKind.conflict}`]);
});

test("a frame of 8 MiB passes both ways, a larger one is refused before it is sent", async () => {
  const { one } = await pair((_, __, payload) => payload);
  const big = Buffer.alloc(8 * 1024 * 1024, "z");
  const answer = await one.request("two", FrameKind.deliver, big);
  expect(answer.equals(big)).toBe(true);
  const tooBig = Buffer.alloc(big.length + 1);
  await expect(one.request("two", FrameKind.deliver, tooBig)).rejects.toMatchObject({
    code: "mesh-oversize",
  });
  expect((await one.request("two", FrameKind.deliver, Buffer.from("on"))).toString()).toBe("on");
  expect(one.stats.dials).toBe(1);
});

test("a handler that throws fails its own request only, and does not tell why", async () => {
  const { one, two } = await pair((_, __, payload) => {
    if (payload.length === 0) throw new TypeError("secret words of a stanza");
    return payload;
  });
  const failed = one.request("two", FrameKind.deliver, NOTHING);
  const fine = one.request("two", FrameKind.deliver, Buffer.from("fine"));
  await expect(failed).rejects.toMatchObject({ code: "mesh-failed" });
  await expect(failed).rejects.not.toThrow("secret words");
  expect((await fine).toString()).toBe("fine");
  expect(two.stats.handlerFailures).toBe(1);
});

test("an answer too large for a frame is a failure, and the link lives on", async () => {
  const { one } = await pair((_, __, payload) => Buffer.alloc(payload.length * 1_000), {
    one: { limits: { frameBytesMax: 1_000 } },
    two: { limits: { frameBytesMax: 1_000 } },
  });
  await expect(one.request("two", FrameKind.deliver, Buffer.from("ab"))).rejects.toMatchObject({
    code: "mesh-failed",
  });
  expect(await one.request("two", FrameKind.deliver, Buffer.from("a"))).toHaveLength(1_000);
  expect(one.stats.dials).toBe(1);
});

test("more than the bound on unanswered frames or bytes is refused and not sent", async () => {
  const held: ((answer: Buffer) => void)[] = [];
  const limits = { unansweredMax: 3, unansweredBytesMax: 1_000, frameBytesMax: 900 };
  const { one, two } = await pair(() => new Promise((resolve) => held.push(resolve)), {
    one: { limits },
  });
  const small = [1, 2, 3].map(() => one.request("two", FrameKind.deliver, NOTHING));
  await expect(one.request("two", FrameKind.deliver, NOTHING)).rejects.toMatchObject({
    code: "mesh-overload",
  });
  await until(() => held.length === 3);
  for (const answer of held.splice(0)) answer(NOTHING);
  await Promise.all(small);
  const large = one.request("two", FrameKind.deliver, Buffer.alloc(800));
  await expect(one.request("two", FrameKind.deliver, Buffer.alloc(800))).rejects.toMatchObject({
    code: "mesh-overload",
  });
  await until(() => held.length === 1);
  held[0]?.(NOTHING);
  await large;
  expect(one.stats.overloads).toBe(2);
  expect(two.stats.handled).toBe(4);
});

test("a node reads no further from a peer that it owes too many answers", async () => {
  const held: ((answer: Buffer) => void)[] = [];
  const { one, two } = await pair(() => new Promise((resolve) => held.push(resolve)), {
    two: { limits: { unansweredMax: 10 } },
  });
  const requests = Array.from({ length: 2_000 }, () =>
    one.request("two", FrameKind.deliver, Buffer.alloc(1_000)),
  );
  await until(() => held.length > 10);
  for (let turn = 0; turn < 50; turn += 1) await new Promise((r) => setImmediate(r));
  expect(held.length).toBeLessThan(200); // What one read from the network held, at most.
  const answerAll = setInterval(() => {
    for (const answer of held.splice(0)) answer(NOTHING);
  }, 1);
  await Promise.all(requests);
  clearInterval(answerAll);
  expect(two.stats.handled).toBe(2_000);
});

test("a node that nobody told of cannot be reached, nor one that was removed", async () => {
  const { one } = await pair(() => new Promise(() => undefined));
  await expect(one.request("three", FrameKind.deliver, NOTHING)).rejects.toMatchObject({
    code: "mesh-down",
  });
  const pending = one.request("two", FrameKind.deliver, NOTHING);
  const failed = expect(pending).rejects.toMatchObject({ code: "mesh-down" });
  one.removePeer("two");
  await failed;
  await expect(one.request("two", FrameKind.deliver, NOTHING)).rejects.toMatchObject({
    code: "mesh-down",
  });
});

test("after a failed dial requests fail at once until the backoff is over", async () => {
  const clock = new FakeClock();
  const refused: string[] = [];
  const onRefused = (node: string) => void refused.push(node);
  const one = await start("one", acknowledge, { clock, onRefused });
  const port = await freePort();
  introduce(one, "two", port);
  const attempt = () => one.request("two", FrameKind.deliver, NOTHING).then(String, (e) => e.code);
  expect(await attempt()).toBe("mesh-refused");
  expect(await attempt()).toBe("mesh-refused");
  expect(one.stats.dials).toBe(1);
  clock.advance(100);
  expect(await attempt()).toBe("mesh-refused");
  expect(one.stats.dials).toBe(2);
  clock.advance(100); // The second wait is twice as long.
  expect(await attempt()).toBe("mesh-refused");
  expect(one.stats.dials).toBe(2);
  await start("two", acknowledge, { port });
  clock.advance(100);
  expect(await attempt()).toBe("");
  expect(refused).toEqual(["two", "two"]); // Once for each dial.
});

test("protocol ranges that overlap interoperate", async () => {
  const { one } = await pair((_, __, payload) => payload, {
    one: { protocol: { min: 1, max: 1 } },
    two: { protocol: { min: 1, max: 2 } },
  });
  expect(String(await one.request("two", FrameKind.deliver, Buffer.from("hi")))).toBe("hi");
});

test("protocol ranges without overlap are refused with a name, in both logs", async () => {
  const [ours, theirs]: [string[], string[]] = [[], []];
  const { one } = await pair(acknowledge, {
    one: { protocol: { min: 1, max: 1 }, log: listeningLog(ours) },
    two: { protocol: { min: 2, max: 2 }, log: listeningLog(theirs) },
  });
  const request = one.request("two", FrameKind.deliver, NOTHING);
  await expect(request).rejects.toMatchObject({ code: "mesh-down" });
  await expect(request).rejects.toThrow("mesh-version, it speaks protocol 2 to 2, we 1 to 1");
  await until(() => theirs.length > 0);
  expect(ours.join()).toContain("link lost mesh-version, it speaks protocol 2 to 2, we 1 to 1");
  expect(theirs.join()).toContain(
    "peer refused mesh-version, it speaks protocol 1 to 1, we 2 to 2",
  );
});

test("a node with another incarnation than dialled gets nothing", async () => {
  const handled: string[] = [];
  const one = await start("one");
  const two = await start("reborn", (from) => {
    handled.push(from);
    return NOTHING;
  });
  introduce(one, "two", two.port);
  const request = one.request("two", FrameKind.deliver, NOTHING);
  await expect(request).rejects.toMatchObject({ code: "mesh-down" });
  await expect(request).rejects.toThrow("mesh-incarnation, node reborn answers there");
  expect(handled).toEqual([]);
});

test("a node of another authority is refused, whoever dials", async () => {
  const stranger = await makeTls();
  const one = await start("one");
  const two = await start("two", acknowledge, { tls: stranger });
  introduce(one, "two", two.port);
  introduce(two, "one", one.port);
  const codes = await Promise.all(
    [one.request("two", 1, NOTHING), two.request("one", 1, NOTHING)].map((request) =>
      request.then(String, (error) => error.code),
    ),
  );
  expect(codes).toEqual(["mesh-down", "mesh-down"]);
});

test("a certificate of our authority for another name is refused, whoever dials", async () => {
  const [right, wrong] = await makeTwoNames("someone.else.test");
  const one = await start("one", acknowledge, { tls: right });
  const two = await start("two", acknowledge, { tls: wrong });
  introduce(one, "two", two.port);
  introduce(two, "one", one.port);
  const codes = await Promise.all(
    [one.request("two", 1, NOTHING), two.request("one", 1, NOTHING)].map((request) =>
      request.then(String, (error) => error.code),
    ),
  );
  expect(codes).toEqual(["mesh-down", "mesh-down"]);
  expect(one.stats.handled + two.stats.handled).toBe(0);
});

test("a node that leaves answers what it was sent, and its peers send no more", async () => {
  const held: ((answer: Buffer) => void)[] = [];
  const { one, two } = await pair(() => new Promise((resolve) => held.push(resolve)));
  const inFlight = one.request("two", FrameKind.deliver, NOTHING);
  await until(() => held.length === 1);
  const left = two[Symbol.asyncDispose]();
  setImmediate(() => held[0]?.(Buffer.from("still answered")));
  expect(String(await inFlight)).toBe("still answered");
  await left;
  await expect(one.request("two", FrameKind.deliver, NOTHING)).rejects.toMatchObject({
    code: "mesh-down",
  });
});

test("a node that leaves waits for its own answers, but not for ever", async () => {
  const { one } = await pair(() => new Promise(() => undefined), {
    one: { limits: { drainMs: 50 } },
    two: { limits: { drainMs: 50 } },
  });
  const pending = one.request("two", FrameKind.deliver, NOTHING);
  const failed = expect(pending).rejects.toMatchObject({ code: "mesh-down" });
  await one[Symbol.asyncDispose]();
  await failed;
});

test("an address that is taken is named in the error", async () => {
  const one = await start("one");
  await expect(start("two", acknowledge, { port: one.port })).rejects.toThrow(
    `Cannot listen for nodes on 127.0.0.1:${one.port}`,
  );
});

test("certificates that cannot be read are refused at the start", async () => {
  const tls = { authority: "not", certificate: "a", key: "certificate" };
  await expect(start("one", acknowledge, { tls })).rejects.toThrow("certificates do not fit");
});
