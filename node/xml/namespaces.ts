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
  /** What the stanza declares but its default namespace; made when needed, as most declare nothing. */
  #declared: { readonly prefix: string; readonly name: string }[] | undefined;
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

  /** How many prefixes the stanza has declared at this place. */
  get count(): number {
    return this.#declared?.length ?? 0;
  }

  /** At the end of an element: back to the default namespace and the count that were before it. */
  restore(before: string, count: number): void {
    this.#default = before;
    // Setting it, even to the same, is slow.
    if (this.#declared !== undefined && count !== this.count) this.#declared.length = count;
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
    if (this.count >= PREFIXES_MAX) {
      throw new XmlError("policy-violation", "too many prefixes");
    }
    this.#declared ??= [];
    this.#declared.push({ prefix, name });
  }

  resolve(prefix: string): string {
    if (prefix === "xml") return XML_NS;
    const declared = this.#declared?.findLast((one) => one.prefix === prefix);
    if (declared !== undefined) return declared.name;
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
