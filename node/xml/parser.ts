/**
 * Reads one complete slice that the framer cut out: strict XML 1.0 with namespaces, and the
 * restrictions of RFC 6120, 11.1. The whole slice must be exactly one element.
 */
import { isAscii, isUtf8 } from "node:buffer";
import type { ParsedStanza, Scope, StreamOpen } from "./contract.ts";
import type { Element } from "./element.ts";
import { XmlError } from "./errors.ts";
import { detach, intern } from "./intern.ts";
import { DEPTH_MAX, OWN_DEPTH_MAX } from "./limits.ts";
import type { Attribute } from "./reader.ts";
import { Reader } from "./reader.ts";
import { escapeAttribute, serialize } from "./write.ts";

/** For a slice that depends on nothing outside of it. */
export const EMPTY_SCOPE: Scope = new Map();

/**
 * @param scope what the stream's root declared
 * @throws XmlError with the condition to close the stream with
 */
export function parseStanza(bytes: Buffer, scope: Scope): ParsedStanza {
  const text = decode(bytes);
  // Messages and presence are mostly routed unseen; everything else is always looked into.
  const isTreeWanted = !text.startsWith("<message") && !text.startsWith("<presence");
  const reader = new Reader(text, scope, { depthMax: DEPTH_MAX, isTreeWanted });
  reader.top();
  const { name, ns, isPrefixed, attributes, tagEnd } = reader;
  const tree = reader.rest();
  const { outerUsed, default: inherited } = reader.namespaces;
  const top = { name: intern(name), ns: intern(ns), attributes };
  const isSplicable = !isPrefixed && outerUsed.size === 0;
  const splice = isSplicable ? { text, tagEnd, inherited } : undefined;
  return new Stanza(bytes, scope, top, reader.children, splice, tree);
}

/**
 * The tree of bytes that the server itself wrote or already checked.
 * @throws XmlError
 */
export function parseElement(bytes: Buffer, scope: Scope = EMPTY_SCOPE): Element {
  const reader = new Reader(decode(bytes), scope, { depthMax: OWN_DEPTH_MAX, isTreeWanted: true });
  reader.top();
  const tree = reader.rest() as Element;
  for (const [prefix, name] of reader.namespaces.outerUsed) tree.attrs[`xmlns:${prefix}`] = name;
  return tree;
}

/**
 * Reads the start tag of a stream's root, as the framer hands it over.
 * @throws XmlError
 */
export function parseStreamOpen(startTag: Buffer): StreamOpen {
  const reader = new Reader(decode(startTag), EMPTY_SCOPE, { depthMax: 1, isTreeWanted: false });
  reader.top();
  reader.expectEnd();
  const scope = new Map<string, string>();
  for (const { name, colon, value } of reader.attributes) {
    if (name === "xmlns") scope.set("", value);
    else if (name.startsWith("xmlns:")) scope.set(name.slice(colon + 1), value);
  }
  const { name, ns, attributes } = reader;
  return {
    name,
    ns,
    scope,
    attributes: unprefixed(attributes),
    qualified: qualified(attributes, scope),
    lang: langOf(attributes),
  };
}

function decode(bytes: Buffer): string {
  if (isAscii(bytes)) return bytes.toString("latin1");
  // RFC 6120, 4.9.3.22 names "violating the rules of the [UTF-8] encoding" under this condition.
  if (!isUtf8(bytes)) throw new XmlError("unsupported-encoding", "the bytes are not UTF-8");
  return bytes.toString("utf8");
}

function unprefixed(attributes: readonly Attribute[]): Record<string, string> {
  const found: Record<string, string> = Object.create(null);
  for (const { name, colon, value } of attributes) {
    if (colon === -1 && name !== "xmlns") found[name] = detach(value);
  }
  return found;
}

function qualified(attributes: readonly Attribute[], scope: Scope): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const { name, colon, value } of attributes) {
    const prefix = colon === -1 ? "xmlns" : name.slice(0, colon);
    if (prefix === "xmlns" || prefix === "xml") continue;
    found.set(`${scope.get(prefix)} ${name.slice(colon + 1)}`, detach(value));
  }
  return found;
}

function langOf(attributes: readonly Attribute[]): string | undefined {
  const lang = attributes.find(({ name }) => name === "xml:lang")?.value;
  return lang === undefined ? undefined : detach(lang);
}

interface Top {
  readonly name: string;
  readonly ns: string;
  readonly attributes: readonly Attribute[];
}

/** What is needed to write another start tag before the rest of the bytes. */
interface Splice {
  readonly text: string;
  readonly tagEnd: number;
  /** The default namespace outside of the stanza. */
  readonly inherited: string;
}

class Stanza implements ParsedStanza {
  readonly name: string;
  readonly ns: string;
  readonly attributes: Readonly<Record<string, string>>;
  readonly lang: string | undefined;
  readonly bytes: Buffer;
  readonly children: ParsedStanza["children"];
  readonly #scope: Scope;
  readonly #written: readonly Attribute[];
  readonly #splice: Splice | undefined;
  #tree: Element | undefined;

  constructor(
    bytes: Buffer,
    scope: Scope,
    top: Top,
    children: ParsedStanza["children"],
    splice: Splice | undefined,
    tree: Element | undefined,
  ) {
    this.name = top.name;
    this.ns = top.ns;
    this.attributes = unprefixed(top.attributes);
    this.lang = langOf(top.attributes);
    this.bytes = bytes;
    this.children = children;
    this.#scope = scope;
    this.#written = top.attributes;
    this.#splice = splice;
    this.#tree = splice === undefined ? undefined : tree;
  }

  element(): Element {
    this.#tree ??= parseElement(this.bytes, this.#scope);
    return this.#tree;
  }

  withAttributes(changes: Readonly<Record<string, string | undefined>>): Buffer {
    if (this.#splice === undefined) return this.#rewritten(changes);
    const { text, tagEnd, inherited } = this.#splice;
    const { bytes } = this;
    const written = this.#written;
    const isSame = ({ name, value }: Attribute) =>
      !Object.hasOwn(changes, name) || changes[name] === value;
    const isStanding = written.every(isSame);
    // Mostly the start tag stays as it is, and only gets more at its end.
    let tag = isStanding ? "" : `<${this.name}`;
    for (const one of isStanding ? [] : written) {
      if (isSame(one)) tag += ` ${text.slice(one.from, one.to)}`;
    }
    const isDeclared = written.some(({ name }) => name === "xmlns");
    if (!isDeclared && inherited !== "") tag += ` xmlns='${escapeAttribute(inherited)}'`;
    for (const name of Object.keys(changes)) {
      const value = changes[name];
      if (value === undefined || this.#valueOf(name) === value) continue;
      tag += ` ${name}='${escapeAttribute(value)}'`;
    }
    const isSingleByte = text.length === bytes.length;
    const restFrom = isSingleByte ? tagEnd : Buffer.byteLength(text.slice(0, tagEnd));
    const tagFrom = isStanding ? restFrom : 0;
    const tagLength = Buffer.byteLength(tag);
    const spliced = Buffer.allocUnsafe(tagFrom + tagLength + bytes.length - restFrom);
    bytes.copy(spliced, 0, 0, tagFrom);
    spliced.write(tag, tagFrom, tagLength, "utf8");
    bytes.copy(spliced, tagFrom + tagLength, restFrom);
    return spliced;
  }

  /** As it is written, with its prefix. */
  #valueOf(name: string): string | undefined {
    for (const one of this.#written) if (one.name === name) return one.value;
    return undefined;
  }

  #rewritten(changes: Readonly<Record<string, string | undefined>>): Buffer {
    const { name, attrs, children } = this.element();
    const changed: Record<string, string | undefined> = Object.create(null);
    Object.assign(changed, attrs, changes);
    return Buffer.from(serialize({ name, attrs: changed, children }), "utf8");
  }
}
