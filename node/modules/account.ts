/** Making and ending accounts, whoever asks: the client door before login, the user, an administrator. */
import { StanzaError } from "../stanza/error.ts";
import type { Accounts, Credentials } from "../stores/contract.ts";
import type { Host, RosterService } from "./contract.ts";

type DeletionHost = Pick<Host, "accounts" | "documents" | "log" | "router" | "uploads"> & {
  readonly roster: RosterService;
};

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

/**
 * Ends an account: its subscriptions, its data and, after this turn, so that whoever asked is
 * answered first (XEP-0077, 3.2), its sessions. False when there was none. @throws Unavailable
 */
export async function deleteAccount(host: DeletionHost, user: string): Promise<boolean> {
  const { roster, accounts, router } = host;
  await roster.cancelAll(user);
  await removeFiles(host, user);
  const isDeleted = await accounts.delete(user);
  setImmediate(() => void router.disconnect(user, "not-authorized"));
  return isDeleted;
}

/** What the user uploaded. What cannot be removed goes by itself when its time is over. */
async function removeFiles({ uploads, documents, log }: DeletionHost, user: string): Promise<void> {
  if (uploads === undefined) return;
  const kept = await documents.list(user, "upload");
  try {
    await uploads.remove(kept.map(({ key }) => key));
  } catch (error) {
    log.warn({ err: error, user }, "cannot remove the files of an account");
  }
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
