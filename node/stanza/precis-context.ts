/** The contextual rules of RFC 5892, appendix A, for code points allowed in some places only. */
import { unicode } from "./unicode.ts";

const CONTEXTUAL = /[\u00B7\u0375\u05F3\u05F4\u0660-\u0669\u06F0-\u06F9\u200C\u30FB]|\u200D/u;
const GREEK = /\p{Script=Greek}/u;
const HEBREW = /\p{Script=Hebrew}/u;
const JAPANESE = /[\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Han}]/u;
const KATAKANA_DOT = /\u30FB/;
const ARABIC_INDIC = /[\u0660-\u0669]/u;
const EXTENDED_ARABIC_INDIC = /[\u06F0-\u06F9]/u;

/** CONTEXTJ or CONTEXTO. */
export const needsContext = (character: string): boolean => CONTEXTUAL.test(character);

/**
 * Whether its neighbours allow it.
 * @param characters the code points of the whole string, `at` being one that needs context
 */
export function contextAllows(characters: readonly string[], at: number): boolean {
  const before = characters[at - 1] ?? "";
  const after = characters[at + 1] ?? "";
  switch (characters[at]) {
    case "\u200C": // A.1, zero width non-joiner
      return isVirama(before) || joins(characters, at);
    case "\u200D": // A.2, zero width joiner
      return isVirama(before);
    case "\u00B7": // A.3, middle dot: Catalan
      return before === "l" && after === "l";
    case "\u0375": // A.4, Greek keraia
      return GREEK.test(after);
    case "\u05F3": // A.5 and A.6, Hebrew geresh and gershayim
    case "\u05F4":
      return HEBREW.test(before);
    default: // A.7 to A.9 are rules for the whole string.
      return true;
  }
}

/** A.7: a Katakana middle dot needs Japanese; A.8, A.9: the kinds of Arabic digits do not mix. */
export function contextAllowsWhole(text: string): boolean {
  if (KATAKANA_DOT.test(text) && !JAPANESE.test(text)) return false;
  return !(ARABIC_INDIC.test(text) && EXTENDED_ARABIC_INDIC.test(text));
}

const ZWNJ = "\u200C";

const isVirama = (character: string) => unicode.combiningClassVirama.test(character);

/** Whether the characters on both sides of the non-joiner would join; each is tried by itself. */
function joins(characters: readonly string[], at: number): boolean {
  const from = characters.lastIndexOf(ZWNJ, at - 1) + 1;
  const next = characters.indexOf(ZWNJ, at + 1);
  const around = characters.slice(at === 0 ? 0 : from, next === -1 ? characters.length : next);
  return unicode.validZWNJ.test(around.join(""));
}
