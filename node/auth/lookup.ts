/** Finds what a claimed user name is to be checked against, known or not. */
import { Jid } from "../stanza/jid.ts";
import type { Credentials } from "../stores/contract.ts";
import type { AuthContext } from "./contract.ts";

export interface Claimed {
  readonly user: Jid;
  readonly credentials: Credentials;
  /** False for a decoy: whatever the checks say, it must not log in. */
  readonly isKnown: boolean;
}

/** The prepared address, or undefined when it can be nobody's. */
export function userOf(name: string, domain: string): Jid | undefined {
  if (name === "") return undefined;
  try {
    return Jid.from(name, domain, "");
  } catch {
    return undefined; // RFC 7622 refuses the name: no account can have it.
  }
}

/**
 * Reads the credentials of a user; an unknown one gets a decoy's, at the same cost.
 * @throws Unavailable when the store does not answer.
 */
export async function lookUp(user: Jid, context: AuthContext): Promise<Claimed> {
  const decoy = context.decoys.of(user.bare); // Made for known users too: same time for both.
  const credentials = await context.accounts.credentials(user.bare);
  return { user, credentials: credentials ?? decoy, isKnown: credentials !== undefined };
}

/** RFC 6120, 6.3.8: an authorization identity, if given, must be the user's own bare address. */
export const mayActAs = (user: Jid, authzid: string): boolean => {
  if (authzid === "") return true;
  try {
    const wanted = Jid.parse(authzid);
    return wanted.full === user.bare;
  } catch {
    return false;
  }
};
