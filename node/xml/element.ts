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
  const attrs = Object.create(null);
  for (const key of Object.keys(attributes)) {
    const value = attributes[key];
    if (value !== undefined) attrs[key] = value;
  }
  element.attrs = attrs;
  for (const child of children) {
    if (isMany(child)) for (const one of child) add(element, one);
    else add(element, child);
  }
  return element;
}

const isMany = (child: Child | readonly Child[]): child is readonly Child[] => Array.isArray(child);

function add(element: Element, child: Child): void {
  if (child === undefined) return;
  if (typeof child === "string") element.t(child);
  else element.cnode(child);
}
