import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { enforceOpaque, enforceUsername, isInClass, obeysBidiRule } from "./precis.ts";

describe("derived properties (RFC 8264, 8 and 9)", () => {
  const cases: readonly (readonly [string, string, boolean, boolean])[] = [
    ["lower case letter", "a", true, true],
    ["ASCII punctuation", "!", true, true],
    ["ASCII space", " ", false, true],
    ["sharp s, an exception", "\u00DF", true, true],
    ["final sigma, an exception", "\u03C2", true, true],
    ["ideographic zero, an exception", "\u3007", true, true],
    ["tatweel, refused by exception", "\u0640", false, false],
    ["vertical kana mark, refused by exception", "\u3031", false, false],
    ["unassigned", "\u0378", false, false],
    ["noncharacter", "\uFDD0", false, false],
    ["private use", "\uE000", false, false],
    ["control", "\u0085", false, false],
    ["soft hyphen, ignorable", "\u00AD", false, false],
    ["right-to-left mark, ignorable", "\u200F", false, false],
    ["variation selector, ignorable", "\uFE0F", false, false],
    ["old hangul", "\u1100", false, false],
    ["hangul syllable", "\uAC00", true, true],
    ["ligature, has compatibility", "\uFB01", false, true],
    ["kelvin sign, has compatibility", "\u212A", false, true],
    ["roman numeral", "\u2163", false, true],
    ["superscript two", "\u00B2", false, true],
    ["titlecase letter", "\u01C5", false, true],
    ["no-break space", "\u00A0", false, true],
    ["currency", "\u20AC", false, true],
    ["chess king", "\u265A", false, true],
    ["emoji", "\u{1F600}", false, true],
    ["dash", "\u2014", false, true],
    ["combining acute", "a\u0301", true, true],
    ["enclosing circle", "a\u20DD", false, true],
    ["arabic number sign, a format character", "\u0600", false, false],
    ["letter beyond the basic plane", "\u{10400}", true, true],
  ];
  for (const [name, text, identifier, freeform] of cases) {
    it(name, () => {
      expect(isInClass(text, "identifier")).toBe(identifier);
      expect(isInClass(text, "freeform")).toBe(freeform);
    });
  }
});

describe("contextual rules (RFC 5892, appendix A)", () => {
  const cases: readonly (readonly [string, string, boolean])[] = [
    ["non-joiner after virama", "\u0915\u094D\u200C\u0937", true],
    ["non-joiner between joining letters", "\u0628\u200C\u0628", true],
    ["non-joiner with transparent marks between", "\u0628\u064E\u200C\u064E\u0628", true],
    ["each of two non-joiners", "\u0628\u200C\u0628\u200C\u0628", true],
    ["second of two non-joiners not joining", "\u0628\u200C\u0628\u200Ca", false],
    ["first of two non-joiners not joining", "a\u200C\u0628\u200C\u0628", false],
    ["non-joiner between latin letters", "a\u200Cb", false],
    ["non-joiner alone", "\u200C", false],
    ["non-joiner first", "\u200C\u0628", false],
    ["joiner after virama", "\u0915\u094D\u200D\u0937", true],
    ["joiner elsewhere", "a\u200Db", false],
    ["joiner first", "\u200Da", false],
    ["middle dot between l", "l\u00B7l", true],
    ["middle dot elsewhere", "a\u00B7l", false],
    ["middle dot last", "l\u00B7", false],
    ["keraia before greek", "\u0375\u03B1", true],
    ["keraia elsewhere", "\u0375a", false],
    ["geresh after hebrew", "\u05D0\u05F3", true],
    ["geresh elsewhere", "a\u05F3", false],
    ["gershayim after hebrew", "\u05D0\u05F4", true],
    ["gershayim first", "\u05F4", false],
    ["katakana middle dot with katakana", "\u30FB\u30AB", true],
    ["katakana middle dot with han", "\u4E00\u30FB", true],
    ["katakana middle dot alone", "a\u30FB", false],
    ["arabic digits", "\u0660\u0661", true],
    ["extended arabic digits", "\u06F0\u06F1", true],
    ["both kinds of arabic digits", "\u0660\u06F0", false],
  ];
  for (const [name, text, isAllowed] of cases) {
    it(name, () => expect(isInClass(text, "identifier")).toBe(isAllowed));
  }
});

describe("bidi rule (RFC 5893, 2)", () => {
  it.each([
    ["abc", true],
    ["\u05D0\u05D1", true],
    ["\u05D01", true],
    ["\u0628\u0660", true],
    ["\u05D0\u0301", true],
    ["1\u05D0", false],
    ["a\u05D0", false],
    ["\u05D0a", false],
    ["\u05D0-", false],
    ["\u06281\u0660", false],
  ])("%j: %s", (text, isGood) => expect(obeysBidiRule(text)).toBe(isGood));
});

describe("UsernameCaseMapped (RFC 8265, 3.3)", () => {
  it.each([
    ["juliet@example.com", "juliet@example.com"],
    ["fussball", "fussball"],
    ["fu\u00DFball", "fu\u00DFball"],
    ["\u03C0", "\u03C0"],
    ["\u03A3", "\u03C3"],
    ["\u03C2", "\u03C2"],
    ["FOO", "foo"],
    ["\uFF26\uFF2F\uFF2F", "foo"],
    ["\uFF76\uFF9E", "\u30AC"],
    ["\u0130", "i\u0307"],
  ])("%s becomes %s", (text, expected) => expect(enforceUsername(text)).toBe(expected));

  it.each(["", "foo bar", "henry\u2163", "\u221E", "\u3000", "a\u0000", "\uD800", "a\u05D0"])(
    "refuses %j",
    (text) => expect(enforceUsername(text)).toBeUndefined(),
  );
});

describe("OpaqueString (RFC 8265, 4.2)", () => {
  it.each([
    ["correct horse battery staple", "correct horse battery staple"],
    ["Correct Horse Battery Staple", "Correct Horse Battery Staple"],
    ["\u03C0\u00DF\u00E5", "\u03C0\u00DF\u00E5"],
    ["Jack of \u2666s", "Jack of \u2666s"],
    ["foo\u1680bar", "foo bar"],
    ["\uFF21", "\uFF21"],
    ["a\u05D0", "a\u05D0"],
  ])("%s becomes %s", (text, expected) => expect(enforceOpaque(text)).toBe(expected));

  it.each(["", "my cat is a \u0009by", "a\u0085", "\uDC00", "\u200B", "a\u200D"])(
    "refuses %j",
    (text) => expect(enforceOpaque(text)).toBeUndefined(),
  );
});

it("what either profile gives, it gives again", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 6 }), (text) => {
      for (const enforce of [enforceUsername, enforceOpaque]) {
        const once = enforce(text);
        if (once !== undefined) expect(enforce(once)).toBe(once);
      }
    }),
    { numRuns: 2_000 },
  );
});
