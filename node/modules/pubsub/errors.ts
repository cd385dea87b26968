/** The errors of XEP-0060: a stanza error with a condition of its own. */
import type { ErrorType, StanzaCondition } from "../../stanza/error.ts";
import { StanzaError } from "../../stanza/error.ts";
import { el } from "../../xml/element.ts";
import { ERRORS } from "./names.ts";

type PubsubCondition =
  | "closed-node"
  | "invalid-jid"
  | "invalid-options"
  | "invalid-payload"
  | "invalid-subid"
  | "item-forbidden"
  | "item-required"
  | "jid-required"
  | "max-items-exceeded"
  | "max-nodes-exceeded"
  | "nodeid-required"
  | "not-in-roster-group"
  | "not-subscribed"
  | "payload-required"
  | "payload-too-big"
  | "pending-subscription"
  | "precondition-not-met"
  | "presence-subscription-required"
  | "too-many-subscriptions"
  | "unsupported-access-model";

/** @param type where XEP-0060 wants another one than the condition usually has */
export const refused = (
  condition: StanzaCondition,
  application: PubsubCondition,
  type?: ErrorType,
): StanzaError =>
  new StanzaError(condition, "", {
    application: el(application, { xmlns: ERRORS }),
    ...(type === undefined ? {} : { type }),
  });

/** What XEP-0060 describes and this service does not do. */
export const unsupported = (feature: string): StanzaError =>
  new StanzaError("feature-not-implemented", "", {
    application: el("unsupported", { xmlns: ERRORS, feature }),
  });
