/** XEP-0060, 6.5: retrieving items; 5.4 and 5.5: what service discovery says of nodes. */
import { StanzaError } from "../../stanza/error.ts";
import { formElement } from "../../stanza/form.ts";
import type { PageRequest } from "../../stanza/rsm.ts";
import { pageOf, RSM_NS, readPageRequest, setElement } from "../../stanza/rsm.ts";
import type { PublishedItem, PubsubNodeWithLast } from "../../stores/contract.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { child } from "../../xml/names.ts";
import { readingRefusal } from "./access.ts";
import { publicFieldsOf } from "./config.ts";
import { refused } from "./errors.ts";
import { itemElement } from "./events.ts";
import { META_DATA, PUBSUB } from "./names.ts";
import type { Call, Node, Service } from "./node.ts";
import { askerAt, bareOf, decodeNode, findNode } from "./node.ts";
import { attributeOf, itemIdsOf, itemsOf, nodeNameOf } from "./requests.ts";

type ItemId = Omit<PublishedItem, "payload">;

const idOf = ({ id }: { readonly id: string }): string => id;
const EVERYTHING: PageRequest = {
  max: undefined,
  after: undefined,
  before: undefined,
  index: undefined,
};

/** 6.5. The newest first. */
export async function items(service: Service, call: Call): Promise<Element> {
  const name = nodeNameOf(call, service.limits);
  const node = await findNode(service, call.owner, name);
  if (node === undefined) throw new StanzaError("item-not-found");
  const refusal = readingRefusal(node.config, await askerAt(service, node, call.from));
  if (refusal !== undefined) throw refusal;
  checkSubid(node, call);
  const wanted = itemsOf(call.wish).length > 0 ? itemIdsOf(call.wish) : undefined;
  if (!node.config.persistItems) return answer(node, lastOf(node.stored, wanted));
  if (wanted !== undefined) {
    const ids = wanted.slice(0, service.limits.itemsMax);
    const found = inOrder(ids, await service.store.items(call.owner, name, ids));
    return answer(node, withinBytes(found, service.limits.answerBytesMax));
  }
  return await page(service, call, node);
}

/** 6.5.5: where items are not kept, the last one. */
const lastOf = (
  { last }: PubsubNodeWithLast,
  wanted: readonly string[] | undefined,
): readonly PublishedItem[] =>
  last !== undefined && (wanted === undefined || wanted.includes(last.id)) ? [last] : [];

/** 6.5.3 and 6.5.7: by XEP-0059, by `max_items`, or all there are, as far as an answer goes. */
async function page(service: Service, call: Call, node: Node): Promise<Element> {
  const set = child(call.pubsub, "set", RSM_NS);
  const request = set === undefined ? EVERYTHING : readPageRequest(set);
  const newest = (await service.store.itemIds(call.owner, node.name)).toReversed();
  const most = Math.min(maxItemsOf(call.wish), service.limits.itemsMax);
  const asked = pageOf(newest, idOf, request, most);
  const found = await readItems(service, node, asked.items);
  const isWhole = set === undefined && found.length === Math.min(newest.length, most);
  const told = { ...asked, items: asked.items.slice(0, found.length) };
  return answer(node, found, isWhole ? undefined : setElement(told, idOf));
}

function maxItemsOf(wish: Element): number {
  const said = attributeOf(wish, "max_items");
  if (said === undefined) return Number.POSITIVE_INFINITY;
  if (/^[1-9]\d{0,8}$/.test(said)) return Number(said);
  throw new StanzaError("bad-request", "Cannot retrieve items: max_items is not a number");
}

/** As many as fit into one answer, but one, read a few at a time. */
async function readItems(
  { store, limits }: Service,
  { owner, name }: Node,
  wanted: readonly ItemId[],
): Promise<readonly PublishedItem[]> {
  const found: PublishedItem[] = [];
  let bytes = 0;
  for (let start = 0; start < wanted.length && bytes < limits.answerBytesMax; start += AT_ONCE) {
    const ids = wanted.slice(start, start + AT_ONCE).map(idOf);
    found.push(...inOrder(ids, await store.items(owner, name, ids)));
    bytes = found.reduce((sum, { payload }) => sum + payload.length, 0);
  }
  return withinBytes(found, limits.answerBytesMax);
}

const inOrder = (ids: readonly string[], read: readonly PublishedItem[]) =>
  ids.flatMap((id) => read.find((item) => item.id === id) ?? []);

const AT_ONCE = 25;

function withinBytes(all: readonly PublishedItem[], most: number): readonly PublishedItem[] {
  let bytes = 0;
  return all.filter(({ payload }) => {
    bytes += payload.length;
    return bytes - payload.length < most;
  });
}

const answer = (node: Node, found: readonly PublishedItem[], set?: Element): Element =>
  el("pubsub", { xmlns: PUBSUB }, [
    el(
      "items",
      { node: node.name },
      found.map((item) => itemElement(node, item)),
    ),
    set,
  ]);

/** 6.5.9.2: a subscription that is named must be there. */
function checkSubid({ subscriptions }: Node, { wish, from }: Call): void {
  const subid = attributeOf(wish, "subid");
  if (subid === undefined) return;
  const isOwn = subscriptions.some((one) => one.subid === subid && bareOf(one.jid) === from.bare);
  if (!isOwn) throw refused("not-acceptable", "invalid-subid");
}

type Asking = Pick<Call, "owner" | "from">;

async function isVisible(service: Service, node: Node, { from }: Asking): Promise<boolean> {
  return readingRefusal(node.config, await askerAt(service, node, from)) === undefined;
}

/** 5.3 and 5.4: what a node is, to those who may read it. */
export async function describeNode(
  service: Service,
  asking: Asking,
  name: string,
): Promise<readonly Element[] | undefined> {
  const node = await findNode(service, asking.owner, name);
  if (node === undefined || !(await isVisible(service, node, asking))) return undefined;
  const owner = { name: "pubsub#owner", type: "jid-multi", label: "Owners", values: [node.owner] };
  return [
    el("identity", { category: "pubsub", type: "leaf" }),
    el("feature", { var: PUBSUB }),
    formElement("result", META_DATA, [...publicFieldsOf(node.config), owner]),
  ];
}

/** 5.2: the nodes that somebody may read. */
export async function listNodes(service: Service, asking: Asking): Promise<readonly Element[]> {
  const found: Element[] = [];
  for (const stored of await service.store.list(asking.owner)) {
    const node = decodeNode(service, asking.owner, stored);
    if (!(await isVisible(service, node, asking))) continue;
    const { title } = node.config;
    const name = title === "" ? undefined : title;
    found.push(el("item", { jid: asking.owner, node: node.name, name }));
  }
  return found;
}

/** 5.5: the items of a node. */
export async function listItems(
  service: Service,
  asking: Asking,
  name: string,
): Promise<readonly Element[] | undefined> {
  const node = await findNode(service, asking.owner, name);
  if (node === undefined || !(await isVisible(service, node, asking))) return undefined;
  const ids = await service.store.itemIds(asking.owner, name);
  return ids.toReversed().map(({ id }) => el("item", { jid: asking.owner, name: id }));
}
