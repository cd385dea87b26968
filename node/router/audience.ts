/** Who of an account's resources a stanza is for. */
import type { Route } from "../routes/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { CopySide } from "./copies.ts";
import { chosenFor, elsewhere, select } from "./rules.ts";

export type Audience =
  /** Whoever RFC 6121, section 8.5 says. */
  | { readonly kind: "addressed" }
  /** Every available resource, but for one session: presence. */
  | { readonly kind: "available"; readonly exceptSession: string }
  /** Every connected resource: the exit nodes filter. */
  | { readonly kind: "connected" }
  /** Any other resource than the session it could not be delivered to. */
  | { readonly kind: "elsewhere"; readonly exceptSession: string }
  /** The session where it goes on; if it does not, any other resource. */
  | { readonly kind: "moved"; readonly session: string; readonly fromNode: string }
  /**
   * One of a component's connections and no second, the same for one sender as long as they stay;
   * not the session that it could not be delivered to.
   */
  | { readonly kind: "shared"; readonly exceptSession: string }
  /** Every other connected resource than those that took it and the one that sent it: copies. */
  | {
      readonly kind: "copied";
      readonly copy: CopySide;
      readonly took: ReadonlySet<string>;
      readonly exceptSession: string;
    };

export const ADDRESSED: Audience = { kind: "addressed" };
export const CONNECTED: Audience = { kind: "connected" };

interface Addressed {
  readonly envelope: Envelope;
  readonly audience: Audience;
}

/** Those of an account's routes that it is for. */
export function targetsOf(
  { envelope, audience }: Addressed,
  routes: readonly Route[],
): readonly Route[] {
  switch (audience.kind) {
    case "addressed": {
      const { kind, type, to } = envelope;
      return select({ kind, type, resource: to.resource }, routes);
    }
    case "available":
      return routes.filter((route) => route.available && route.session !== audience.exceptSession);
    case "connected":
      return routes;
    case "shared":
      return chosenFor(
        envelope.from.bare,
        routes.filter(({ session }) => session !== audience.exceptSession),
      );
    case "elsewhere":
      return elsewhere(routes, audience.exceptSession);
    case "moved": {
      const { session, fromNode } = audience;
      const own = routes.filter((one) => one.session === session && one.node !== fromNode);
      return own.length > 0 ? own : elsewhere(routes, session);
    }
    case "copied":
      return routes.filter(
        ({ resource, session }) =>
          !audience.took.has(resource) && session !== audience.exceptSession,
      );
    default:
      audience satisfies never;
      return [];
  }
}
