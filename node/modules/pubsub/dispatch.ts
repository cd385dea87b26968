/** From a request to the rule for it. Knows the requests of XEP-0060, and of nothing that uses it. */
import { StanzaError } from "../../stanza/error.ts";
import type { Jid } from "../../stanza/jid.ts";
import type { Element } from "../../xml/element.ts";
import { children, localName, ns } from "../../xml/names.ts";
import { unsupported } from "./errors.ts";
import { configuration, configure, create, defaults, purge, remove } from "./manage.ts";
import { affiliationsOf, setAffiliations, setSubscriptions, subscriptionsOf } from "./members.ts";
import { OWNER, PUBSUB } from "./names.ts";
import type { Call, Service } from "./node.ts";
import { publish, retract } from "./publish.ts";
import { items } from "./retrieve.ts";
import { affiliations, subscribe, subscriptions, unsubscribe } from "./subscribe.ts";

type Rule = (service: Service, call: Call) => Promise<Element | undefined>;

const unsupportedRule = (feature: string) => async (): Promise<never> => {
  throw unsupported(feature);
};

const RULES: ReadonlyMap<string, Rule> = new Map<string, Rule>([
  [`get ${PUBSUB} items`, items],
  [`get ${PUBSUB} subscriptions`, subscriptions],
  [`get ${PUBSUB} affiliations`, affiliations],
  [`get ${PUBSUB} options`, unsupportedRule("subscription-options")],
  [`get ${PUBSUB} default`, unsupportedRule("retrieve-default-sub")],
  [`set ${PUBSUB} publish`, publish],
  [`set ${PUBSUB} retract`, retract],
  [`set ${PUBSUB} subscribe`, subscribe],
  [`set ${PUBSUB} unsubscribe`, unsubscribe],
  [`set ${PUBSUB} create`, create],
  [`set ${PUBSUB} options`, unsupportedRule("subscription-options")],
  [`get ${OWNER} configure`, configuration],
  [`get ${OWNER} default`, defaults],
  [`get ${OWNER} affiliations`, affiliationsOf],
  [`get ${OWNER} subscriptions`, subscriptionsOf],
  [`set ${OWNER} configure`, configure],
  [`set ${OWNER} delete`, remove],
  [`set ${OWNER} purge`, purge],
  [`set ${OWNER} affiliations`, setAffiliations],
  [`set ${OWNER} subscriptions`, setSubscriptions],
]);

/** Answers with the payload of the result, or throws a StanzaError. */
export async function dispatch(
  service: Service,
  type: "get" | "set",
  { owner, from, pubsub }: { owner: string; from: Jid; pubsub: Element },
): Promise<Element | undefined> {
  const space = ns(pubsub);
  for (const wish of children(pubsub)) {
    if (ns(wish) !== space) continue;
    const rule = RULES.get(`${type} ${space} ${localName(wish)}`);
    if (rule !== undefined) return await rule(service, { owner, from, pubsub, wish });
  }
  throw new StanzaError("bad-request", "Cannot process pubsub request: it asks for nothing known");
}
