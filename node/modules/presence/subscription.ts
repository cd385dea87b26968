/**
 * RFC 6121, section 3 and Appendix A: what each of the four subscription stanzas does to a roster
 * item, on the side that sends it and on the side that receives it. Pure; flags, not nine states.
 */
import type { RosterItem } from "../../stores/contract.ts";

export type SubscriptionType = "subscribe" | "subscribed" | "unsubscribe" | "unsubscribed";

/** An item's subscription; `pendingIn` says whether the contact waits for an answer. */
export type Flags = Pick<RosterItem, "to" | "from" | "ask" | "approved"> & {
  readonly pendingIn: boolean;
};

export type FlagChanges = { readonly [Flag in keyof Flags]?: boolean };

export interface OutboundStep {
  /** Whether the stanza goes on to the contact. */
  readonly isRouted: boolean;
  readonly changes: FlagChanges | undefined;
}

export interface InboundStep {
  /** Whether the user's resources get to see the stanza. */
  readonly isDelivered: boolean;
  readonly changes: FlagChanges | undefined;
  /** The server answers this in the user's name. */
  readonly answer?: "subscribed";
}

export const isSubscription = (type: string): type is SubscriptionType =>
  type === "subscribe" ||
  type === "subscribed" ||
  type === "unsubscribe" ||
  type === "unsubscribed";

const NO_FLAGS: Flags = { to: false, from: false, ask: false, approved: false, pendingIn: false };

export const flagsOf = (item: RosterItem | undefined): Flags =>
  item === undefined
    ? NO_FLAGS
    : {
        to: item.to,
        from: item.from,
        ask: item.ask,
        approved: item.approved,
        pendingIn: item.pendingIn !== undefined,
      };

/** A.2: the user sends it. */
export function outbound(flags: Flags, type: SubscriptionType): OutboundStep {
  const { to, from, ask, approved, pendingIn } = flags;
  switch (type) {
    case "subscribe": // A.2.1
      return { isRouted: true, changes: to || ask ? undefined : { ask: true } };
    case "unsubscribe": // A.2.2
      return { isRouted: true, changes: to || ask ? { to: false, ask: false } : undefined };
    case "subscribed": // A.2.3
      if (pendingIn) return { isRouted: true, changes: { from: true, pendingIn: false } };
      // 3.4.2: without a request it is an approval in advance, which the contact is not told of.
      return { isRouted: false, changes: from || approved ? undefined : { approved: true } };
    case "unsubscribed": // A.2.4
      if (from || pendingIn) {
        return { isRouted: true, changes: { from: false, pendingIn: false, approved: false } };
      }
      return { isRouted: false, changes: approved ? { approved: false } : undefined };
    default:
      (type) satisfies never;
      return { isRouted: false, changes: undefined };
  }
}

/** A.3: the contact sent it. */
export function inbound(flags: Flags, type: SubscriptionType): InboundStep {
  const { to, from, ask, approved, pendingIn } = flags;
  switch (type) {
    case "subscribe": // A.3.1
      if (from) return { isDelivered: false, changes: undefined, answer: "subscribed" };
      if (approved) {
        const changes = { from: true, pendingIn: false };
        return { isDelivered: false, changes, answer: "subscribed" };
      }
      if (pendingIn) return { isDelivered: false, changes: undefined };
      return { isDelivered: true, changes: { pendingIn: true } };
    case "unsubscribe": // A.3.2
      if (!from && !pendingIn) return { isDelivered: false, changes: undefined };
      return { isDelivered: true, changes: { from: false, pendingIn: false } };
    case "subscribed": // A.3.3
      if (to || !ask) return { isDelivered: false, changes: undefined };
      return { isDelivered: true, changes: { to: true, ask: false } };
    case "unsubscribed": // A.3.4
      if (!to && !ask) return { isDelivered: false, changes: undefined };
      return { isDelivered: true, changes: { to: false, ask: false } };
    default:
      (type) satisfies never;
      return { isDelivered: false, changes: undefined };
  }
}

/** Whether a roster push tells of it: a pending request is no business of the roster (2.1.2.2). */
export const isVisible = (before: Flags, changes: FlagChanges): boolean =>
  (["to", "from", "ask", "approved"] as const).some(
    (flag) => changes[flag] !== undefined && changes[flag] !== before[flag],
  );
