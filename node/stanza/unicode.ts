/** Unicode properties that JavaScript's regular expressions lack, as tr46 computed them. */
import { createRequire } from "node:module";

interface UnicodeExpressions {
  /** A right-to-left or Arabic number character: the bidi rule applies to the string. */
  readonly bidiDomain: RegExp;
  /** The conditions of RFC 5893, 2. */
  readonly bidiS1LTR: RegExp;
  readonly bidiS1RTL: RegExp;
  readonly bidiS2: RegExp;
  readonly bidiS3: RegExp;
  readonly bidiS4EN: RegExp;
  readonly bidiS4AN: RegExp;
  readonly bidiS5: RegExp;
  readonly bidiS6: RegExp;
  /** Canonical_Combining_Class=Virama. */
  readonly combiningClassVirama: RegExp;
  /** The joining types around a zero width non-joiner, RFC 5892, A.1. */
  readonly validZWNJ: RegExp;
}

/** The file is CommonJS without types. */
export const unicode = createRequire(import.meta.url)("tr46/lib/regexes.js") as UnicodeExpressions;
