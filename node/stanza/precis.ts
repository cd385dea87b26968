/**
 * PRECIS string classes and the two profiles of XMPP addresses (RFC 8264, RFC 8265), computed from
 * the Unicode properties that the runtime knows instead of tables.
 */
import { contextAllows, contextAllowsWhole, needsContext } from "./precis-context.ts";
import { unicode } from "./unicode.ts";

/** RFC 8264, 9.6 (F): valid although their properties say otherwise. */
const VALID_EXCEPTIONS = /[\u00DF\u03C2\u06FD\u06FE\u0F0B\u3007]/u;
/** RFC 8264, 9.6 (F): refused although their properties say otherwise. */
const REFUSED_EXCEPTIONS = /[\u0640\u07FA\u302E\u302F\u3031-\u3035\u303B]/u;
/** RFC 8264, 9.9 (I): Hangul_Syllable_Type L, V and T. */
const OLD_HANGUL = /[\u1100-\u11FF\uA960-\uA97C\uD7B0-\uD7C6\uD7CB-\uD7FB]/u;
const IGNORABLE = /[\p{Default_Ignorable_Code_Point}\p{Noncharacter_Code_Point}]/u;
const LETTER_OR_DIGIT = /[\p{Ll}\p{Lu}\p{Lo}\p{Nd}\p{Lm}\p{Mn}\p{Mc}]/u;
/** RFC 8264, 9.18 (R) OtherLetterDigits, 9.14 Spaces, 9.15 Symbols, 9.16 Punctuation. */
const FREEFORM_ONLY = /[\p{Lt}\p{Nl}\p{No}\p{Me}\p{Zs}\p{S}\p{P}]/u;
const PLAIN_IDENTIFIER = /^[\x21-\x7E]*$/;
const PLAIN_FREEFORM = /^[\x20-\x7E]*$/;
/** RFC 8265, 3.3.2: fullwidth and halfwidth characters become their decompositions. */
const WIDE_OR_NARROW = /[\u3000\uFF01-\uFFEE]/gu;
const NON_ASCII_SPACE = /[^\P{Zs} ]/gu;
/** RFC 8264, 7: rules are applied again until nothing changes; after this many times it is bad. */
const ROUNDS_MAX = 4;

export type StringClass = "identifier" | "freeform";

/** Whether every code point belongs to the class, contextual rules included (RFC 8264, 8). */
export function isInClass(text: string, kind: StringClass): boolean {
  if ((kind === "identifier" ? PLAIN_IDENTIFIER : PLAIN_FREEFORM).test(text)) return true;
  const characters = Array.from(text);
  const isGood = characters.every((character, at) =>
    needsContext(character) ? contextAllows(characters, at) : hasClass(character, kind),
  );
  return isGood && contextAllowsWhole(text);
}

/** The derived property of one code point that needs no context, in the order of RFC 8264, 8. */
function hasClass(character: string, kind: StringClass): boolean {
  if (VALID_EXCEPTIONS.test(character)) return true;
  if (REFUSED_EXCEPTIONS.test(character)) return false;
  const code = character.codePointAt(0) as number;
  if (code >= 0x21 && code <= 0x7e) return true;
  if (OLD_HANGUL.test(character) || IGNORABLE.test(character)) return false;
  // HasCompat. Unassigned, control, format, private and surrogate code points fall through both.
  if (character.normalize("NFKC") !== character) {
    return (
      kind === "freeform" && (LETTER_OR_DIGIT.test(character) || FREEFORM_ONLY.test(character))
    );
  }
  if (LETTER_OR_DIGIT.test(character)) return true;
  return kind === "freeform" && FREEFORM_ONLY.test(character);
}

/** RFC 5893, 2, which applies to strings that have a right-to-left character. */
export function obeysBidiRule(text: string): boolean {
  if (!unicode.bidiDomain.test(text)) return true;
  const first = String.fromCodePoint(text.codePointAt(0) as number);
  if (unicode.bidiS1LTR.test(first)) return unicode.bidiS5.test(text) && unicode.bidiS6.test(text);
  if (!unicode.bidiS1RTL.test(first)) return false;
  const hasBothDigits = unicode.bidiS4EN.test(text) && unicode.bidiS4AN.test(text);
  return unicode.bidiS2.test(text) && unicode.bidiS3.test(text) && !hasBothDigits;
}

/**
 * UsernameCaseMapped (RFC 8265, 3.3), for localparts.
 * @returns undefined when the string is refused
 */
export const enforceUsername = (text: string): string | undefined => enforce(text, username);

/**
 * OpaqueString (RFC 8265, 4.2), for resourceparts.
 * @returns undefined when the string is refused
 */
export const enforceOpaque = (text: string): string | undefined => enforce(text, opaque);

function enforce(text: string, round: (text: string) => string | undefined): string | undefined {
  let last = text;
  for (let count = 0; count < ROUNDS_MAX; count++) {
    const next = round(last);
    if (next === undefined || next === last) return next;
    last = next;
  }
  return undefined;
}

function username(text: string): string | undefined {
  if (!text.isWellFormed()) return undefined;
  const narrowed = text.replace(WIDE_OR_NARROW, (character) => character.normalize("NFKC"));
  if (!isInClass(narrowed, "identifier")) return undefined;
  const mapped = narrowed.toLowerCase().normalize("NFC");
  const isGood = mapped !== "" && isInClass(mapped, "identifier") && obeysBidiRule(mapped);
  return isGood ? mapped : undefined;
}

function opaque(text: string): string | undefined {
  if (!text.isWellFormed()) return undefined;
  const mapped = text.replace(NON_ASCII_SPACE, " ").normalize("NFC");
  return mapped !== "" && isInClass(mapped, "freeform") ? mapped : undefined;
}
