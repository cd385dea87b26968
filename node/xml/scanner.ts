/**
 * The lexical half of the parser: names, attribute values, character data and references of
 * XML 1.0 (fifth edition) in one complete slice, checked character by character while it is read.
 */
import {
  ASCII_NAME,
  ASCII_NAME_START,
  asciiTable,
  isCharacter,
  isSpace,
  NC_NAME,
} from "./characters.ts";
import { XmlError } from "./errors.ts";
import { nameAt } from "./intern.ts";
import { NAME_LENGTH_MAX } from "./limits.ts";

export const LT = 0x3c;
export const GT = 0x3e;
export const SLASH = 0x2f;
export const BANG = 0x21;
export const EQUALS = 0x3d;
const AMP = 0x26;
const HASH = 0x23;
const SEMICOLON = 0x3b;
const CR = 0x0d;
const LF = 0x0a;
const QUOTE = 0x22;
const APOSTROPHE = 0x27;
const BRACKET = 0x5d;
const CDATA_START = "<![CDATA[";

const isControl = (code: number) => code < 0x20 && !isSpace(code);
const TEXT_STOP = asciiTable((code) => isControl(code) || [LT, AMP, CR, BRACKET].includes(code));
const CDATA_STOP = asciiTable((code) => isControl(code) || [CR, BRACKET].includes(code));
const VALUE_STOP = asciiTable((code) => code < 0x20 || [LT, AMP, QUOTE, APOSTROPHE].includes(code));

/** XML 1.0, 4.6: the only entities of XMPP (RFC 6120, 11.1). */
const ENTITIES: ReadonlyMap<string, string> = new Map([
  ["amp", "&"],
  ["lt", "<"],
  ["gt", ">"],
  ["quot", '"'],
  ["apos", "'"],
]);

export const malformed = (why: string): XmlError => new XmlError("not-well-formed", why);

/** A position in a text. The text comes from valid UTF-8, so its surrogates are paired. */
export class Scanner {
  readonly text: string;
  at = 0;
  /** Where the colon stands in the name read last; -1 without one. */
  colon = -1;

  constructor(text: string) {
    this.text = text;
  }

  /** The character code here; NaN at the end. */
  code(): number {
    return this.text.charCodeAt(this.at);
  }

  /** Skips whitespace; whether there was any. */
  space(): boolean {
    const from = this.at;
    let at = from;
    while (isSpace(this.text.charCodeAt(at))) at++;
    this.at = at;
    return at > from;
  }

  /** Passes the one character that must stand here. */
  expect(code: number, why: string): void {
    if (this.code() !== code) throw malformed(why);
    this.at += 1;
  }

  /** Reads a qualified name. */
  name(): string {
    const { text } = this;
    const from = this.at;
    let at = from;
    let colon = -1;
    let isAscii = true;
    for (; ; at++) {
      const code = text.charCodeAt(at);
      if (code >= 0x80) {
        isAscii = false;
      } else if (ASCII_NAME[code] !== 1) {
        break;
      } else if (code === 0x3a) {
        if (colon !== -1) throw malformed("a name with two colons");
        colon = at - from;
      }
    }
    if (at - from > NAME_LENGTH_MAX) throw new XmlError("policy-violation", "a name is too long");
    const name = nameAt(text, from, at);
    this.at = at;
    this.colon = colon;
    const isGood = isAscii
      ? isNameStart(text, from) && (colon === -1 || isNameStart(text, from + colon + 1))
      : name.split(":").every((part) => NC_NAME.test(part));
    if (!isGood) throw malformed("a bad name");
    return name;
  }

  /** Reads a quoted attribute value and normalises it (XML 1.0, 3.3.3); "" unless `isKept`. */
  value(isKept: boolean): string {
    const { text } = this;
    const quote = this.code();
    if (quote !== QUOTE && quote !== APOSTROPHE) throw malformed("an attribute without quotes");
    let from = this.at + 1;
    let at = from;
    let value = "";
    for (;;) {
      let code = text.charCodeAt(at);
      while (code < 0x80 ? VALUE_STOP[code] === 0 : code < 0xfffe) code = text.charCodeAt(++at);
      if (code === quote) break;
      if (code === QUOTE || code === APOSTROPHE) {
        at += 1;
        continue;
      }
      if (isKept) value += text.slice(from, at);
      if (code === AMP) {
        this.at = at;
        value += this.#reference();
        at = this.at;
      } else if (code < 0x80 && isSpace(code)) {
        at += code === CR && text.charCodeAt(at + 1) === LF ? 2 : 1;
        value += " ";
      } else {
        throw malformed(code === LT ? '"<" in an attribute' : "a forbidden character");
      }
      from = at;
    }
    this.at = at + 1;
    return isKept ? value + text.slice(from, at) : "";
  }

  /** Reads character data up to the next "<" (or the end); "" unless `isKept`. */
  characters(isKept: boolean): string {
    const { text } = this;
    let from = this.at;
    let at = from;
    let value = "";
    for (;;) {
      let code = text.charCodeAt(at);
      while (code < 0x80 ? TEXT_STOP[code] === 0 : code < 0xfffe) code = text.charCodeAt(++at);
      if (code === LT || at === text.length) break;
      if (code === BRACKET) {
        if (text.startsWith("]]>", at)) throw malformed('"]]>" in text');
        at += 1;
        continue;
      }
      if (isKept) value += text.slice(from, at);
      if (code === AMP) {
        this.at = at;
        value += this.#reference();
        at = this.at;
      } else if (code === CR) {
        at += text.charCodeAt(at + 1) === LF ? 2 : 1;
        value += "\n";
      } else {
        throw malformed("a forbidden character");
      }
      from = at;
    }
    this.at = at;
    return isKept ? value + text.slice(from, at) : "";
  }

  /** Reads a CDATA section, which begins here; "" unless `isKept`. */
  cdata(isKept: boolean): string {
    const { text } = this;
    if (!text.startsWith(CDATA_START, this.at)) {
      throw new XmlError("restricted-xml", "a comment or a DTD is not allowed");
    }
    let from = this.at + CDATA_START.length;
    let at = from;
    let value = "";
    for (;;) {
      let code = text.charCodeAt(at);
      while (code < 0x80 ? CDATA_STOP[code] === 0 : code < 0xfffe) code = text.charCodeAt(++at);
      if (code === BRACKET) {
        if (text.startsWith("]]>", at)) break;
        at += 1;
        continue;
      }
      if (code !== CR) throw malformed("a forbidden character or an unfinished CDATA section");
      if (isKept) value += `${text.slice(from, at)}\n`;
      at += text.charCodeAt(at + 1) === LF ? 2 : 1;
      from = at;
    }
    this.at = at + 3;
    return isKept ? value + text.slice(from, at) : "";
  }

  /** Reads a reference, which begins here (XML 1.0, 4.1). */
  #reference(): string {
    const { text } = this;
    const from = this.at + 1;
    if (text.charCodeAt(from) === HASH) return this.#characterReference(from + 1);
    let end = from;
    while (ASCII_NAME[text.charCodeAt(end)] === 1 || text.charCodeAt(end) >= 0x80) end++;
    if (end === from || text.charCodeAt(end) !== SEMICOLON) throw malformed('a bare "&"');
    const name = text.slice(from, end);
    const value = ENTITIES.get(name);
    if (value === undefined) {
      if (!NC_NAME.test(name)) throw malformed("a bad entity reference");
      throw new XmlError("restricted-xml", "an entity that XML does not predefine");
    }
    this.at = end + 1;
    return value;
  }

  #characterReference(from: number): string {
    const { text } = this;
    const isHex = text.charCodeAt(from) === 0x78;
    const radix = isHex ? 16 : 10;
    const first = isHex ? from + 1 : from;
    let at = first;
    let codePoint = 0;
    for (; ; at++) {
      const digit = digitValue(text.charCodeAt(at));
      if (digit >= radix) break;
      if (codePoint <= 0x10ffff) codePoint = codePoint * radix + digit;
    }
    if (at === first || text.charCodeAt(at) !== SEMICOLON || !isCharacter(codePoint)) {
      throw malformed("a bad character reference");
    }
    this.at = at + 1;
    return String.fromCodePoint(codePoint);
  }
}

const isNameStart = (text: string, at: number) => ASCII_NAME_START[text.charCodeAt(at)] === 1;

/** The value of a hexadecimal digit; 16 for anything else. */
function digitValue(code: number): number {
  if (code >= 0x30 && code <= 0x39) return code - 0x30;
  const lower = code | 0x20;
  return lower >= 0x61 && lower <= 0x66 ? lower - 0x57 : 16;
}
