import { expect, test } from "vitest";
import { envelopeOf } from "./envelopes.ts";
import type { Packed } from "./session-wire.ts";
import { decodeWaiting, encodeSession, encodeWaiting } from "./session-wire.ts";
import type { Change, Copy } from "./shadow-wire.ts";
import { changeCopy, copyOf, encodeChange } from "./shadow-wire.ts";

const route = { user: "d@e", resource: "r", node: "a", session: "s", available: true, priority: 1 };
const counts = { windowMs: 1, received: 2, countedFrom: 3, acknowledged: 4 };
const state = { route, lang: undefined, mayRepeat: false, inherited: undefined, ...counts };
const stanza = envelopeOf(
  Buffer.from("<message xmlns='jabber:client' from='a@b/c' to='d@e'><body>f</body></message>"),
  7,
);
const of = (count: number) => ({ session: "sender", count });
const waiting = (count: number, isStored: boolean) => ({
  stanza,
  about: { origin: of(count), isStored, copy: undefined },
});
const packed = (count: number, isStored: boolean): Packed =>
  encodeWaiting(waiting(count, isStored));
const changed = (copy: Copy, change: Partial<Change>): Copy => {
  const none = { gone: 0, sent: [], released: 0, held: [], carried: new Map(), isOver: false };
  const nothing = { received: 2, acknowledged: 4, inherited: undefined, route: undefined, ...none };
  return changeCopy(copy, encodeChange({ ...nothing, ...change }));
};
const heldIn = ({ held }: Copy) => held.map((one) => decodeWaiting(one).about?.origin?.count);

test("what a client was given out of the store, and has acknowledged, does not wait for it in the copy", () => {
  const held = [1, 2, 3].map((count) => waiting(count, false));
  const none = { waiting: [], carried: new Map(), recent: [] };
  const copy = copyOf(encodeSession({ state, held, ...none }));
  changed(copy, { sent: [packed(2, true), packed(3, false)] });
  changed(copy, { gone: 2 });
  expect(copy.recent).toEqual([of(2), of(3)]);
  // Places are counted, so its own stays.
  expect(heldIn(copy)).toEqual([1, undefined, 3]);
  changed(copy, { released: 2 });
  expect(heldIn(copy)).toEqual([3]);
});

test("nor in a copy that is made when it has not acknowledged it yet", () => {
  const held = [1, 2].map((count) => waiting(count, false));
  const more = { waiting: [waiting(2, true)], carried: new Map(), recent: [] };
  expect(heldIn(copyOf(encodeSession({ state, held, ...more })))).toEqual([1, undefined]);
});
