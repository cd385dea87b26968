import { describe, expect, test } from "vitest";
import type { FlagChanges, Flags, SubscriptionType } from "./subscription.ts";
import { inbound, isVisible, outbound } from "./subscription.ts";

const NOTHING: Flags = { to: false, from: false, ask: false, approved: false, pendingIn: false };

/** The nine states of RFC 6121, Appendix A.1. */
const STATES = {
  None: {},
  "None + Pending Out": { ask: true },
  "None + Pending In": { pendingIn: true },
  "None + Pending Out+In": { ask: true, pendingIn: true },
  To: { to: true },
  "To + Pending In": { to: true, pendingIn: true },
  From: { from: true },
  "From + Pending Out": { from: true, ask: true },
  Both: { to: true, from: true },
} as const satisfies Record<string, Partial<Flags>>;
type State = keyof typeof STATES;

const N = "None";
const PO = "None + Pending Out";
const PI = "None + Pending In";
const POI = "None + Pending Out+In";
const T = "To";
const TPI = "To + Pending In";
const F = "From";
const FPO = "From + Pending Out";
const B = "Both";
const ALL: readonly State[] = [N, PO, PI, POI, T, TPI, F, FPO, B];

/** Appendix A.2: routed or not, and the new state, for each old state in the order of ALL. */
const OUTBOUND: Record<SubscriptionType, readonly (readonly [boolean, State])[]> = {
  subscribe: [
    [true, PO],
    [true, PO],
    [true, POI],
    [true, POI],
    [true, T],
    [true, TPI],
    [true, FPO],
    [true, FPO],
    [true, B],
  ],
  unsubscribe: [
    [true, N],
    [true, N],
    [true, PI],
    [true, PI],
    [true, N],
    [true, PI],
    [true, F],
    [true, F],
    [true, F],
  ],
  subscribed: [
    [false, N],
    [false, PO],
    [true, F],
    [true, FPO],
    [false, T],
    [true, B],
    [false, F],
    [false, FPO],
    [false, B],
  ],
  unsubscribed: [
    [false, N],
    [false, PO],
    [true, N],
    [true, PO],
    [false, T],
    [true, T],
    [true, N],
    [true, PO],
    [true, T],
  ],
};

/** Appendix A.3: delivered or not, and the new state. */
const INBOUND: Record<SubscriptionType, readonly (readonly [boolean, State])[]> = {
  subscribe: [
    [true, PI],
    [true, POI],
    [false, PI],
    [false, POI],
    [true, TPI],
    [false, TPI],
    [false, F],
    [false, FPO],
    [false, B],
  ],
  unsubscribe: [
    [false, N],
    [false, PO],
    [true, N],
    [true, PO],
    [false, T],
    [true, T],
    [true, N],
    [true, PO],
    [true, T],
  ],
  subscribed: [
    [false, N],
    [true, T],
    [false, PI],
    [true, TPI],
    [false, T],
    [false, TPI],
    [false, F],
    [true, B],
    [false, B],
  ],
  unsubscribed: [
    [false, N],
    [true, N],
    [false, PI],
    [true, PI],
    [true, N],
    [true, PI],
    [false, F],
    [true, F],
    [true, F],
  ],
};

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
