/** What the nodes of a cluster know and nobody else: made by the first of them, kept in the store. */
import type { Stores } from "../stores/contract.ts";
import { hmac } from "./hashes.ts";

const NAME = "cluster";
const SECRET_BYTES = 32;
const NONE_IS_OLDER = 0;
const SOME_ARE_OLDER = 1;

export interface ClusterSecret {
  /** Another key for each purpose, none of which tells about the others. */
  keyFor(purpose: string): Buffer;
  /** There were accounts before the secret, which may lack keys for SCRAM-SHA-512. */
  readonly areSomeOlder: boolean;
}

/** @throws Unavailable */
export async function openClusterSecret(
  { accounts, secrets }: Pick<Stores, "accounts" | "secrets">,
  domains: readonly string[],
  randomBytes: (count: number) => Buffer,
): Promise<ClusterSecret> {
  const mark = (await isAnyoneThere(accounts, domains)) ? SOME_ARE_OLDER : NONE_IS_OLDER;
  const proposed = Buffer.concat([randomBytes(SECRET_BYTES), Buffer.of(mark)]);
  const kept = await secrets.keep(NAME, proposed);
  const secret = kept.subarray(0, SECRET_BYTES);
  return {
    keyFor: (purpose) => hmac("sha256", secret, purpose),
    areSomeOlder: kept[SECRET_BYTES] !== NONE_IS_OLDER,
  };
}

async function isAnyoneThere(
  accounts: Stores["accounts"],
  domains: readonly string[],
): Promise<boolean> {
  for (const domain of domains) for await (const _ of accounts.list(domain)) return true;
  return false;
}
