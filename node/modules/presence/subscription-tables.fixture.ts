/** The tables of RFC 6121, Appendix A: what each subscription stanza does in each of the nine states. */
import type { Flags, SubscriptionType } from "./subscription.ts";

/** The nine states of RFC 6121, Appendix A.1. */
export const STATES = {
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
export type State = keyof typeof STATES;

const N = "None";
const PO = "None + Pending Out";
const PI = "None + Pending In";
const POI = "None + Pending Out+In";
const T = "To";
const TPI = "To + Pending In";
const F = "From";
const FPO = "From + Pending Out";
const B = "Both";
export const ALL = [N, PO, PI, POI, T, TPI, F, FPO, B] as const satisfies readonly State[];

/** Whether the stanza goes on, and the new state, for each old state in the order of ALL. */
export type Table = Record<SubscriptionType, readonly (readonly [boolean, State])[]>;

/** Appendix A.2: routed or not. */
export const OUTBOUND: Table = {
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

/** Appendix A.3: delivered or not. */
export const INBOUND: Table = {
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
