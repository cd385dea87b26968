/** XEP-0060, 8.1 to 8.5: what owners do with nodes. */
import { StanzaError } from "../../stanza/error.ts";
import { formElement } from "../../stanza/form.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { child } from "../../xml/names.ts";
import { checkOwner } from "./access.ts";
import type { NodeConfig } from "./config.ts";
import { encodeConfig, fieldsOf, itemsMaxOf, readChanges } from "./config.ts";
import { refused, unsupported } from "./errors.ts";
import { configurationEvent, deleteEvent, purgeEvent } from "./events.ts";
import { NODE_CONFIG, OWNER, PUBSUB } from "./names.ts";
import type { Call, Found, Service } from "./node.ts";
import { askerAt, decodeNode, findNode } from "./node.ts";
import { attributeOf, checkedName, nodeNameOf, optionsIn } from "./requests.ts";

/** The node of a request that only its owner may make. */
export async function ownNode(service: Service, call: Call): Promise<Found> {
  const name = nodeNameOf(call, service.limits);
  const node = await findNode(service, call.owner, name);
  if (node === undefined) throw new StanzaError("item-not-found");
  checkOwner(await askerAt(service, node, call.from));
  return node;
}

/** Makes a node, if there is room for one more. */
export async function createNode(
  service: Service,
  owner: string,
  name: string,
  config: NodeConfig,
): Promise<Found> {
  const { store, limits } = service;
  if ((await store.list(owner)).length >= limits.nodesMax) {
    throw refused("not-allowed", "max-nodes-exceeded");
  }
  const encoded = encodeConfig(config);
  const { changedUs } = await store.create(owner, name, { config: encoded });
  const nothing = { affiliations: new Map(), subscriptions: new Map(), last: undefined };
  const stored = { name, changedUs, config: encoded, ...nothing };
  return { ...decodeNode(service, owner, stored), stored };
}

/** 8.1. Without a name the service chooses one. */
export async function create(service: Service, call: Call): Promise<Element> {
  const { owner, from, wish, pubsub } = call;
  if (!service.owners.isOwner(owner, from.bare)) throw new StanzaError("forbidden");
  const asked = attributeOf(wish, "node") ?? "";
  const name = asked === "" ? service.newId() : checkedName(asked, service.limits);
  const form = optionsIn(child(pubsub, "configure", PUBSUB), NODE_CONFIG);
  const changes = form === undefined ? {} : readChanges(form, service.limits);
  if ((await findNode(service, owner, name)) !== undefined) throw new StanzaError("conflict");
  await createNode(service, owner, name, { ...service.owners.defaults(name), ...changes });
  return el("pubsub", { xmlns: PUBSUB }, el("create", { node: name }));
}

const configForm = (config: NodeConfig): Element =>
  formElement("form", NODE_CONFIG, fieldsOf(config));

/** 8.2.1. */
export async function configuration(service: Service, call: Call): Promise<Element> {
  const { name, config } = await ownNode(service, call);
  return el("pubsub", { xmlns: OWNER }, el("configure", { node: name }, configForm(config)));
}

/** 8.3: what a node has that nothing is said about. */
export async function defaults(service: Service, call: Call): Promise<Element> {
  if (!service.owners.isOwner(call.owner, call.from.bare)) throw new StanzaError("forbidden");
  const name = attributeOf(call.wish, "node") ?? "";
  const form = configForm(service.owners.defaults(name));
  return el("pubsub", { xmlns: OWNER }, el("default", {}, form));
}

/** 8.2.4. */
export async function configure(service: Service, call: Call): Promise<undefined> {
  const node = await ownNode(service, call);
  const form = optionsIn(call.wish, NODE_CONFIG);
  if (form === undefined) throw new StanzaError("bad-request");
  if (form.type === "cancel") return undefined;
  if (form.type !== "submit") throw new StanzaError("bad-request");
  const config = { ...node.config, ...readChanges(form, service.limits) };
  await service.store.change(call.owner, node.stored, { config: encodeConfig(config) });
  await trim(service, node, config);
  const changed = { ...node, config };
  if (config.notifyConfig)
    await service.owners.tell(changed, configurationEvent(node.name, config));
  return undefined;
}

/** What a changed node no longer keeps. */
async function trim(service: Service, node: Found, config: NodeConfig): Promise<void> {
  const { store, limits } = service;
  const { owner, name, stored } = node;
  const isKeptLess = itemsMaxOf(config, limits) < itemsMaxOf(node.config, limits);
  if (!node.config.persistItems || (config.persistItems && !isKeptLess)) return;
  const all = await store.itemIds(owner, name);
  const most = config.persistItems ? itemsMaxOf(config, limits) : 0;
  const ids = all.slice(0, Math.max(0, all.length - most)).map(({ id }) => id);
  if (ids.length > 0) await store.removeItems(owner, stored, ids, stored.last);
}

/** 8.4. */
export async function remove(service: Service, call: Call): Promise<undefined> {
  const node = await ownNode(service, call);
  const redirect = child(call.wish, "redirect", OWNER);
  await service.store.remove(call.owner, node.stored);
  const uri = redirect && attributeOf(redirect, "uri");
  const event = node.config.notifyDelete ? deleteEvent(node.name, uri) : undefined;
  await service.owners.changed(node, { event });
  return undefined;
}

/** 8.5. */
export async function purge(service: Service, call: Call): Promise<undefined> {
  const node = await ownNode(service, call);
  if (!node.config.persistItems) throw unsupported("persistent-items");
  await service.store.removeItems(call.owner, node.stored, "all", undefined);
  const event = node.config.notifyRetract ? purgeEvent(node.name) : undefined;
  await service.owners.changed(node, { event });
  return undefined;
}
