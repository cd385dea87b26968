/** A roster item on the wire (RFC 6121, 2.1), both ways. */
import { StanzaError } from "../../stanza/error.ts";
import { Jid } from "../../stanza/jid.ts";
import type { RosterItem } from "../../stores/contract.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { children, text } from "../../xml/names.ts";
import { parseElement } from "../../xml/parser.ts";
import { escapeAttribute, escapeText } from "../../xml/write.ts";

export const ROSTER_NS = "jabber:iq:roster";

export interface ItemLimits {
  readonly nameBytesMax: number;
  readonly groupsMax: number;
}

/** What a client asks for in a roster set. */
export type RosterSet =
  | { readonly kind: "remove"; readonly contact: Jid }
  | {
      readonly kind: "update";
      readonly contact: Jid;
      readonly name: string;
      readonly groups: readonly string[];
    };

const subscriptionOf = ({ to, from }: Pick<RosterItem, "to" | "from">): string => {
  if (to) return from ? "both" : "to";
  return from ? "from" : "none";
};

/** Written without a tree of elements: each login has one for each contact. */
export function itemXml(item: RosterItem): string {
  const { contact, name, groups, ask, approved } = item;
  const named = name === "" ? "" : ` name='${escapeAttribute(name)}'`;
  const asked = ask ? " ask='subscribe'" : "";
  const granted = approved ? " approved='true'" : "";
  const start =
    `<item jid='${escapeAttribute(contact)}'${named}` +
    ` subscription='${subscriptionOf(item)}'${asked}${granted}`;
  if (groups.length === 0) return `${start}/>`;
  let xml = `${start}>`;
  for (const group of groups) xml += `<group>${escapeText(group)}</group>`;
  return `${xml}</item>`;
}

export const itemElement = (item: RosterItem): Element => parseElement(Buffer.from(itemXml(item)));

export const removedElement = (contact: string): Element =>
  el("item", { jid: contact, subscription: "remove" });

/** @throws StanzaError as RFC 6121, 2.3.3 says */
export function readSet(query: Element, limits: ItemLimits): RosterSet {
  const items = children(query, "item", ROSTER_NS);
  const [item] = items;
  if (item === undefined || items.length !== 1) {
    throw new StanzaError("bad-request", "Cannot change roster: not exactly one item");
  }
  const contact = readContact(item.attrs.jid);
  // 2.1.2.5: a client may ask for "remove" only; any other value is ignored.
  if (item.attrs.subscription === "remove") return { kind: "remove", contact };
  const name: unknown = item.attrs.name ?? "";
  if (typeof name !== "string" || Buffer.byteLength(name) > limits.nameBytesMax) {
    throw new StanzaError("not-acceptable", "Cannot change roster: the name is too long");
  }
  return { kind: "update", contact, name, groups: readGroups(item, limits) };
}

function readContact(jid: unknown): Jid {
  const contact = Jid.parseOrNone(typeof jid === "string" ? jid : undefined);
  if (contact !== undefined) return contact.toBare();
  throw new StanzaError("bad-request", "Cannot change roster: the item has no valid address");
}

function readGroups(item: Element, { nameBytesMax, groupsMax }: ItemLimits): readonly string[] {
  const groups = children(item, "group", ROSTER_NS).map(text);
  if (new Set(groups).size !== groups.length) {
    throw new StanzaError("bad-request", "Cannot change roster: a group is given twice");
  }
  const isBad = (group: string) => group === "" || Buffer.byteLength(group) > nameBytesMax;
  if (groups.length > groupsMax || groups.some(isBad)) {
    throw new StanzaError("not-acceptable", "Cannot change roster: a group is empty or too long");
  }
  return groups;
}
