/** The tree of a stanza: ltx's Element, with the few lookups that are safe on untrusted input. */
import { Element } from "ltx";

export { Element };
export type Child = Element | string | undefined;

/** Builds an element; undefined attributes and children are left out. */
export function el(
  name: string,
  attributes: Record<string, string | undefined> = {},
  ...children: readonly (Child | readonly Child[])[]
): Element {
  const element = new Element(name);
  element.attrs = Object.create(null);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) element.attrs[key] = value;
  }
  for (const child of children.flat()) {
    if (child === undefined) continue;
    if (typeof child === "string") element.t(child);
    else element.cnode(child);
  }
  return element;
}
