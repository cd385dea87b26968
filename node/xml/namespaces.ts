/** Which prefix means which namespace at a place in a stanza (Namespaces in XML 1.0). */
import type { Scope } from "./contract.ts";
import { XmlError } from "./errors.ts";
import { NS_LENGTH_MAX, PREFIXES_MAX } from "./limits.ts";
import { XML_NS, XMLNS_NS } from "./names.ts";
import { malformed } from "./scanner.ts";

const NONE: ReadonlyMap<string, string> = new Map();

export class Namespaces {
  readonly #outer: Scope;
  #default: string;
  readonly #prefixes: string[] = [];
  readonly #names: string[] = [];
  /** Per open element: the default namespace and the count of prefixes before it. */
  readonly #defaults: string[] = [];
  readonly #counts: number[] = [];
  #outerUsed: Map<string, string> | undefined;

  constructor(outer: Scope) {
    this.#outer = outer;
    this.#default = outer.get("") ?? "";
  }

  /** Prefixes that were resolved outside of the stanza. */
  get outerUsed(): ReadonlyMap<string, string> {
    return this.#outerUsed ?? NONE;
  }

  get default(): string {
    return this.#default;
  }

  /** Prefix and namespace of what is declared now, "" being the default. */
  *declared(): Iterable<[string, string]> {
    if (this.#default !== "") yield ["", this.#default];
    for (const [at, prefix] of this.#prefixes.entries()) yield [prefix, this.#names[at] as string];
  }

  enter(): void {
    this.#defaults.push(this.#default);
    this.#counts.push(this.#prefixes.length);
  }

  leave(): void {
    this.#default = this.#defaults.pop() as string;
    const count = this.#counts.pop() as number;
    if (count === this.#prefixes.length) return; // Setting it, even to the same, is slow.
    this.#prefixes.length = count;
    this.#names.length = count;
  }

  /** @param prefix "" for the default namespace */
  declare(prefix: string, name: string): void {
    if (name.length > NS_LENGTH_MAX) {
      throw new XmlError("policy-violation", "a namespace name is too long");
    }
    // Not a URI reference, and trimmed by some parsers: they would see another namespace than we.
    if (/\s/.test(name)) throw malformed("a namespace name with whitespace");
    // Namespaces in XML, 3: these two are bound for ever, and to nothing else.
    if (prefix === "xmlns" || name === XMLNS_NS) throw malformed("xmlns cannot be declared");
    if ((prefix === "xml") !== (name === XML_NS)) throw malformed("xml cannot be declared anew");
    if (prefix === "") {
      this.#default = name;
      return;
    }
    if (name === "") throw malformed("a prefix cannot be undeclared");
    if (prefix === "xml") return;
    if (this.#prefixes.length >= PREFIXES_MAX) {
      throw new XmlError("policy-violation", "too many prefixes");
    }
    this.#prefixes.push(prefix);
    this.#names.push(name);
  }

  resolve(prefix: string): string {
    if (prefix === "xml") return XML_NS;
    const at = this.#prefixes.lastIndexOf(prefix);
    if (at !== -1) return this.#names[at] as string;
    const name = prefix === "" ? undefined : this.#outer.get(prefix);
    if (name === undefined) {
      // RFC 6120, 4.9.3.13: what violates [XML-NAMES] is not well-formed.
      throw new XmlError("not-well-formed", "a prefix that is not declared");
    }
    this.#outerUsed ??= new Map();
    this.#outerUsed.set(prefix, name);
    return name;
  }
}
