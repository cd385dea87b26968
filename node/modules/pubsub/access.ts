/** Who may do what at a node (XEP-0060, 4.1 and 4.5). Pure. */
import { StanzaError } from "../../stanza/error.ts";
import type { NodeConfig } from "./config.ts";
import { refused } from "./errors.ts";

export const AFFILIATIONS = [
  "owner",
  "publisher",
  "publish-only",
  "member",
  "outcast",
  "none",
] as const;

export type Affiliation = (typeof AFFILIATIONS)[number];

/** Somebody in relation to a node. */
export interface Asker {
  readonly affiliation: Affiliation;
  /** Whether the node's owner lets them see its presence. */
  readonly seesPresence: boolean;
  /** The groups of the owner's roster that they are in. */
  readonly groups: readonly string[];
  readonly subscription: "subscribed" | "pending" | undefined;
}

/** Why they may not retrieve items or hear of events; undefined when they may. */
export function readingRefusal(config: NodeConfig, asker: Asker): StanzaError | undefined {
  const early = refusedByAffiliation(asker.affiliation);
  if (early !== "by access model") return early;
  if (config.accessModel === "authorize") {
    return asker.subscription === "subscribed"
      ? undefined
      : refused("not-authorized", "not-subscribed");
  }
  return refusedByModel(config, asker);
}

/** Why they may not subscribe. With the access model "authorize" everybody may ask. */
export function subscribingRefusal(config: NodeConfig, asker: Asker): StanzaError | undefined {
  const early = refusedByAffiliation(asker.affiliation);
  if (early !== "by access model") return early;
  return refusedByModel(config, asker);
}

function refusedByAffiliation(
  affiliation: Affiliation,
): StanzaError | undefined | "by access model" {
  switch (affiliation) {
    case "owner":
    case "publisher":
    case "member":
      return undefined;
    case "outcast":
    case "publish-only":
      return new StanzaError("forbidden");
    case "none":
      return "by access model";
    default:
      return affiliation satisfies never;
  }
}

function refusedByModel(config: NodeConfig, asker: Asker): StanzaError | undefined {
  switch (config.accessModel) {
    case "open":
    case "authorize":
      return undefined;
    case "presence":
      if (asker.seesPresence) return undefined;
      return refused("not-authorized", "presence-subscription-required");
    case "roster":
      if (asker.groups.some((group) => config.rosterGroups.includes(group))) return undefined;
      return refused("not-authorized", "not-in-roster-group");
    case "whitelist":
      return refused("not-allowed", "closed-node");
    default:
      return config.accessModel satisfies never;
  }
}

export function mayPublish({ publishModel }: NodeConfig, asker: Asker): boolean {
  const { affiliation, subscription } = asker;
  if (affiliation === "outcast") return false;
  if (affiliation === "owner" || affiliation === "publisher" || affiliation === "publish-only") {
    return true;
  }
  return (
    publishModel === "open" || (publishModel === "subscribers" && subscription === "subscribed")
  );
}

/** 7.2: owners remove what they like, publishers what they published. */
export const mayRetract = (asker: Asker, isPublisherOfAll: boolean): boolean =>
  asker.affiliation === "owner" || (asker.affiliation !== "outcast" && isPublisherOfAll);

/** @throws StanzaError */
export function checkOwner({ affiliation }: Asker): void {
  if (affiliation !== "owner") throw new StanzaError("forbidden");
}
