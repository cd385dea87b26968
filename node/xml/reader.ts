/**
 * The grammar half of the parser: tags, nesting, attributes and namespaces of one complete slice.
 * Reads with or without building the tree; both ways make exactly the same checks.
 */
import type { Scope } from "./contract.ts";
import { Element } from "./element.ts";
import { XmlError } from "./errors.ts";
import { intern } from "./intern.ts";
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
}

export interface ReadOptions {
  readonly depthMax: number;
  readonly isTreeWanted: boolean;
}

/** More attributes than this are compared by a set instead of each with each. */
const FEW = 8;

export class Reader {
  readonly scanner: Scanner;
  readonly namespaces: Namespaces;
  readonly children: { readonly name: string; readonly ns: string }[] = [];
  readonly #options: ReadOptions;
  /** Names of the open elements, as written. */
  readonly #open: string[] = [];
  #elements = 0;
  /** The open element of the tree; the top element at last. */
  #tree: Element | undefined;
  /** Per open element, the default namespace that its children have in the tree. */
  readonly #treeNs: string[] = [];
  /** Of the start tag read last. */
  attributes: Attribute[] = [];
  name = "";
  ns = "";
  isPrefixed = false;
  /** The position of the ">" or "/>" that ends it. */
  tagEnd = 0;

  constructor(text: string, scope: Scope, options: ReadOptions) {
    this.scanner = new Scanner(text);
    this.namespaces = new Namespaces(scope);
    this.#options = options;
  }

  /**
   * Reads the start tag of the top element; `attributes`, `name`, `ns`, `isPrefixed` and `tagEnd`
   * then tell about it. Whether the element is still open.
   */
  top(): boolean {
    this.scanner.expect(LT, "no element");
    return this.#startTag(true);
  }

  /** Reads everything up to the end tag of the top element, which must end the text. */
  rest(): Element | undefined {
    const { scanner } = this;
    const { isTreeWanted } = this.#options;
    const tree = this.#tree;
    while (this.#open.length > 0) {
      const characters = scanner.characters(isTreeWanted);
      if (characters !== "") this.#append(characters);
      if (scanner.at === scanner.text.length) throw malformed("an element without its end");
      const next = scanner.text.charCodeAt(scanner.at + 1);
      if (next === SLASH) {
        scanner.at += 2;
        this.#endTag();
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

  /** Reads a start tag after its "<"; whether the element is open now. */
  #startTag(isKept: boolean): boolean {
    const { scanner, namespaces } = this;
    const depth = this.#open.length;
    if (depth >= this.#options.depthMax) throw new XmlError("policy-violation", "too many levels");
    if (++this.#elements > ELEMENTS_MAX)
      throw new XmlError("policy-violation", "too many elements");
    const name = scanner.name();
    const { colon } = scanner;
    namespaces.enter();
    const attributes = this.#attributes(isKept);
    this.tagEnd = scanner.at;
    const isEmpty = scanner.code() === SLASH;
    if (isEmpty) scanner.at += 1;
    scanner.expect(GT, "a tag without its end");
    this.attributes = attributes;
    this.isPrefixed = colon !== -1;
    this.ns = colon === -1 ? namespaces.default : namespaces.resolve(name.slice(0, colon));
    this.name = colon === -1 ? name : name.slice(colon + 1);
    this.#checkPrefixes(attributes);
    if (depth === 1) {
      if (this.children.length >= CHILDREN_MAX) {
        throw new XmlError("policy-violation", "too many child elements");
      }
      this.children.push({ name: intern(this.name), ns: intern(this.ns) });
    }
    if (this.#options.isTreeWanted) this.#build(isEmpty);
    if (isEmpty) namespaces.leave();
    else this.#open.push(name);
    return !isEmpty;
  }

  #endTag(): void {
    const { scanner } = this;
    const name = this.#open.pop() as string;
    if (!scanner.text.startsWith(name, scanner.at))
      throw malformed("an end tag of another element");
    scanner.at += name.length;
    scanner.space();
    scanner.expect(GT, "an end tag of another element");
    this.namespaces.leave();
    this.#treeNs.pop();
    if (this.#tree?.parent) this.#tree = this.#tree.parent;
  }

  #attributes(isKept: boolean): Attribute[] {
    const { scanner, namespaces } = this;
    const attributes: Attribute[] = [];
    let seen: Set<string> | undefined;
    for (;;) {
      const isSpaced = scanner.space();
      const next = scanner.code();
      if (next === GT || next === SLASH) return attributes;
      if (!isSpaced) throw malformed("no space before an attribute");
      const from = scanner.at;
      const name = scanner.name();
      const { colon } = scanner;
      const prefix = colon === -1 ? "" : name.slice(0, colon);
      const isDeclaration = name === "xmlns" || prefix === "xmlns";
      if (attributes.length >= ATTRIBUTES_MAX) {
        throw new XmlError("policy-violation", "too many attributes");
      }
      if (attributes.length < FEW) {
        for (const other of attributes)
          if (other.name === name) throw malformed("a repeated attribute");
      } else {
        seen ??= new Set(attributes.map((attribute) => attribute.name));
        if (seen.has(name)) throw malformed("a repeated attribute");
        seen.add(name);
      }
      scanner.space();
      scanner.expect(EQUALS, "an attribute without a value");
      scanner.space();
      const value = scanner.value(isKept || isDeclaration);
      if (isDeclaration)
        namespaces.declare(colon === -1 ? "" : name.slice(colon + 1), intern(value));
      attributes.push({ name, colon, value, from, to: scanner.at });
    }
  }

  /** Resolves the attributes' prefixes; two names may still be the same (Namespaces, 6.3). */
  #checkPrefixes(attributes: readonly Attribute[]): void {
    let first = "";
    let seen: Set<string> | undefined;
    for (const { name, colon } of attributes) {
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
    const parent = this.#tree;
    const parentNs = this.#treeNs.at(-1) ?? "";
    const isXml = this.ns === XML_NS; // The one namespace that cannot be a default.
    const element = new Element(isXml ? `xml:${this.name}` : this.name);
    const attrs: Record<string, string> = Object.create(null);
    const isDeclared = !this.isPrefixed && this.attributes.some(({ name }) => name === "xmlns");
    if (!isXml && (this.ns !== parentNs || isDeclared)) attrs.xmlns = this.ns;
    for (const { name, value } of this.attributes) if (name !== "xmlns") attrs[name] = value;
    element.attrs = attrs;
    if (parent !== undefined) {
      element.parent = parent;
      parent.children.push(element);
    }
    if (parent === undefined || !isEmpty) {
      this.#tree = element;
    }
    if (!isEmpty) this.#treeNs.push(isXml ? parentNs : this.ns);
  }
}
