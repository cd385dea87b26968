/** Domainparts: internationalised domain names (RFC 7622, 3.2; RFC 5891) and IP literals. */
import { isIPv6 } from "node:net";
import { toASCII, toUnicode } from "tr46";
import { isInClass } from "./precis.ts";

/** Letters, digits, hyphens in labels of at most 63 that neither begin nor end with a hyphen. */
const LDH_NAME =
  /^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$/;
/** Hyphens in the third and fourth place are an A-label or reserved: not for the fast way. */
const RESERVED_LABEL = /(?:^|\.)..--/;
const LABEL_LENGTH_MAX = 63;

const STRICT = {
  checkBidi: true,
  checkHyphens: true,
  checkJoiners: true,
  useSTD3ASCIIRules: true,
} as const;

/**
 * The domainpart in the one form that is compared: U-labels, lower case, no final dot.
 * @returns undefined when it is refused
 */
export function prepareDomain(text: string): string | undefined {
  // RFC 7622, 3.2: a final dot is stripped before anything else.
  const domain = (text.endsWith(".") ? text.slice(0, -1) : text).toLowerCase();
  if (LDH_NAME.test(domain) && !RESERVED_LABEL.test(domain)) return domain;
  if (domain.startsWith("[")) {
    const address = domain.slice(1, -1);
    return domain.endsWith("]") && isIPv6(address) && !address.includes("%") ? domain : undefined;
  }
  return internationalised(text);
}

function internationalised(text: string): string | undefined {
  if (!text.isWellFormed()) return undefined;
  const { domain, error } = toUnicode(text, STRICT);
  if (error) return undefined;
  const labels = (domain.endsWith(".") ? domain.slice(0, -1) : domain).split(".");
  // UTS 46 also accepts symbols; IDNA2008 does not (RFC 5892, 3).
  if (!labels.every((label) => label !== "" && isInClass(label, "identifier"))) return undefined;
  const name = labels.join(".");
  const inDns = toASCII(name, STRICT);
  return inDns?.split(".").every((label) => label.length <= LABEL_LENGTH_MAX) ? name : undefined;
}
