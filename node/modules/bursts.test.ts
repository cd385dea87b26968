/** Many messages of one sender to one recipient on another node, in one moment. */
import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { FrameKind } from "../mesh/contract.ts";
import { decodeDeliver } from "../router/frames.ts";
import { Cluster, DOMAIN } from "./testing/cluster.ts";
import type { MeshEnd } from "./testing/memory-mesh.ts";

const JULIET = `juliet@${DOMAIN}/balcony`;
const TIMEOUT = new Unavailable("mesh-timeout", "Cannot reach node: no answer");
const upTo = (last: number) => Array.from({ length: last + 1 }, (_, id) => id);
const message = (id: number) =>
  `<message to='${JULIET}' type='chat' id='${id}'><body>${id}</body></message>`;

/** Romeo on the first node; Juliet on the second, whose answers are held back when a test says so. */
async function scene() {
  const cluster = new Cluster();
  for (const name of ["romeo", "juliet"]) cluster.stores.addUser(`${name}@${DOMAIN}`);
  const [here, there] = [cluster.node(0), cluster.node(1)];
  const romeo = await here.login(`romeo@${DOMAIN}/orchard`);
  const juliet = await there.login(JULIET);
  await there.send(juliet, "<presence/>");
  await here.send(romeo, message(0)); // Now its route is known.
  await cluster.settle();
  juliet.acknowledge();
  const end = cluster.ends.get(there.name) as MeshEnd;
  const held = Promise.withResolvers<void>();
  /** How many deliveries have come in that are not answered. */
  const seen = { unanswered: 0, all: 0 };
  /** What is lost once: the frame of that message, or the answer to it. */
  const losses = new Map<number, "frame" | "answer">();
  cluster.ends.set(there.name, {
    ...end,
    onFrame: async (from, kind, payload) => {
      if (kind !== FrameKind.deliver) return await end.onFrame(from, kind, payload);
      const id = (decodeDeliver(payload).origin?.count ?? 0) - 1;
      const loss = losses.get(id);
      losses.delete(id);
      if (loss === "frame") throw TIMEOUT;
      const answer = await end.onFrame(from, kind, payload);
      if (loss === "answer") throw TIMEOUT;
      seen.unanswered += 1;
      seen.all += 1;
      await held.promise;
      seen.unanswered -= 1;
      return answer;
    },
  });
  const say = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, at) => here.send(romeo, message(from + at)));
  return { cluster, here, there, romeo, juliet, held, seen, losses, say };
}

test("they are sent before the first of them is answered, and accepted when all before are", async () => {
  const { cluster, juliet, held, seen, say } = await scene();
  let accepted = 0;
  const all = say(1, 20).map((one) => one.then(() => (accepted += 1)));
  await cluster.settle();
  expect(seen).toEqual({ unanswered: 16, all: 16 }); // As many as a lane has on their way at once.
  juliet.acknowledge();
  expect(juliet.messages().map(Number)).toEqual(upTo(16));
  expect(accepted).toBe(0);
  held.resolve();
  await Promise.all(all);
  await cluster.settle();
  juliet.acknowledge();
  expect(juliet.messages().map(Number)).toEqual(upTo(20));
  expect(seen.all).toBe(20); // None was sent twice.
  expect(accepted).toBe(20);
});

test("those behind one that was refused are sent again after it, in order", async () => {
  const { cluster, there, juliet, held, say } = await scene();
  held.resolve();
  const all = say(1, 5);
  // Her session ends before they arrive, and another one of hers is there.
  await there.drop(juliet);
  const next = await there.login(JULIET);
  await there.send(next, "<presence/>");
  all.push(...say(6, 10));
  await Promise.all(all);
  await cluster.settle();
  next.acknowledge();
  const got = [juliet, next].flatMap((session) => session.messages().map(Number));
  expect(got.filter((id) => id > 0)).toEqual(Array.from({ length: 10 }, (_, at) => at + 1));
});

test("what was on its way behind one that is stored, and nobody could be told of, is stored behind it", async () => {
  const { cluster, juliet, held, losses, say } = await scene();
  held.resolve();
  losses.set(1, "frame");
  cluster.shared.isAway = true;
  await Promise.all(say(1, 3));
  juliet.acknowledge();
  expect(juliet.messages()).toEqual(["0"]);
  expect(cluster.stores.storedFor(`juliet@${DOMAIN}`)).toHaveLength(3);
  cluster.shared.isAway = false;
  cluster.clock.advance(1_000);
  await cluster.settle();
  juliet.acknowledge();
  expect(juliet.messages().map(Number)).toEqual(upTo(3));
});

test("what may have arrived behind such a one is not stored if it has", async () => {
  const { cluster, juliet, held, losses, say } = await scene();
  held.resolve();
  for (const id of [1, 2]) losses.set(id, "answer");
  cluster.shared.isAway = true;
  await Promise.all(say(1, 3));
  expect(cluster.stores.storedFor(`juliet@${DOMAIN}`)).toHaveLength(1);
  cluster.shared.isAway = false;
  cluster.clock.advance(1_000);
  await cluster.settle();
  juliet.acknowledge();
  expect(juliet.messages().map(Number)).toEqual(upTo(3));
});

test("what is in doubt behind another is asked for again, and given once", async () => {
  const { cluster, juliet, held, losses, say } = await scene();
  held.resolve();
  losses.set(2, "answer").set(4, "frame");
  await Promise.all(say(1, 6));
  await cluster.settle();
  juliet.acknowledge();
  expect(juliet.messages().map(Number)).toEqual(upTo(6));
});
