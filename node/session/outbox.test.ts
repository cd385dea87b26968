import { expect, test } from "vitest";
import { bytesOf, Outbox } from "./outbox.ts";
import { bodyOf, message } from "./testing/door-kit.ts";

const filled = (count: number, acknowledged = 0): Outbox => {
  const outbox = new Outbox({ stanzasMax: 1_000, bytesMax: 1_000_000 }, acknowledged);
  for (let number = 1; number <= count; number += 1) outbox.add(message(`${number}`));
  return outbox;
};
const waiting = (outbox: Outbox) => outbox.unacknowledged().map(bodyOf);

test("what is acknowledged is forgotten, the rest stays in order", () => {
  const outbox = filled(4);
  expect(outbox.acknowledge(2)).toBe(true);
  expect(waiting(outbox)).toEqual(["3", "4"]);
  expect(outbox.acknowledge(2)).toBe(true);
  expect(outbox.acknowledge(4)).toBe(true);
  expect(outbox.size).toBe(0);
});

test("counting more than was sent is refused, and changes nothing", () => {
  const outbox = filled(2);
  expect(outbox.acknowledge(3)).toBe(false);
  expect(outbox.acknowledge(2 ** 32 - 1)).toBe(false);
  expect(waiting(outbox)).toEqual(["1", "2"]);
});

test("counting less than before is refused: the client lost count", () => {
  const outbox = filled(3);
  outbox.acknowledge(2);
  expect(outbox.acknowledge(1)).toBe(false);
});

test("counters wrap around at 2^32", () => {
  const outbox = filled(4, 2 ** 32 - 2);
  expect(outbox.sentCount).toBe(2);
  expect(outbox.acknowledge(2 ** 32 - 1)).toBe(true);
  expect(waiting(outbox)).toEqual(["2", "3", "4"]);
  expect(outbox.acknowledge(0)).toBe(true);
  expect(waiting(outbox)).toEqual(["3", "4"]);
  expect(outbox.acknowledge(3)).toBe(false);
  expect(outbox.acknowledge(2)).toBe(true);
  expect(outbox.size).toBe(0);
});

test("stanzas not worth rerouting count all the same", () => {
  const outbox = new Outbox({ stanzasMax: 10, bytesMax: 1_000_000 });
  outbox.add(undefined);
  outbox.add(message("kept"));
  expect(outbox.size).toBe(2);
  expect(waiting(outbox)).toEqual(["kept"]);
  outbox.acknowledge(1);
  expect(waiting(outbox)).toEqual(["kept"]);
});

test("there is one open request at a time, and none without stanzas", () => {
  const outbox = new Outbox({ stanzasMax: 10, bytesMax: 1_000_000 });
  expect(outbox.takeRequest()).toBe(false);
  outbox.add(message("1"));
  expect(outbox.takeRequest()).toBe(true);
  outbox.add(message("2"));
  expect(outbox.takeRequest()).toBe(false);
  outbox.acknowledge(1);
  expect(outbox.hasUnasked).toBe(true);
  expect(outbox.takeRequest()).toBe(true);
});

test("an answer without progress does not provoke the next question", () => {
  const outbox = filled(2);
  outbox.takeRequest();
  outbox.acknowledge(0);
  expect(outbox.hasUnasked).toBe(false);
  outbox.add(message("3"));
  expect(outbox.hasUnasked).toBe(true);
});

test("a long queue stays small and right while it is acknowledged bit by bit", () => {
  const outbox = filled(1_000);
  expect(outbox.isFull).toBe(true);
  for (let h = 1; h <= 999; h += 1) expect(outbox.acknowledge(h)).toBe(true);
  expect(waiting(outbox)).toEqual(["1000"]);
  expect(outbox.isFull).toBe(false);
  expect(outbox.acknowledgedTotal).toBe(999);
  expect(outbox.sentTotal).toBe(1_000);
});

test("a client that got more from a dead node than is known here has all that came from there", () => {
  const outbox = filled(2);
  outbox.inherit(2);
  outbox.add(message("3"));
  expect(outbox.fits(5)).toBe(true);
  outbox.resume(5);
  expect(waiting(outbox)).toEqual(["3"]);
  expect(outbox.sentCount).toBe(6);
  expect(outbox.acknowledge(6)).toBe(true);
});

test("a client that got less gets the rest, and counts on from there", () => {
  const outbox = filled(3);
  outbox.inherit(3);
  outbox.add(message("4"));
  outbox.resume(1);
  expect(waiting(outbox)).toEqual(["2", "3", "4"]);
  expect(outbox.sentCount).toBe(4);
  expect(outbox.fits(5)).toBe(false);
});

test("it cannot have got any number of stanzas from a dead node", () => {
  const outbox = filled(1);
  outbox.inherit(1);
  expect(outbox.fits(10_001)).toBe(true);
  expect(outbox.fits(10_002)).toBe(false);
});

test("a client is asked about what it was sent, and again about the rest", () => {
  const outbox = filled(3);
  expect(outbox.takeRequest(0)).toBe(false);
  expect(outbox.takeRequest(1)).toBe(true);
  outbox.acknowledge(1);
  expect(outbox.hasUnasked).toBe(true);
  expect(outbox.takeRequest(2)).toBe(true);
  expect(outbox.hasUnasked).toBe(false);
});

test("what waits for long keeps no memory but its own, and its order", () => {
  const outbox = filled(70);
  outbox.add(Buffer.from("<iq/>"));
  outbox.acknowledge(66);
  outbox.rest();
  expect(waiting(outbox)).toEqual(["67", "68", "69", "70"]);
  for (const entry of outbox.entries()) {
    expect(bytesOf(entry)?.buffer.byteLength).toBe(bytesOf(entry)?.length);
  }
  outbox.acknowledge(69);
  expect(waiting(outbox)).toEqual(["70"]);
});
