/** What administrators fill in: one place for the fields of XEP-0133 and how they are read. */
import { StanzaError } from "../../stanza/error.ts";
import type { Field } from "../../stanza/form.ts";
import { Jid, JidError } from "../../stanza/jid.ts";
import type { CommandGiven } from "../contract.ts";

export const ADMIN_NS = "http://jabber.org/protocol/admin";
/** Addresses in one command. */
const ADDRESSES_MAX = 100;

export const nodeOf = (name: string): string => `${ADMIN_NS}#${name}`;

export const addressField = (label: string): Field => ({
  name: "accountjid",
  type: "jid-single",
  label,
  values: [],
  isRequired: true,
});

export const addressesField = (label: string): Field => ({
  name: "accountjids",
  type: "jid-multi",
  label,
  values: [],
  isRequired: true,
});

export const secretField = (name: string, label: string): Field => ({
  name,
  type: "text-private",
  label,
  values: [],
  isRequired: true,
});

export const firstOf = ({ fields }: CommandGiven, name: string): string =>
  fields.get(name)?.[0] ?? "";

/** The accounts named, of our domains. @throws StanzaError */
export function accountsIn(
  { fields }: CommandGiven,
  name: string,
  domains: readonly string[],
): readonly Jid[] {
  const texts = (fields.get(name) ?? []).filter((text) => text.trim() !== "");
  if (texts.length > ADDRESSES_MAX) {
    throw new StanzaError("not-acceptable", `Cannot run command: more than ${ADDRESSES_MAX}`);
  }
  return texts.map((text) => accountOf(text.trim(), domains));
}

function accountOf(text: string, domains: readonly string[]): Jid {
  try {
    const jid = Jid.parse(text);
    if (jid.local !== "" && domains.includes(jid.domain)) return jid;
  } catch (error) {
    if (!(error instanceof JidError)) throw error;
    throw new StanzaError("jid-malformed", `${text}: ${error.message}`);
  }
  throw new StanzaError("not-acceptable", `${text}: not an account of this service`);
}
