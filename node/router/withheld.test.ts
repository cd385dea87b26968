import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import type { MovableSession } from "../session/contract.ts";
import { DOUBT_MAX_MS, WITHHELD_MS, Withheld } from "./withheld.ts";

/** Its client is given `sent` stanzas in all. */
function bench() {
  const clock = new FakeClock();
  const late: MovableSession[] = [];
  const withheld = new Withheld(clock, (session) => void late.push(session));
  const told = { out: [] as number[], sent: 0, wentOn: 0 };
  const session = {
    letOut(until: number) {
      told.out.push(until);
      return until >= told.sent;
    },
    goOn() {
      told.wentOn += 1;
    },
  } as MovableSession;
  return { clock, withheld, session, told, late };
}

test("a client waits for its shadow, each time for so long at most", () => {
  const { clock, withheld, session, told } = bench();
  told.sent = 1;
  expect(withheld.mustWait(session)).toBe(true);
  clock.advance(WITHHELD_MS - 1);
  told.sent = 3;
  expect(withheld.mustWait(session)).toBe(true);
  withheld.letOut(session, 1); // There is a word of it: the rest may take as long again.
  clock.advance(WITHHELD_MS - 1);
  expect(told.out).toEqual([1]);
  withheld.letOut(session, 3);
  clock.advance(2 * WITHHELD_MS);
  expect(told.out).toEqual([1, 3]);
  expect(withheld.givenUp).toBe(0);
});

test("a client whose shadow is silent is not kept waiting until it speaks again", () => {
  const { clock, withheld, session, told, late } = bench();
  told.sent = 1;
  withheld.mustWait(session);
  expect(withheld.isLate(session)).toBe(false);
  clock.advance(WITHHELD_MS);
  expect(told.out).toEqual([Number.POSITIVE_INFINITY]);
  expect(withheld.mustWait(session)).toBe(false);
  expect(late).toEqual([session]);
  expect(withheld.isLate(session)).toBe(true);
  clock.advance(10 * WITHHELD_MS);
  expect(withheld.givenUp).toBe(1);
  withheld.letOut(session, 1);
  expect(withheld.mustWait(session)).toBe(true);
});

test("a session that is over is not waited for", () => {
  const { clock, withheld, session, told } = bench();
  withheld.mustWait(session);
  withheld.end(session);
  clock.advance(2 * WITHHELD_MS);
  expect(told.out).toEqual([]);
  expect(withheld.givenUp).toBe(0);
});

test("a node that has stood still lets nobody have what could not be answered meanwhile", () => {
  const { clock, withheld, session, told } = bench();
  told.sent = 1;
  withheld.mustWait(session);
  clock.standStill(10 * WITHHELD_MS);
  expect(told.out).toEqual([]);
  clock.advance(WITHHELD_MS);
  expect(told.out).toEqual([Number.POSITIVE_INFINITY]);
});

test("a session in doubt waits for a new word, though its shadow was silent, and then goes on", async () => {
  const { clock, withheld, session, told } = bench();
  told.sent = 1;
  withheld.mustWait(session);
  clock.advance(WITHHELD_MS);
  expect(withheld.mustWait(session)).toBe(false);
  const { promise, resolve } = Promise.withResolvers<boolean>();
  withheld.doubt(session, promise);
  expect([withheld.mustWait(session), withheld.isInDoubt(session)]).toEqual([true, true]);
  withheld.letOut(session, 1); // The answer to something from before.
  expect([withheld.isInDoubt(session), told.wentOn]).toEqual([true, 0]);
  resolve(true);
  await promise;
  expect([withheld.isInDoubt(session), told.wentOn]).toEqual([false, 1]);
});

test("a session in doubt goes on without a word after a while, and not at all if it is another node's", async () => {
  const { clock, withheld, session, told } = bench();
  const elsewhere = { ...session } as MovableSession;
  withheld.doubt(elsewhere, Promise.resolve(false));
  withheld.doubt(session, new Promise(() => {}));
  await Promise.resolve();
  withheld.end(elsewhere);
  expect([withheld.isInDoubt(elsewhere), told.wentOn]).toEqual([false, 0]);
  clock.advance(DOUBT_MAX_MS - 1);
  expect([withheld.isInDoubt(session), told.wentOn]).toEqual([true, 0]);
  clock.advance(WITHHELD_MS);
  expect([withheld.isInDoubt(session), told.wentOn]).toEqual([false, 1]);
});

test("nor is anybody in doubt once the lease is proven: what had been taken over is gone by then", () => {
  const { clock, withheld, session, told } = bench();
  told.sent = 1;
  withheld.doubt(session, new Promise(() => {}));
  withheld.noDoubt();
  expect([withheld.isInDoubt(session), told.wentOn, told.out]).toEqual([false, 1, []]);
  clock.advance(WITHHELD_MS);
  expect(told.out).toEqual([Number.POSITIVE_INFINITY]);
});
