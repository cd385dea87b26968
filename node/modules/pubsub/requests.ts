/** Reading requests: what each must say, and the error for what it does not. */

import { StanzaError } from "../../stanza/error.ts";
import type { FilledForm } from "../../stanza/form.ts";
import { formIn } from "../../stanza/form.ts";
import { Jid, JidError } from "../../stanza/jid.ts";
import type { Element } from "../../xml/element.ts";
import { children, ns } from "../../xml/names.ts";
import { refused } from "./errors.ts";
import type { Call, Limits } from "./node.ts";

export const attributeOf = (element: Element, name: string): string | undefined => {
  const value: unknown = element.attrs[name];
  return typeof value === "string" ? value : undefined;
};

/** The node a request is about. @throws StanzaError `nodeid-required` */
export function nodeNameOf({ wish }: Call, limits: Limits): string {
  const name = attributeOf(wish, "node");
  if (name === undefined || name === "") throw refused("bad-request", "nodeid-required");
  return checkedName(name, limits);
}

export function checkedName(name: string, { nameBytesMax }: Limits): string {
  if (Buffer.byteLength(name) <= nameBytesMax) return name;
  throw new StanzaError("not-acceptable", `Cannot use name: ${nameBytesMax} bytes are the most`);
}

/** The `<item/>` children of a request. */
export const itemsOf = (wish: Element): readonly Element[] => children(wish, "item", ns(wish));

/** Ids of items that must have one. */
export function itemIdsOf(wish: Element): readonly string[] {
  const ids = itemsOf(wish).map((item) => attributeOf(item, "id"));
  if (ids.length === 0 || ids.some((id) => id === undefined || id === "")) {
    throw refused("bad-request", "item-required");
  }
  return [...new Set(ids as string[])];
}

/** @throws StanzaError `jid-required` or `invalid-jid` */
export function jidOf(element: Element): Jid {
  const jid = attributeOf(element, "jid");
  if (jid === undefined || jid === "") throw refused("bad-request", "jid-required");
  try {
    return Jid.parse(jid);
  } catch (error) {
    if (error instanceof JidError) throw refused("bad-request", "invalid-jid");
    throw error;
  }
}

/**
 * The form of an element, if it has one of that type.
 * @throws StanzaError `invalid-options` for a form of another type
 */
export function optionsIn(element: Element | undefined, formType: string): FilledForm | undefined {
  const form = element && formIn(element);
  if (form === undefined) return undefined;
  if (form.formType !== "" && form.formType !== formType) {
    throw refused("bad-request", "invalid-options");
  }
  return form;
}

export const isTrue = (value: string | undefined): boolean => value === "1" || value === "true";
