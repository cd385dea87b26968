/** The character classes of XML 1.0, fifth edition, and Namespaces in XML 1.0, third edition. */

const NAME_START =
  "A-Z_a-z\\xC0-\\xD6\\xD8-\\xF6\\xF8-\\u02FF\\u0370-\\u037D\\u037F-\\u1FFF\\u200C\\u200D" +
  "\\u2070-\\u218F\\u2C00-\\u2FEF\\u3001-\\uD7FF\\uF900-\\uFDCF\\uFDF0-\\uFFFD\\u{10000}-\\u{EFFFF}";
const NAME_REST = `${NAME_START}\\-.0-9\\xB7\\u0300-\\u036F\\u203F\\u2040`;

/** Namespaces in XML, [4] NCName: a name without a colon. */
export const NC_NAME = new RegExp(`^[${NAME_START}][${NAME_REST}]*$`, "u");

/** Namespaces in XML, [7] QName: at most one prefix. */
export const Q_NAME = new RegExp(
  `^[${NAME_START}][${NAME_REST}]*(?::[${NAME_START}][${NAME_REST}]*)?$`,
  "u",
);

/** A table of the ASCII codes that `is` accepts, for the scanning loops. */
export function asciiTable(is: (code: number) => boolean): Uint8Array {
  return Uint8Array.from({ length: 128 }, (_, code) => (is(code) ? 1 : 0));
}

export const isSpace = (code: number): boolean =>
  code === 0x20 || code === 0x0a || code === 0x09 || code === 0x0d;

/** XML 1.0, [2] Char. */
export const isCharacter = (codePoint: number): boolean =>
  codePoint >= 0x20
    ? codePoint <= 0xd7ff ||
      (codePoint >= 0xe000 && codePoint <= 0xfffd) ||
      (codePoint >= 0x10000 && codePoint <= 0x10ffff)
    : codePoint === 0x09 || codePoint === 0x0a || codePoint === 0x0d;

const isAsciiLetter = (code: number) =>
  (code >= 0x61 && code <= 0x7a) || (code >= 0x41 && code <= 0x5a);

/** ASCII codes that may begin a name; the colon is not among them. */
export const ASCII_NAME_START = asciiTable((code) => isAsciiLetter(code) || code === 0x5f);

/** ASCII codes that may stand in a name, with the colon. */
export const ASCII_NAME = asciiTable(
  (code) =>
    isAsciiLetter(code) ||
    (code >= 0x30 && code <= 0x3a) ||
    code === 0x5f ||
    code === 0x2d ||
    code === 0x2e,
);
