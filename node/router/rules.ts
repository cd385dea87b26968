/** RFC 6121, section 8.5: which of a local account's resources a stanza goes to. Pure. */
import { hash } from "node:crypto";
import type { Route } from "../routes/contract.ts";
import type { StanzaKind } from "../stanza/contract.ts";

/** What the rules look at. */
export interface Addressed {
  readonly kind: StanzaKind;
  readonly type: string;
  /** The resource in `to`, "" for a bare address. */
  readonly resource: string;
}

/** What becomes of a stanza that no resource takes. */
export type Otherwise =
  /** To the stage "unavailable"; if nothing there takes it, `service-unavailable`. */
  | "unavailable"
  /** `service-unavailable` at once. */
  | "bounce"
  /** Silently dropped. */
  | "ignore";

/** Those it holds for; mostly that is all of them, and no new list. */
const those = (routes: readonly Route[], is: (route: Route) => boolean): readonly Route[] =>
  routes.every(is) ? routes : routes.filter(is);

const named = (routes: readonly Route[], name: string): readonly Route[] =>
  those(routes, ({ resource }) => resource === name);

const isChatty = (route: Route) => route.available && route.priority >= 0;
const isAvailable = (route: Route) => route.available;
const NOBODY: readonly Route[] = [];

/** The resources that take the stanza; empty when `otherwise` decides. */
export function select(stanza: Addressed, routes: readonly Route[]): readonly Route[] {
  if (routes.length === 0) return NOBODY;
  if (stanza.kind === "presence") return presenceTargets(stanza, routes);
  if (stanza.resource !== "") {
    // 8.5.3.1: a matching resource gets it, available or merely connected.
    const match = named(routes, stanza.resource);
    if (match.length > 0) return match;
    // 8.5.3.2.1: a chat message goes on as if it were sent to the bare address.
    if (stanza.kind !== "message" || stanza.type !== "chat") return NOBODY;
  }
  if (stanza.kind === "iq") return NOBODY; // 8.5.2.1.3: answered on the account's behalf.
  switch (stanza.type) {
    case "groupchat": // 8.5.2.1.1: never to any resource of a bare address.
    case "error":
      return NOBODY;
    default: // "normal", "chat" and "headline": to all resources of non-negative priority.
      return those(routes, isChatty);
  }
}

function presenceTargets(stanza: Addressed, routes: readonly Route[]): readonly Route[] {
  switch (stanza.type) {
    case "available":
    case "unavailable":
      // 8.5.3.1 and 8.5.2.1.2.
      return stanza.resource === "" ? those(routes, isAvailable) : named(routes, stanza.resource);
    case "error":
      return named(routes, stanza.resource);
    case "subscribe":
    case "probe":
      return those(routes, isAvailable);
    default:
      // Section 3: "subscribed" and the rest go to interested resources. Interest is known to the
      // exit node only, so all connected resources are tried and the roster module filters there.
      return routes;
  }
}

/** 8.5.2.1 to 8.5.3.2 for the case that `select` found nobody, in an account that exists. */
export function otherwise(stanza: Addressed): Otherwise {
  switch (stanza.kind) {
    case "presence":
      return "ignore";
    case "iq":
      return stanza.type === "get" || stanza.type === "set" ? "bounce" : "ignore";
    case "message":
      break;
    default:
      stanza.kind satisfies never;
  }
  switch (stanza.type) {
    case "headline":
    case "error":
      return "ignore";
    case "groupchat":
      return "bounce";
    case "chat":
      return "unavailable";
    default:
      // 8.5.3.2.1: "normal" to a resource that is gone is not stored but refused.
      return stanza.resource === "" ? "unavailable" : "bounce";
  }
}

/** 8.5.1: there is no such account. */
export function noSuchAccount({ kind, type }: Addressed): Otherwise {
  if (kind === "iq") return type === "get" || type === "set" ? "bounce" : "ignore";
  if (kind === "presence" || type === "error" || type === "headline") return "ignore";
  return "bounce";
}

/** Where a message goes that its own session ended on: any other resource of the account. */
export const elsewhere = (routes: readonly Route[], exceptSession: string): readonly Route[] =>
  routes.filter((route) => isChatty(route) && route.session !== exceptSession);

/**
 * The one of a component's connections that serves a sender: by rendezvous hashing, so that what one
 * sender sends stays in order and moves only when its connection goes.
 */
export function chosenFor(sender: string, routes: readonly Route[]): readonly Route[] {
  if (routes.length <= 1) return routes;
  const weigh = ({ session }: Route) => hash("sha1", `${session} ${sender}`);
  const [first] = routes
    .map((route) => ({ route, weight: weigh(route) }))
    .toSorted((one, other) => (one.weight < other.weight ? 1 : -1));
  return first === undefined ? NOBODY : [first.route];
}
