/** XEP-0060, 8.8 and 8.9: owners see and change who is subscribed and who is what. */
import { StanzaError } from "../../stanza/error.ts";
import type { FilledForm } from "../../stanza/form.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { children } from "../../xml/names.ts";
import type { Affiliation } from "./access.ts";
import { AFFILIATIONS } from "./access.ts";
import { refused } from "./errors.ts";
import { subscriptionEvent } from "./events.ts";
import { ownNode } from "./manage.ts";
import { OWNER } from "./names.ts";
import type { Call, Node, Service, Subscription } from "./node.ts";
import { bareOf, encodeOne, findNode } from "./node.ts";
import { attributeOf, isTrue, jidOf } from "./requests.ts";

type Entries = Map<string, string | undefined>;

/** 8.9.1. The owner itself is among them. */
export async function affiliationsOf(service: Service, call: Call): Promise<Element> {
  const node = await ownNode(service, call);
  const all = new Map([...node.affiliations, [node.owner, "owner"]]);
  const told = [...all].map(([jid, affiliation]) => el("affiliation", { jid, affiliation }));
  return el("pubsub", { xmlns: OWNER }, el("affiliations", { node: node.name }, told));
}

/** 8.9.2. */
export async function setAffiliations(service: Service, call: Call): Promise<undefined> {
  const node = await ownNode(service, call);
  const affiliations: Entries = new Map();
  const subscriptions: Entries = new Map();
  for (const element of children(call.wish, "affiliation", OWNER)) {
    const { bare } = jidOf(element);
    const affiliation = affiliationIn(element);
    // 8.9.2.4: a node has an owner.
    if (service.owners.isOwner(node.owner, bare)) {
      if (affiliation !== "owner") throw new StanzaError("not-acceptable");
      continue;
    }
    affiliations.set(bare, affiliation === "none" ? undefined : affiliation);
    if (affiliation !== "outcast") continue;
    for (const { jid, subid } of node.subscriptions) {
      if (bareOf(jid) === bare) subscriptions.set(subid, undefined);
    }
  }
  const { affiliationsMax } = service.limits;
  const after = new Set(node.affiliations.keys());
  for (const [bare, value] of affiliations) {
    if (value === undefined) after.delete(bare);
    else after.add(bare);
  }
  if (after.size > affiliationsMax) {
    throw new StanzaError("not-acceptable", `Cannot affiliate: ${affiliationsMax} are the most`);
  }
  await service.store.change(call.owner, node.stored, { affiliations, subscriptions });
  return undefined;
}

function affiliationIn(element: Element): Affiliation {
  const said = attributeOf(element, "affiliation");
  const affiliation = AFFILIATIONS.find((one) => one === said);
  if (affiliation === undefined) throw new StanzaError("bad-request");
  return affiliation;
}

/** 8.8.1. */
export async function subscriptionsOf(service: Service, call: Call): Promise<Element> {
  const node = await ownNode(service, call);
  const told = node.subscriptions.map(({ jid, subid, state }) =>
    el("subscription", { jid, subid, subscription: state }),
  );
  return el("pubsub", { xmlns: OWNER }, el("subscriptions", { node: node.name }, told));
}

/** 8.8.2, and with it approval (8.6): subscribers hear what becomes of their subscription. */
export async function setSubscriptions(service: Service, call: Call): Promise<undefined> {
  const node = await ownNode(service, call);
  const changed = children(call.wish, "subscription", OWNER).flatMap((element) =>
    changesOf(service, node, element),
  );
  const subscriptions: Entries = new Map(
    changed.map((one) => [one.subid, one.state === "none" ? undefined : encodeOne(one)]),
  );
  const added = changed.filter(({ isNew }) => isNew).length;
  if (node.subscriptions.length + added > service.limits.subscriptionsMax) {
    throw refused("policy-violation", "too-many-subscriptions", "wait");
  }
  await service.store.change(call.owner, node.stored, { subscriptions });
  for (const one of changed) service.owners.tellOne(node, one, subscriptionEvent(node.name, one));
  return undefined;
}

/**
 * 8.6: what an owner said to a subscription that waits. An answer to a question that is over, or to
 * none, says nothing.
 */
export async function decide(service: Service, owner: string, { fields }: FilledForm) {
  const said = (name: string) => fields.get(`pubsub#${name}`)?.[0] ?? "";
  const node = await findNode(service, owner, said("node"));
  const waiting = node?.subscriptions.find(
    ({ subid, jid, state }) =>
      state === "pending" && subid === said("subid") && jid === said("subscriber_jid"),
  );
  if (node === undefined || waiting === undefined) return;
  const isAllowed = isTrue(said("allow"));
  const one = { ...waiting, state: isAllowed ? "subscribed" : "none" };
  const subscriptions = new Map([[one.subid, isAllowed ? encodeOne(one) : undefined]]);
  await service.store.change(owner, node.stored, { subscriptions });
  service.owners.tellOne(node, one, subscriptionEvent(node.name, one));
}

type Change = Omit<Subscription, "state"> & {
  readonly state: "none" | "pending" | "subscribed";
  readonly isNew: boolean;
};

function changesOf(service: Service, node: Node, element: Element): readonly Change[] {
  const jid = jidOf(element).full;
  const state = attributeOf(element, "subscription");
  if (state !== "none" && state !== "pending" && state !== "subscribed") {
    throw new StanzaError("bad-request");
  }
  const subid = attributeOf(element, "subid");
  const present = node.subscriptions.filter((one) => one.jid === jid);
  if (subid !== undefined && present.every((one) => one.subid !== subid)) {
    throw refused("not-acceptable", "invalid-subid");
  }
  if (present.length > 0) {
    return present
      .filter((one) => one.state !== state && (subid === undefined || one.subid === subid))
      .map((one) => ({ jid, subid: one.subid, state, isNew: false }));
  }
  if (state === "none") return [];
  return [{ jid, subid: service.newId(), state, isNew: true }];
}
