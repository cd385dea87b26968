/**
 * The grammar half of the parser: tags, nesting, attributes and namespaces of one complete slice.
 * Reads with or without building the tree; both ways make exactly the same checks.
 */
import type { Scope } from "./contract.ts";
import { Element } from "./element.ts";
import { XmlError } from "./errors.ts";
import type { ElementKind } from "./intern.ts";
import { intern, kindOf } from "./intern.ts";
import { ATTRIBUTES_MAX, CHILDREN_MAX, ELEMENTS_MAX } from "./limits.ts";
import { XML_NS } from "./names.ts";
import { Namespaces } from "./namespaces.ts";
import { BANG, EQUALS, GT, LT, malformed, Scanner, SLASH } from "./scanner.ts";

/** An attribute of the start tag read last, with its place in the text. */
export interface Attribute {
  /** As written, with its prefix. */
  readonly name: string;
  /** Length of the prefix; -1 without one. */
  readonly colon: number;
  readonly value: string;
  readonly from: number;
  readonly to: number;
  /** The one behind it in its tag. */
  next: Attribute | undefined;
}

export interface StartTag {
  /** Local name. */
  readonly name: string;
  readonly ns: string;
  readonly isPrefixed: boolean;
  /** The first of them. */
  readonly attributes: Attribute | undefined;
  /** The position of the ">" or "/>" that ends it. */
  readonly end: number;
}

export interface ReadOptions {
  readonly depthMax: number;
  readonly isTreeWanted: boolean;
}

/** An open element, with what holds again when it is over. */
interface Open {
  /** As written. */
  readonly name: string;
  readonly outer: Open | undefined;
  readonly defaultBefore: string;
  readonly prefixesBefore: number;
  /** The default namespace that its children have in the tree. */
  readonly treeNs: string;
}

/** More attributes than this are compared by a set instead of each with each. */
const FEW = 8;

export class Reader {
  readonly scanner: Scanner;
  readonly namespaces: Namespaces;
  readonly children: ElementKind[] = [];
  readonly #options: ReadOptions;
  /** The innermost. A list of its own length would have room for seventeen, and most need two. */
  #open: Open | undefined;
  #depth = 0;
  #elements = 0;
  /** The open element of the tree; the top element at last. */
  #tree: Element | undefined;
  // Of the start tag read last; see StartTag.
  #name = "";
  #ns = "";
  #isPrefixed = false;
  #attributes: Attribute | undefined;
  #tagEnd = 0;

  constructor(text: string, scope: Scope, options: ReadOptions) {
    this.scanner = new Scanner(text);
    this.namespaces = new Namespaces(scope);
    this.#options = options;
  }

  /** Reads the start tag of the top element. */
  top(): StartTag {
    this.scanner.expect(LT, "no element");
    this.#startTag(true);
    return {
      name: intern(this.#name),
      ns: intern(this.#ns),
      isPrefixed: this.#isPrefixed,
      attributes: this.#attributes,
      end: this.#tagEnd,
    };
  }

  /** Reads everything up to the end tag of the top element, which must end the text. */
  rest(): Element | undefined {
    const { scanner } = this;
    const { isTreeWanted } = this.#options;
    const tree = this.#tree;
    while (this.#open !== undefined) {
      const characters = scanner.characters(isTreeWanted);
      if (characters !== "") this.#append(characters);
      if (scanner.at === scanner.text.length) throw malformed("an element without its end");
      const next = scanner.text.charCodeAt(scanner.at + 1);
      if (next === SLASH) {
        scanner.at += 2;
        this.#endTag(this.#open);
      } else if (next === BANG) {
        const section = scanner.cdata(isTreeWanted);
        if (section !== "") this.#append(section);
      } else if (next === 0x3f) {
        throw new XmlError("restricted-xml", "a processing instruction is not allowed");
      } else {
        scanner.at += 1;
        this.#startTag(isTreeWanted);
      }
    }
    this.expectEnd();
    return tree;
  }

  expectEnd(): void {
    if (this.scanner.at !== this.scanner.text.length) throw malformed("bytes after the element");
  }

  /** Reads a start tag after its "<". */
  #startTag(isKept: boolean): void {
    const { scanner, namespaces } = this;
    const depth = this.#depth;
    const { depthMax, isTreeWanted } = this.#options;
    if (depth >= depthMax) throw new XmlError("policy-violation", "too many levels");
    if (++this.#elements > ELEMENTS_MAX)
      throw new XmlError("policy-violation", "too many elements");
    const written = scanner.name();
    const { colon } = scanner;
    const defaultBefore = namespaces.default;
    const prefixesBefore = namespaces.count;
    const attributes = this.#readAttributes(isKept);
    this.#attributes = attributes;
    this.#tagEnd = scanner.at;
    const isEmpty = scanner.code() === SLASH;
    if (isEmpty) scanner.at += 1;
    scanner.expect(GT, "a tag without its end");
    const isPrefixed = colon !== -1;
    const ns = isPrefixed ? namespaces.resolve(written.slice(0, colon)) : namespaces.default;
    const name = isPrefixed ? written.slice(colon + 1) : written;
    this.#checkPrefixes(attributes);
    if (depth === 1) {
      if (this.children.length >= CHILDREN_MAX) {
        throw new XmlError("policy-violation", "too many child elements");
      }
      this.children.push(kindOf(name, ns));
    }
    this.#name = name;
    this.#ns = ns;
    this.#isPrefixed = isPrefixed;
    if (isTreeWanted) this.#build(isEmpty);
    if (isEmpty) namespaces.restore(defaultBefore, prefixesBefore);
    else {
      const outer = this.#open;
      const treeNs = ns === XML_NS ? (outer?.treeNs ?? "") : ns;
      this.#open = { name: written, outer, defaultBefore, prefixesBefore, treeNs };
      this.#depth += 1;
    }
  }

  #endTag({ name, outer, defaultBefore, prefixesBefore }: Open): void {
    const { scanner } = this;
    if (!scanner.text.startsWith(name, scanner.at))
      throw malformed("an end tag of another element");
    scanner.at += name.length;
    scanner.space();
    scanner.expect(GT, "an end tag of another element");
    this.namespaces.restore(defaultBefore, prefixesBefore);
    this.#open = outer;
    this.#depth -= 1;
    if (this.#tree?.parent) this.#tree = this.#tree.parent;
  }

  /** @returns the first */
  #readAttributes(isKept: boolean): Attribute | undefined {
    const { scanner, namespaces } = this;
    let first: Attribute | undefined;
    let last: Attribute | undefined;
    let count = 0;
    let seen: Set<string> | undefined;
    for (;;) {
      const isSpaced = scanner.space();
      const next = scanner.code();
      if (next === GT || next === SLASH) return first;
      if (!isSpaced) throw malformed("no space before an attribute");
      const from = scanner.at;
      const name = scanner.name();
      const { colon } = scanner;
      const prefix = colon === -1 ? "" : name.slice(0, colon);
      const isDeclaration = name === "xmlns" || prefix === "xmlns";
      if (count >= ATTRIBUTES_MAX) {
        throw new XmlError("policy-violation", "too many attributes");
      }
      if (count < FEW) {
        if (attributeOf(first, name) !== undefined) throw malformed("a repeated attribute");
      } else {
        seen ??= namesOf(first);
        if (seen.has(name)) throw malformed("a repeated attribute");
        seen.add(name);
      }
      scanner.space();
      scanner.expect(EQUALS, "an attribute without a value");
      scanner.space();
      const value = scanner.value(isKept || isDeclaration);
      if (isDeclaration)
        namespaces.declare(colon === -1 ? "" : name.slice(colon + 1), intern(value));
      const one = { name, colon, value, from, to: scanner.at, next: undefined };
      if (last === undefined) first = one;
      else last.next = one;
      last = one;
      count += 1;
    }
  }

  /** Resolves the attributes' prefixes; two names may still be the same (Namespaces, 6.3). */
  #checkPrefixes(attributes: Attribute | undefined): void {
    let first = "";
    let seen: Set<string> | undefined;
    for (let one = attributes; one !== undefined; one = one.next) {
      const { name, colon } = one;
      if (colon === -1) continue;
      const prefix = name.slice(0, colon);
      if (prefix === "xmlns") continue;
      const expanded = `${this.namespaces.resolve(prefix)} ${name.slice(colon + 1)}`;
      if (first === "") {
        first = expanded;
        continue;
      }
      seen ??= new Set([first]);
      if (seen.has(expanded)) throw malformed("a repeated attribute");
      seen.add(expanded);
    }
  }

  #append(characters: string): void {
    const siblings = (this.#tree as Element).children;
    const last = siblings.length - 1;
    if (typeof siblings[last] === "string") siblings[last] += characters;
    else siblings.push(characters);
  }

  /**
   * Adds an element to the tree. Its prefix is resolved into an `xmlns` attribute, which is set
   * wherever it differs from the parent's, so that plain names and namespaces are all there is.
   */
  #build(isEmpty: boolean): void {
    const name = this.#name;
    const ns = this.#ns;
    const attributes = this.#attributes;
    const parent = this.#tree;
    const parentNs = this.#open?.treeNs ?? "";
    const isXml = ns === XML_NS; // The one namespace that cannot be a default.
    const element = new Element(isXml ? `xml:${name}` : name);
    const attrs: Record<string, string> = Object.create(null);
    const isDeclared = !this.#isPrefixed && attributeOf(attributes, "xmlns") !== undefined;
    if (!isXml && (ns !== parentNs || isDeclared)) attrs.xmlns = ns;
    for (let one = attributes; one !== undefined; one = one.next) {
      if (one.name !== "xmlns") attrs[one.name] = one.value;
    }
    element.attrs = attrs;
    if (parent !== undefined) {
      element.parent = parent;
      parent.children.push(element);
    }
    if (parent === undefined || !isEmpty) {
      this.#tree = element;
    }
  }
}

/** @param name as it is written, with its prefix */
export function attributeOf(first: Attribute | undefined, name: string): Attribute | undefined {
  let one = first;
  while (one !== undefined && one.name !== name) one = one.next;
  return one;
}

function namesOf(first: Attribute | undefined): Set<string> {
  const names = new Set<string>();
  for (let one = first; one !== undefined; one = one.next) names.add(one.name);
  return names;
}
