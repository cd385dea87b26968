/** What subscribers are told (XEP-0060, 7.1.2 and further): the children of `<event/>`. */

import { formElement } from "../../stanza/form.ts";
import type { PublishedItem } from "../../stores/contract.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { parseElement } from "../../xml/parser.ts";
import type { NodeConfig } from "./config.ts";
import { fieldsOf } from "./config.ts";
import { EVENT, NODE_CONFIG } from "./names.ts";
import type { Node } from "./node.ts";

type Told = Pick<PublishedItem, "id" | "payload" | "publisher">;

/** An item as it is retrieved or told of; who published it, where that was not the owner. */
export function itemElement({ owner }: Pick<Node, "owner">, item: Told, isWhole = true): Element {
  const { id, payload } = item;
  const publisher = item.publisher === owner ? undefined : item.publisher;
  const children = isWhole && payload.length > 0 ? [parseElement(payload)] : [];
  return el("item", { id, publisher }, children);
}

const event = (child: Element): Element => el("event", { xmlns: EVENT }, child);

export const itemEvent = (node: Pick<Node, "owner" | "name" | "config">, item: Told): Element =>
  event(el("items", { node: node.name }, itemElement(node, item, node.config.deliverPayloads)));

/** 7.1.2.2: something happened at a node that has no items. */
export const bareEvent = (node: string): Element => event(el("items", { node }));

export const retractEvent = (node: string, ids: readonly string[]): Element =>
  event(
    el(
      "items",
      { node },
      ids.map((id) => el("retract", { id })),
    ),
  );

export const purgeEvent = (node: string): Element => event(el("purge", { node }));

export const deleteEvent = (node: string, redirect: string | undefined): Element =>
  event(el("delete", { node }, redirect === undefined ? [] : [el("redirect", { uri: redirect })]));

export const configurationEvent = (node: string, config: NodeConfig): Element =>
  event(
    el("configuration", { node }, [
      config.deliverPayloads ? formElement("result", NODE_CONFIG, fieldsOf(config)) : undefined,
    ]),
  );

export const subscriptionEvent = (
  node: string,
  { jid, subid, state }: { jid: string; subid: string; state: string },
): Element => event(el("subscription", { node, jid, subid, subscription: state }));
