/** Lookups in a tree that are right for `xmlns=""` and prefixes, and safe at any depth. */
import { Element } from "./element.ts";

export const XML_NS = "http://www.w3.org/XML/1998/namespace";
export const XMLNS_NS = "http://www.w3.org/2000/xmlns/";

/** The name without its prefix. */
export function localName(element: Element): string {
  const { name } = element;
  const colon = name.indexOf(":");
  return colon === -1 ? name : name.slice(colon + 1);
}

/** The namespace name; "" when the element is in none or its prefix is not declared. */
export function ns(element: Element): string {
  const { name } = element;
  const colon = name.indexOf(":");
  if (colon === -1) return declared(element, "xmlns");
  const prefix = name.slice(0, colon);
  return prefix === "xml" ? XML_NS : declared(element, `xmlns:${prefix}`);
}

/** The first child element of that name and namespace. */
export function child(element: Element, name: string, namespace: string): Element | undefined {
  for (const node of element.children) {
    if (node instanceof Element && isNamed(node, name, namespace)) return node;
  }
  return undefined;
}

/** All child elements, or those of one name and namespace. */
export function children(element: Element, name?: string, namespace?: string): Element[] {
  const found: Element[] = [];
  for (const node of element.children) {
    if (!(node instanceof Element)) continue;
    if (name === undefined || isNamed(node, name, namespace)) found.push(node);
  }
  return found;
}

/** The character data directly in the element; "" when there is none. */
export function text(element: Element): string {
  let found = "";
  for (const node of element.children) {
    if (typeof node === "string") found += node;
  }
  return found;
}

/** Whether it has that local name and, when one is given, that namespace. */
export const isNamed = (element: Element, name: string, namespace?: string): boolean =>
  localName(element) === name && (namespace === undefined || ns(element) === namespace);

function declared(element: Element, attribute: string): string {
  for (let at: Element | null = element; at !== null; at = at.parent) {
    if (Object.hasOwn(at.attrs, attribute)) {
      const value: unknown = at.attrs[attribute];
      if (typeof value === "string") return value;
    }
  }
  return "";
}
