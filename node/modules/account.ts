/** Making an account, whoever asks: the client door before login, or an administrator. */
import { StanzaError } from "../stanza/error.ts";
import type { Accounts, Credentials } from "../stores/contract.ts";

type CredentialsFor = (password: string) => Promise<Credentials>;

/**
 * Creates an account.
 * @param user the prepared bare address
 * @returns "exists" when the address is taken: answer `conflict`
 * @throws StanzaError `not-acceptable` for a password nobody may have; Unavailable
 */
export async function createAccount(
  { accounts, credentialsFor }: { accounts: Accounts; credentialsFor: CredentialsFor },
  user: string,
  password: string,
): Promise<"created" | "exists"> {
  const credentials = await preparedCredentials(credentialsFor, password);
  return (await accounts.create(user, credentials)) ? "created" : "exists";
}

/** @throws StanzaError `not-acceptable` for a password nobody may have */
export async function preparedCredentials(
  credentialsFor: CredentialsFor,
  password: string,
): Promise<Credentials> {
  try {
    return await credentialsFor(password);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "password-refused")) {
      throw error;
    }
    throw new StanzaError("not-acceptable", error.message, { cause: error });
  }
}
