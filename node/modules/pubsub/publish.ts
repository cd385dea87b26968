/** XEP-0060, 7: publishing items and retracting them. */
import { StanzaError } from "../../stanza/error.ts";
import type { PublishedItem } from "../../stores/contract.ts";
import { detachedBytes } from "../../xml/detached.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { child, children, ns } from "../../xml/names.ts";
import { mayPublish, mayRetract } from "./access.ts";
import type { NodeConfig } from "./config.ts";
import { itemsMaxOf, meets, readChanges, unknownField } from "./config.ts";
import { refused, unsupported } from "./errors.ts";
import { bareEvent, itemEvent, retractEvent } from "./events.ts";
import { createNode } from "./manage.ts";
import { PUBLISH_OPTIONS, PUBSUB } from "./names.ts";
import type { Call, Found, Service } from "./node.ts";
import { askerAt, bareOf, findNode } from "./node.ts";
import {
  attributeOf,
  checkedName,
  isTrue,
  itemIdsOf,
  itemsOf,
  nodeNameOf,
  optionsIn,
} from "./requests.ts";

/** 7.1. Answers with the id of what was published. */
export async function publish(service: Service, call: Call): Promise<Element> {
  const name = nodeNameOf(call, service.limits);
  const options = optionsIn(child(call.pubsub, "publish-options", PUBSUB), PUBLISH_OPTIONS);
  const found = await findNode(service, call.owner, name);
  const config = found?.config ?? configFor(service, call, name, options);
  if (found !== undefined) {
    if (!mayPublish(config, await askerAt(service, found, call.from))) {
      throw new StanzaError("forbidden");
    }
    // 7.1.5: publish options are preconditions.
    if (options !== undefined && !meets(config, options, service.limits)) throw notMet();
  }
  const item = readItem(service, call, config);
  const node = found ?? (await createNode(service, call.owner, name, config));
  if (item === undefined) await service.owners.tell(node, bareEvent(name));
  else await publishAt(service, node, item);
  const said = item === undefined ? [] : [el("item", { id: item.id })];
  return el("pubsub", { xmlns: PUBSUB }, el("publish", { node: name }, said));
}

const notMet = () => refused("conflict", "precondition-not-met");

/** The configuration of a node that a publication makes (7.1.4), options being part of it (7.1.5). */
function configFor(
  { owners, limits }: Service,
  { owner, from }: Call,
  name: string,
  options: ReturnType<typeof optionsIn>,
): NodeConfig {
  if (!owners.isOwner(owner, from.bare)) throw new StanzaError("item-not-found");
  const defaults = owners.defaults(name);
  if (options === undefined) return defaults;
  if (unknownField(options) !== undefined) throw notMet();
  return { ...defaults, ...readChanges(options, limits) };
}

type ItemId = { readonly id: string };
export type NewItem = Omit<PublishedItem, "publishedUs">;

/** 7.1.3: the item of a publication, if the node takes one as it is. */
function readItem(service: Service, { wish, from }: Call, config: NodeConfig): NewItem | undefined {
  const [item, ...others] = itemsOf(wish);
  if (others.length > 0) throw refused("not-allowed", "max-items-exceeded");
  const { persistItems, deliverPayloads } = config;
  if (item === undefined) {
    if (persistItems) throw refused("bad-request", "item-required");
    if (deliverPayloads) throw refused("bad-request", "payload-required");
    return undefined;
  }
  if (!persistItems && !deliverPayloads) throw refused("bad-request", "item-forbidden");
  const id = attributeOf(item, "id") ?? "";
  const payload = readPayload(item, config);
  return {
    id: id === "" ? service.newId() : checkedName(id, service.limits),
    publisher: from.bare,
    payload: payload ?? Buffer.alloc(0),
  };
}

function readPayload(item: Element, config: NodeConfig): Buffer | undefined {
  const [payload, ...others] = children(item);
  if (others.length > 0) throw refused("bad-request", "invalid-payload");
  if (payload === undefined) {
    if (config.deliverPayloads) throw refused("bad-request", "payload-required");
    return undefined;
  }
  if (config.type !== "" && ns(payload) !== config.type) {
    throw refused("bad-request", "invalid-payload");
  }
  const bytes = detachedBytes(payload);
  if (bytes.length > config.maxPayloadBytes) throw refused("not-acceptable", "payload-too-big");
  return bytes;
}

/** Publishes an item that is known to be right at a node that is there. */
export async function publishAt(service: Service, node: Found, item: NewItem): Promise<void> {
  const publishedUs = await store(service, node, item);
  const published = { ...item, publishedUs };
  await service.owners.changed(node, { published, event: itemEvent(node, item) });
}

/** Publishes in the store; what is too many makes room, the oldest first (7.1.2). */
async function store(service: Service, node: Found, item: NewItem): Promise<number> {
  const { owner, name, config, stored } = node;
  const isKept = config.persistItems;
  const itemsMax = itemsMaxOf(config, service.limits);
  let removes: "all" | readonly string[] = [];
  if (isKept && itemsMax === 1) {
    removes = stored.last?.id === item.id ? [] : "all";
  } else if (isKept) {
    const others = (await service.store.itemIds(owner, name)).filter(({ id }) => id !== item.id);
    removes = others.slice(0, Math.max(0, others.length + 1 - itemsMax)).map(({ id }) => id);
  }
  return await service.store.publish(owner, stored, item, { isKept, removes });
}

/** 7.2. */
export async function retract(service: Service, call: Call): Promise<undefined> {
  const name = nodeNameOf(call, service.limits);
  const ids = itemIdsOf(call.wish);
  const node = await findNode(service, call.owner, name);
  if (node === undefined) throw new StanzaError("item-not-found");
  const asker = await askerAt(service, node, call.from);
  if (!node.config.persistItems) throw unsupported("persistent-items");
  const all = await service.store.itemIds(call.owner, name);
  const wanted = all.filter(({ id }) => ids.includes(id));
  const isPublisherOfAll = wanted.every(({ publisher }) => bareOf(publisher) === call.from.bare);
  if (!mayRetract(asker, isPublisherOfAll && wanted.length > 0)) throw new StanzaError("forbidden");
  if (wanted.length < ids.length) throw new StanzaError("item-not-found");
  const isToldOf = isTrue(attributeOf(call.wish, "notify")) || node.config.notifyRetract;
  await retractAt(service, node, { ids, all, isToldOf });
  return undefined;
}

/** Removes items that are there. @param all the ids of all items, the oldest first */
export async function retractAt(
  service: Service,
  node: Found,
  { ids, all, isToldOf }: { ids: readonly string[]; all: readonly ItemId[]; isToldOf: boolean },
): Promise<void> {
  const left = all.filter(({ id }) => !ids.includes(id));
  const last = await lastOf(service, node, ids, left.at(-1));
  await service.store.removeItems(node.owner, node.stored, ids, last);
  const event = isToldOf ? retractEvent(node.name, ids) : undefined;
  await service.owners.changed(node, { event });
}

/** The last item of a node once `ids` are gone and `newest` is the newest that is left. */
async function lastOf(
  { store }: Service,
  { owner, name, stored }: Found,
  ids: readonly string[],
  newest: ItemId | undefined,
): Promise<PublishedItem | undefined> {
  if (stored.last === undefined || !ids.includes(stored.last.id)) return stored.last;
  if (newest === undefined) return undefined;
  const [item] = await store.items(owner, name, [newest.id]);
  return item;
}
