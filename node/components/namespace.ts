/**
 * Components speak `jabber:component:accept` where everybody else in the server says
 * `jabber:client`. Nothing else differs, so only the name is changed, at the edge.
 */
import type { ParsedStanza, Scope } from "../xml/contract.ts";
import type { Element } from "../xml/element.ts";
import { EMPTY_SCOPE, parseStanza } from "../xml/parser.ts";
import { toBytes } from "../xml/write.ts";

export const NS_COMPONENT = "jabber:component:accept";
const NS_CLIENT = "jabber:client";

/** The prefixes of a component's stream as they are meant inside. */
export const scopeInside = (scope: Scope): Scope =>
  new Map([...scope].map(([prefix, ns]) => [prefix, inside(ns)]));

const inside = (ns: string): string => (ns === NS_COMPONENT ? NS_CLIENT : ns);

/**
 * A component's stanza in `jabber:client`.
 * @param scope made with scopeInside
 * @throws XmlError
 */
export function readInside(bytes: Buffer, scope: Scope): ParsedStanza {
  const parsed = parseStanza(bytes, scope);
  if (!bytes.includes(NS_COMPONENT)) return parsed;
  // Some write the namespace out, which the stream has declared already.
  const tree = parsed.element();
  rename(tree);
  return parseStanza(toBytes(tree), EMPTY_SCOPE);
}

/** As deep as the parser lets a stanza be. */
function rename(element: Element): void {
  for (const [name, value] of Object.entries(element.attrs)) {
    if (name === "xmlns" || name.startsWith("xmlns:")) element.attrs[name] = inside(value);
  }
  for (const child of element.children) if (typeof child !== "string") rename(child as Element);
}

/** XML's whitespace only: other bytes may be parts of a character. */
const ATTRIBUTE = /[ \t\r\n]+([^ \t\r\n=]+)[ \t\r\n]*=[ \t\r\n]*(?:'([^']*)'|"([^"]*)")/y;

/** A stanza of the server's as a component reads it: another namespace in its start tag. */
export function writeOutside(bytes: Buffer): Buffer {
  // One character for each byte, so that places in the text are places in the bytes.
  const text = bytes.toString("latin1");
  ATTRIBUTE.lastIndex = text.search(/[ \t\r\n/>]/);
  for (let found = ATTRIBUTE.exec(text); found !== null; found = ATTRIBUTE.exec(text)) {
    const [, name = "", single, double] = found;
    if (!name.startsWith("xmlns") || (single ?? double) !== NS_CLIENT) continue;
    const valueEnd = ATTRIBUTE.lastIndex - 1;
    const before = bytes.subarray(0, valueEnd - NS_CLIENT.length);
    return Buffer.concat([before, Buffer.from(NS_COMPONENT), bytes.subarray(valueEnd)]);
  }
  return bytes;
}
