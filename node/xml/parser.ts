/**
 * Reads one complete slice that the framer cut out: strict XML 1.0 with namespaces, and the
 * restrictions of RFC 6120, 11.1. The whole slice must be exactly one element.
 */
import { isAscii, isUtf8 } from "node:buffer";
import type { ParsedStanza, Scope, StreamOpen } from "./contract.ts";
import type { Element } from "./element.ts";
import { XmlError } from "./errors.ts";
import { detach } from "./intern.ts";
import { DEPTH_MAX, OWN_DEPTH_MAX } from "./limits.ts";
import type { Attribute, ReadOptions, StartTag } from "./reader.ts";
import { attributeOf, Reader } from "./reader.ts";
import { escapeAttribute, serialize } from "./write.ts";

/**
 * Messages and presence are mostly routed unseen, acknowledgements (XEP-0198) counted; everything
 * else is always looked into.
 */
const isUnseen = (text: string): boolean =>
  text.startsWith("<message") ||
  text.startsWith("<presence") ||
  text.startsWith("<a ") ||
  text.startsWith("<r ");

const PEERS: ReadOptions = { depthMax: DEPTH_MAX, isTreeWanted: false };
const PEERS_TREE: ReadOptions = { depthMax: DEPTH_MAX, isTreeWanted: true };
const OWN: ReadOptions = { depthMax: OWN_DEPTH_MAX, isTreeWanted: true };
const HEADER: ReadOptions = { depthMax: 1, isTreeWanted: false };

/** For a slice that depends on nothing outside of it. */
export const EMPTY_SCOPE: Scope = new Map();

/**
 * @param scope what the stream's root declared
 * @throws XmlError with the condition to close the stream with
 */
export function parseStanza(bytes: Buffer, scope: Scope): ParsedStanza {
  const text = decode(bytes);
  const isTreeWanted = !isUnseen(text);
  const reader = new Reader(text, scope, isTreeWanted ? PEERS_TREE : PEERS);
  const top = reader.top();
  const tree = reader.rest();
  const { children, namespaces } = reader;
  const isSplicable = !top.isPrefixed && namespaces.outerUsed.size === 0;
  if (!isSplicable) return new Stanza(bytes, scope, top, children);
  return new Stanza(bytes, scope, top, children, { text, inherited: namespaces.default }, tree);
}

/**
 * The tree of bytes that the server itself wrote or already checked.
 * @throws XmlError
 */
export function parseElement(bytes: Buffer, scope: Scope = EMPTY_SCOPE): Element {
  const reader = new Reader(decode(bytes), scope, OWN);
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
  const reader = new Reader(decode(startTag), EMPTY_SCOPE, HEADER);
  const { name, ns, attributes } = reader.top();
  reader.expectEnd();
  const scope = new Map<string, string>();
  for (let one = attributes; one !== undefined; one = one.next) {
    if (one.name === "xmlns") scope.set("", one.value);
    else if (one.name.startsWith("xmlns:")) scope.set(one.name.slice(one.colon + 1), one.value);
  }
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

function unprefixed(attributes: Attribute | undefined): Record<string, string> {
  const found: Record<string, string> = Object.create(null);
  for (let one = attributes; one !== undefined; one = one.next) {
    if (one.colon === -1 && one.name !== "xmlns") found[one.name] = detach(one.value);
  }
  return found;
}

function qualified(attributes: Attribute | undefined, scope: Scope): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (let one = attributes; one !== undefined; one = one.next) {
    const { name, colon, value } = one;
    const prefix = colon === -1 ? "xmlns" : name.slice(0, colon);
    if (prefix === "xmlns" || prefix === "xml") continue;
    found.set(`${scope.get(prefix)} ${name.slice(colon + 1)}`, detach(value));
  }
  return found;
}

function langOf(attributes: Attribute | undefined): string | undefined {
  const lang = attributeOf(attributes, "xml:lang")?.value;
  return lang === undefined ? undefined : detach(lang);
}

/** What is needed to write another start tag before the rest of the bytes. */
interface Splice {
  readonly text: string;
  /** The default namespace outside of the stanza. */
  readonly inherited: string;
}

class Stanza implements ParsedStanza {
  readonly bytes: Buffer;
  readonly children: ParsedStanza["children"];
  readonly #scope: Scope;
  readonly #top: StartTag;
  readonly #splice: Splice | undefined;
  #attributes: Readonly<Record<string, string>> | undefined;
  #tree: Element | undefined;

  constructor(
    bytes: Buffer,
    scope: Scope,
    top: StartTag,
    children: ParsedStanza["children"],
    splice?: Splice,
    tree?: Element,
  ) {
    this.bytes = bytes;
    this.children = children;
    this.#scope = scope;
    this.#top = top;
    this.#splice = splice;
    this.#tree = tree;
  }

  get name(): string {
    return this.#top.name;
  }

  get ns(): string {
    return this.#top.ns;
  }

  get lang(): string | undefined {
    return langOf(this.#top.attributes);
  }

  get attributes(): Readonly<Record<string, string>> {
    this.#attributes ??= unprefixed(this.#top.attributes);
    return this.#attributes;
  }

  attribute(name: string): string | undefined {
    return attributeOf(this.#top.attributes, name)?.value;
  }

  element(): Element {
    this.#tree ??= parseElement(this.bytes, this.#scope);
    return this.#tree;
  }

  withAttributes(changes: Readonly<Record<string, string | undefined>>): Buffer {
    if (this.#splice === undefined) return this.#rewritten(changes);
    const { text, inherited } = this.#splice;
    const { bytes } = this;
    const { attributes, end: tagEnd } = this.#top;
    let isStanding = true;
    for (const name in changes) {
      const one = attributeOf(attributes, name);
      if (one !== undefined && one.value !== changes[name]) isStanding = false;
    }
    // Mostly the start tag stays as it is, and only gets more at its end.
    let tag = isStanding ? "" : `<${this.name}`;
    if (!isStanding) {
      for (let one = attributes; one !== undefined; one = one.next) {
        if (isKept(one, changes)) tag += ` ${text.slice(one.from, one.to)}`;
      }
    }
    const isDeclared = attributeOf(attributes, "xmlns") !== undefined;
    if (!isDeclared && inherited !== "") tag += ` xmlns='${escapeAttribute(inherited)}'`;
    for (const name in changes) {
      const value = changes[name];
      if (value === undefined || this.attribute(name) === value) continue;
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

  #rewritten(changes: Readonly<Record<string, string | undefined>>): Buffer {
    const { name, attrs, children } = this.element();
    const changed: Record<string, string | undefined> = Object.create(null);
    Object.assign(changed, attrs, changes);
    return Buffer.from(serialize({ name, attrs: changed, children }), "utf8");
  }
}

const isKept = (
  { name, value }: Attribute,
  changes: Readonly<Record<string, string | undefined>>,
): boolean => !Object.hasOwn(changes, name) || changes[name] === value;
