/**
 * What unknown users are checked against, so that nobody can tell them from known ones: it looks
 * like what is stored of a user, is the same at every try and on every node, and fits no password.
 */
import type { Credentials, ScramKeys, ScramMechanism } from "../stores/contract.ts";
import { DEFAULT_ITERATIONS, SALT_BYTES } from "./credentials.ts";
import { digest, HASH_BYTES, HASHES, hmac } from "./hashes.ts";

export interface DecoyOptions {
  /** Known to all nodes and to nobody else. */
  readonly secret: Buffer;
  /**
   * Some accounts are older than SCRAM-SHA-512 and have no keys for it: then half of the unknown
   * users have none either, always the same ones.
   */
  readonly areSomeOlder: boolean;
  /**
   * What passwords are stored with now; accounts older than a change of that number can be told
   * from unknown users by it.
   */
  readonly iterations?: number;
}

export interface Decoys {
  of(user: string): Credentials;
  keys(user: string, mechanism: ScramMechanism): ScramKeys;
  /** Whether every user, known or not, can use SCRAM-SHA-512. */
  readonly haveAllSha512: boolean;
}

export function makeDecoys(options: DecoyOptions): Decoys {
  const { secret, areSomeOlder, iterations = DEFAULT_ITERATIONS } = options;
  const key = digest("sha256", secret);
  /** Of all of them: nobody ever sees these, or logs in with them. */
  const unseen = digest("sha512", key);
  const keys = (user: string, mechanism: ScramMechanism): ScramKeys => {
    const salt = hmac("sha512", key, `${mechanism}\0${user}`).subarray(0, SALT_BYTES);
    const hidden = unseen.subarray(0, HASH_BYTES[HASHES[mechanism]]);
    return { salt, iterations, storedKey: hidden, serverKey: hidden };
  };
  const isOlder = (user: string) =>
    areSomeOlder && hmac("sha256", key, `older\0${user}`).readUInt8(0) < 128;
  return {
    haveAllSha512: !areSomeOlder,
    keys,
    of: (user) => ({
      "SCRAM-SHA-1": keys(user, "SCRAM-SHA-1"),
      "SCRAM-SHA-256": keys(user, "SCRAM-SHA-256"),
      ...(!isOlder(user) && { "SCRAM-SHA-512": keys(user, "SCRAM-SHA-512") }),
    }),
  };
}
