/** XEP-0077 before login: making an account on the stream that will log in to it. */
import { userOf } from "../auth/lookup.ts";
import { Unavailable } from "../base/errors.ts";
import { NS_REGISTER } from "../stream/namespaces.ts";
import type { ParsedStanza } from "../xml/contract.ts";
import { child, text } from "../xml/names.ts";
import type { Registration } from "./door-context.ts";
import { iqError, iqResult, isRequest } from "./replies.ts";

const FORM =
  `<query xmlns='${NS_REGISTER}'><instructions>Choose a username and a password.</instructions>` +
  "<username/><password/></query>";

/** Whether it is a request this file answers. */
export const isRegistration = (stanza: ParsedStanza): boolean =>
  isRequest(stanza, "any", NS_REGISTER, "query");

/** The text of the query's field, undefined when it is not there. */
function field(stanza: ParsedStanza, name: string): string | undefined {
  const query = child(stanza.element(), "query", NS_REGISTER);
  const found = query === undefined ? undefined : child(query, name, NS_REGISTER);
  return found === undefined ? undefined : text(found);
}

/** The store may be away, which is no reason to lose the connection. */
async function registered(
  registration: Registration,
  ...account: Parameters<Registration["register"]>
) {
  try {
    return await registration.register(...account);
  } catch (error) {
    if (error instanceof Unavailable) return "unavailable";
    throw error;
  }
}

/**
 * The answer to a registration request.
 * @param domain the stream's domain, prepared
 * @param address the client's network address, for limits
 */
export async function answerRegistration(
  registration: Registration,
  stanza: ParsedStanza,
  domain: string,
  address: string,
): Promise<Buffer> {
  const { to, type } = stanza.attributes;
  if (to !== undefined && to.toLowerCase() !== domain) {
    return iqError(stanza, "cancel", "service-unavailable");
  }
  if (type === "get") return iqResult(stanza, FORM);
  const username = field(stanza, "username");
  const password = field(stanza, "password");
  // XEP-0077, 3.1.1: what is required and missing, or cannot be, is "not acceptable".
  const user = username === undefined ? undefined : userOf(username, domain);
  if (user === undefined || !password) return iqError(stanza, "modify", "not-acceptable");
  const outcome = await registered(registration, user.bare, password, address);
  switch (outcome) {
    case "unavailable":
      return iqError(stanza, "wait", "resource-constraint");
    case "created":
      return iqResult(stanza);
    case "exists":
      return iqError(stanza, "cancel", "conflict");
    case "refused":
      return iqError(stanza, "auth", "not-allowed");
    default:
      return outcome satisfies never;
  }
}
