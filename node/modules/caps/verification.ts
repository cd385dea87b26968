/**
 * XEP-0115, section 5: the string that a verification hash is made of, and what may be believed of
 * an answer whose hash is right.
 *
 * The string does not say where features end and a form begins: another document with the same
 * string, and so the same hash, can call a feature a form. What is kept for everybody with a hash is
 * therefore a function of the string alone (its parts), never of the document somebody sent.
 */
import { hash } from "node:crypto";
import { FORM_NS } from "../../stanza/form.ts";
import type { Element } from "../../xml/element.ts";
import { children, text } from "../../xml/names.ts";

export const INFO = "http://jabber.org/protocol/disco#info";

/** Hash functions by their names of the IANA registry that XEP-0115 refers to. MD5 is broken. */
const ALGORITHMS: Readonly<Record<string, string>> = {
  "sha-1": "sha1",
  "sha-224": "sha224",
  "sha-256": "sha256",
  "sha-384": "sha384",
  "sha-512": "sha512",
};

export const isKnownHash = (name: string): boolean => Object.hasOwn(ALGORITHMS, name);

/** The hash of a verification string, as the attribute `ver` carries it. */
export const verOf = (string: string, hashName: string): string =>
  hash(ALGORITHMS[hashName] ?? "sha1", string, "base64");

/** All that the string names: features, and what else it was made of. */
export const partsOf = (string: string): ReadonlySet<string> => new Set(string.split("<"));

/**
 * The verification string of the children of a disco#info answer (5.1).
 * @returns undefined when 5.4 calls the answer ill-formed: an identity, a feature or a form's type
 *   stands twice, or a form has two types
 */
export function verificationString(query: Element): string | undefined {
  const identities = children(query, "identity", INFO).map(identityOf);
  const features = children(query, "feature", INFO).map(({ attrs }) => attribute(attrs.var));
  const forms = children(query, "x", FORM_NS).map(formOf);
  if (hasRepeats(identities) || hasRepeats(features) || forms.includes("ill-formed")) {
    return undefined;
  }
  const typed = forms.filter((form): form is TypedForm => typeof form === "object");
  if (hasRepeats(typed.map(({ type }) => type))) return undefined;
  const parts = [
    ...identities.toSorted(byOctets),
    ...features.toSorted(byOctets),
    ...typed.toSorted((one, other) => byOctets(one.type, other.type)).flatMap(partsOfForm),
  ];
  return parts.map((part) => `${part}<`).join("");
}

interface TypedForm {
  readonly type: string;
  readonly fields: readonly { readonly name: string; readonly values: readonly string[] }[];
}

const identityOf = ({ attrs }: Element): string =>
  [attrs.category, attrs.type, attrs["xml:lang"], attrs.name].map(attribute).join("/");

function formOf(form: Element): TypedForm | "untyped" | "ill-formed" {
  const fields = children(form, "field", FORM_NS);
  const types = fields.filter(({ attrs }) => attrs.var === "FORM_TYPE");
  // 5.4, 3.6: a form whose FORM_TYPE is missing or not hidden does not count.
  if (types.length === 0 || types.some(({ attrs }) => attrs.type !== "hidden")) return "untyped";
  const [type, ...others] = types.flatMap(valuesOf);
  if (type === undefined) return "untyped";
  // 3.5: more than one type, and they differ.
  if (others.some((other) => other !== type)) return "ill-formed";
  const rest = fields.filter(({ attrs }) => attrs.var !== "FORM_TYPE");
  return {
    type,
    fields: rest
      .map((field) => ({ name: attribute(field.attrs.var), values: valuesOf(field) }))
      .toSorted((one, other) => byOctets(one.name, other.name)),
  };
}

const partsOfForm = ({ type, fields }: TypedForm): readonly string[] => [
  type,
  ...fields.flatMap(({ name, values }) => [name, ...values.toSorted(byOctets)]),
];

const valuesOf = (field: Element): string[] => children(field, "value", FORM_NS).map(text);

const attribute = (value: unknown): string => (typeof value === "string" ? value : "");

const hasRepeats = (values: readonly string[]): boolean => new Set(values).size !== values.length;

/** 5.1: "i;octet" (RFC 4790). */
const byOctets = (one: string, other: string): number =>
  Buffer.compare(Buffer.from(one), Buffer.from(other));
