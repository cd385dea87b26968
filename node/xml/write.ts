/**
 * Writes elements. Refuses what would break the receiver's stream, because one ill-formed stanza
 * ends it, and writes what attribute normalisation would change as references.
 */
import { Q_NAME } from "./characters.ts";
import { Element } from "./element.ts";
import { XmlWriteError } from "./errors.ts";
import { OWN_DEPTH_MAX } from "./limits.ts";

/** As much of an Element as writing needs. */
export interface Writable {
  readonly name: string;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly children: readonly unknown[];
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what must not be written
const FORBIDDEN = /[\u0000-\u0008\u000B\u000C\u000E-\u001F\uFFFE\uFFFF]/;
const IN_TEXT = /[&<>\r]/g;
const IN_ATTRIBUTE = /[&<>"'\r\n\t]/g;
/** Not certain to need neither an escape nor a refusal: most text is, and is looked at just once. */
const UNUSUAL = /[^ !#-%(-;=?-~\u00A0-\uD7FF\uE000-\uFFFD]/;
const PLAIN_NAME = /^[A-Za-z_][-\w.]*$/;
const ESCAPES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&apos;",
  "\r": "&#xD;",
  "\n": "&#xA;",
  "\t": "&#x9;",
};
const escapeOne = (character: string) => ESCAPES[character] as string;

/** @throws XmlWriteError when the text has a character that XML cannot carry */
export function escapeText(text: string): string {
  if (!UNUSUAL.test(text)) return text;
  check(text);
  return text.replace(IN_TEXT, escapeOne);
}

/**
 * For between single or double quotes.
 * @throws XmlWriteError when the value has a character that XML cannot carry
 */
export function escapeAttribute(value: string): string {
  if (!UNUSUAL.test(value)) return value;
  check(value);
  return value.replace(IN_ATTRIBUTE, escapeOne);
}

/** XML that is written already: an answer of very many elements needs no tree of them. */
export class Written {
  readonly xml: string;

  constructor(xml: string) {
    this.xml = xml;
  }
}

/** @throws XmlWriteError for forbidden characters, bad names or more than 128 levels */
export const toBytes = (element: Writable): Buffer => Buffer.from(serialize(element), "utf8");

/** @throws XmlWriteError for forbidden characters, bad names or more than 128 levels */
export function serialize(element: Writable): string {
  const open: Writable[] = [];
  const next: number[] = [];
  let written = "";
  let node: unknown = element;
  for (;;) {
    if (isWritable(node)) {
      if (open.length >= OWN_DEPTH_MAX) throw new XmlWriteError("too many levels");
      written += startTag(node);
      if (node.children.length === 0) {
        written += "/>";
      } else {
        written += ">";
        open.push(node);
        next.push(0);
      }
    } else {
      written += escapeText(characters(node));
    }
    let parent = open.at(-1);
    while (parent !== undefined && (next.at(-1) as number) >= parent.children.length) {
      written += `</${parent.name}>`;
      open.pop();
      next.pop();
      parent = open.at(-1);
    }
    if (parent === undefined) return written;
    const at = next.pop() as number;
    next.push(at + 1);
    node = parent.children[at];
  }
}

function startTag({ name, attrs }: Writable): string {
  checkName(name);
  let tag = `<${name}`;
  for (const key of Object.keys(attrs)) {
    const value = attrs[key];
    if (value === undefined || value === null) continue;
    checkName(key);
    tag += ` ${key}='${escapeAttribute(String(value))}'`;
  }
  return tag;
}

function isWritable(node: unknown): node is Writable {
  return node instanceof Element || (typeof node === "object" && node !== null && "attrs" in node);
}

function characters(node: unknown): string {
  if (typeof node === "string") return node;
  if (typeof node === "number") return String(node);
  throw new XmlWriteError("a child is neither text nor an element");
}

function check(text: string): void {
  if (FORBIDDEN.test(text) || !text.isWellFormed())
    throw new XmlWriteError("a forbidden character");
}

function checkName(name: string): void {
  if (!PLAIN_NAME.test(name) && !Q_NAME.test(name)) throw new XmlWriteError("a bad name");
}
