/** An element taken out of its surroundings. */
import { Element } from "./element.ts";
import type { Writable } from "./write.ts";
import { toBytes } from "./write.ts";

/**
 * The element as bytes that mean the same by themselves: namespaces that it uses and that an
 * ancestor declared are declared by it.
 */
export function detachedBytes(element: Element): Buffer {
  const inherited: Record<string, string> = {};
  const wanted = usedPrefixes(element);
  for (let at = element.parent; at !== null; at = at.parent) {
    for (const [name, value] of Object.entries(at.attrs)) {
      if (wanted.has(name) && !Object.hasOwn(inherited, name)) inherited[name] = String(value);
    }
  }
  const attrs = Object.assign(Object.create(null), inherited, element.attrs);
  const top: Writable = { name: element.name, attrs, children: element.children };
  return toBytes(top);
}

/** The attributes that declare what the element uses; more than that does no harm. */
function usedPrefixes(element: Element): ReadonlySet<string> {
  const used = new Set(["xmlns"]);
  const left = [element];
  for (let node = left.pop(); node !== undefined; node = left.pop()) {
    for (const name of [node.name, ...Object.keys(node.attrs)]) {
      const colon = name.indexOf(":");
      if (colon !== -1) used.add(`xmlns:${name.slice(0, colon)}`);
    }
    for (const child of node.children) if (child instanceof Element) left.push(child);
  }
  return used;
}
