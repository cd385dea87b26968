import { describe, expect, test } from "vitest";
import type { FlagChanges, Flags, SubscriptionType } from "./subscription.ts";
import { inbound, isVisible, outbound } from "./subscription.ts";
import type { State } from "./subscription-tables.fixture.ts";
import { ALL, INBOUND, OUTBOUND, STATES } from "./subscription-tables.fixture.ts";

const [N, PO, PI, , T, , F, FPO, B] = ALL;

const NOTHING: Flags = { to: false, from: false, ask: false, approved: false, pendingIn: false };

const flags = (state: State): Flags => ({ ...NOTHING, ...STATES[state] });

function after(before: Flags, changes: FlagChanges | undefined): Omit<Flags, "approved"> {
  const { approved: _, ...rest } = { ...before, ...changes };
  return rest;
}

const expected = (state: State) => after(flags(state), undefined);
const types = Object.keys(OUTBOUND) as SubscriptionType[];
const rows = types.flatMap((type) => ALL.map((state, index) => ({ type, state, index })));

describe("the user sends", () => {
  test.each(rows)("$type in state $state", ({ type, state, index }) => {
    const [isRouted, next] = OUTBOUND[type][index] as readonly [boolean, State];
    const step = outbound(flags(state), type);
    expect(step.isRouted).toBe(isRouted);
    expect(after(flags(state), step.changes)).toEqual(expected(next));
  });
});

describe("the contact sends", () => {
  test.each(rows)("$type in state $state", ({ type, state, index }) => {
    const [isDelivered, next] = INBOUND[type][index] as readonly [boolean, State];
    const step = inbound(flags(state), type);
    expect(step.isDelivered).toBe(isDelivered);
    expect(after(flags(state), step.changes)).toEqual(expected(next));
  });
});

test("who is seen already is answered without asking again", () => {
  for (const state of [F, FPO, B] as const) {
    expect(inbound(flags(state), "subscribe").answer).toBe("subscribed");
  }
  expect(inbound(flags(N), "subscribe").answer).toBeUndefined();
});

test("an approval in advance is kept, answers the request, and can be taken back", () => {
  for (const state of [N, PO, T] as const) {
    expect(outbound(flags(state), "subscribed")).toEqual({
      isRouted: false,
      changes: { approved: true },
    });
    const approved = { ...flags(state), approved: true };
    const step = inbound(approved, "subscribe");
    expect(step).toMatchObject({ isDelivered: false, answer: "subscribed" });
    expect(step.changes?.from).toBe(true);
    expect(outbound(approved, "unsubscribed")).toEqual({
      isRouted: false,
      changes: { approved: false },
    });
  }
});

test("a refused request is no business of the roster, a lost subscription is", () => {
  expect(isVisible(flags(PI), outbound(flags(PI), "unsubscribed").changes ?? {})).toBe(false);
  expect(isVisible(flags(F), outbound(flags(F), "unsubscribed").changes ?? {})).toBe(true);
  expect(isVisible(flags(N), inbound(flags(N), "subscribe").changes ?? {})).toBe(false);
});
