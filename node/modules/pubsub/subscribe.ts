/** XEP-0060, 6.1 and 6.2: subscribing; 5.6 and 5.7: what somebody is subscribed to. */
import { StanzaError } from "../../stanza/error.ts";
import { formElement } from "../../stanza/form.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { subscribingRefusal } from "./access.ts";
import { refused } from "./errors.ts";
import { itemEvent } from "./events.ts";
import { AUTHORIZATION, PUBSUB } from "./names.ts";
import type { Call, Node, Service, Subscription } from "./node.ts";
import { affiliationOf, askerAt, bareOf, decodeNode, encodeOne, findNode } from "./node.ts";
import { attributeOf, checkedName, jidOf, nodeNameOf } from "./requests.ts";

const subscriptionElement = (
  node: string | undefined,
  { jid, subid, state }: Subscription,
): Element => el("subscription", { node, jid, subid, subscription: state });

const answer = (...content: Element[]): Element => el("pubsub", { xmlns: PUBSUB }, content);

/** 6.1. */
export async function subscribe(service: Service, call: Call): Promise<Element> {
  const name = nodeNameOf(call, service.limits);
  const jid = jidOf(call.wish);
  if (jid.bare !== call.from.bare) throw refused("bad-request", "invalid-jid");
  const node = await findNode(service, call.owner, name);
  if (node === undefined) throw new StanzaError("item-not-found");
  const asker = await askerAt(service, node, call.from);
  const refusal = subscribingRefusal(node.config, asker);
  if (refusal !== undefined) throw refusal;
  const present = node.subscriptions.find((one) => one.jid === jid.full);
  if (present?.state === "pending") throw refused("not-authorized", "pending-subscription");
  if (present !== undefined) return answer(subscriptionElement(name, present));
  if (node.subscriptions.length >= service.limits.subscriptionsMax) {
    throw refused("policy-violation", "too-many-subscriptions", "wait");
  }
  const mustWait = node.config.accessModel === "authorize" && asker.affiliation === "none";
  const isApproved = !mustWait || asker.subscription === "subscribed";
  const made: Subscription = {
    subid: service.newId(),
    jid: jid.full,
    state: isApproved ? "subscribed" : "pending",
  };
  const subscriptions = new Map([[made.subid, encodeOne(made)]]);
  await service.store.change(call.owner, node.stored, { subscriptions });
  const { last } = node.stored;
  if (isApproved && last !== undefined && node.config.sendLast !== "never") {
    service.owners.tellOne(node, made, itemEvent(node, last));
  }
  if (!isApproved) service.owners.ask(node, authorizationForm(name, made));
  return answer(subscriptionElement(name, made));
}

/** 8.6: what an owner is asked. */
const authorizationForm = (node: string, { jid, subid }: Subscription): Element =>
  formElement("form", AUTHORIZATION, [
    { name: "pubsub#subid", type: "hidden", values: [subid] },
    { name: "pubsub#node", type: "text-single", label: "Node", values: [node] },
    { name: "pubsub#subscriber_jid", type: "jid-single", label: "Subscriber", values: [jid] },
    { name: "pubsub#allow", type: "boolean", label: "Let them subscribe?", values: ["false"] },
  ]);

/** 6.2. */
export async function unsubscribe(service: Service, call: Call): Promise<undefined> {
  const name = nodeNameOf(call, service.limits);
  const jid = jidOf(call.wish);
  if (jid.bare !== call.from.bare) throw new StanzaError("forbidden");
  const node = await findNode(service, call.owner, name);
  if (node === undefined) throw new StanzaError("item-not-found");
  const present = node.subscriptions.find((one) => one.jid === jid.full);
  if (present === undefined) throw refused("unexpected-request", "not-subscribed", "cancel");
  const subid = attributeOf(call.wish, "subid");
  if (subid !== undefined && subid !== present.subid) {
    throw refused("not-acceptable", "invalid-subid");
  }
  const subscriptions = new Map([[present.subid, undefined]]);
  await service.store.change(call.owner, node.stored, { subscriptions });
  return undefined;
}

async function nodesOf(service: Service, { owner, wish }: Call): Promise<readonly Node[]> {
  const name = attributeOf(wish, "node");
  if (name === undefined) {
    const stored = await service.store.list(owner);
    return stored.map((one) => decodeNode(service, owner, one));
  }
  const node = await findNode(service, owner, checkedName(name, service.limits));
  if (node === undefined) throw new StanzaError("item-not-found");
  return [node];
}

/** 5.6. */
export async function subscriptions(service: Service, call: Call): Promise<Element> {
  const nodes = await nodesOf(service, call);
  const own = nodes.flatMap(({ name, subscriptions: all }) =>
    all
      .filter(({ jid }) => bareOf(jid) === call.from.bare)
      .map((one) => subscriptionElement(name, one)),
  );
  return answer(el("subscriptions", { node: attributeOf(call.wish, "node") }, own));
}

/** 5.7. */
export async function affiliations(service: Service, call: Call): Promise<Element> {
  const nodes = await nodesOf(service, call);
  const own = nodes.flatMap((node) => {
    const affiliation = affiliationOf(service, node, call.from.bare);
    return affiliation === "none" ? [] : [el("affiliation", { node: node.name, affiliation })];
  });
  return answer(el("affiliations", { node: attributeOf(call.wish, "node") }, own));
}
