/** RFC 5802, section 3: what is kept instead of a password, and how it is checked. */
import { createHash, createHmac, randomBytes, timingSafeEqual } from "node:crypto";
import type { Credentials, ScramKeys, ScramMechanism } from "../stores/contract.ts";
import { PasswordWork } from "./password-work.ts";
import { preparePassword } from "./saslprep.ts";

export type HashName = "sha1" | "sha256";

export const HASHES: Readonly<Record<ScramMechanism, HashName>> = {
  "SCRAM-SHA-1": "sha1",
  "SCRAM-SHA-256": "sha256",
};

const SALT_BYTES = 16;

/**
 * 10,000 rounds for both mechanisms, above the 4,096 that RFC 7677 asks for. The server pays them
 * only for PLAIN and for a new password, a SCRAM client pays them at each login on its own
 * processor: more rounds make phones slow, and protect only passwords that were weak to begin with.
 */
export const DEFAULT_ITERATIONS = 10_000;
const ITERATIONS_MIN = 4_096;

/** A password that nobody may have: empty, over 1,023 bytes, or forbidden by RFC 4013. */
export class PasswordRefused extends Error {
  override readonly name = "PasswordRefused";
  readonly code = "password-refused";
}

export const hmac = (hash: HashName, key: Buffer, data: string): Buffer =>
  createHmac(hash, key).update(data).digest();

export const digest = (hash: HashName, data: Buffer): Buffer =>
  createHash(hash).update(data).digest();

/** StoredKey and ServerKey from a SaltedPassword. */
export function keysOf(hash: HashName, salted: Buffer): Pick<ScramKeys, "storedKey" | "serverKey"> {
  return {
    storedKey: digest(hash, hmac(hash, salted, "Client Key")),
    serverKey: hmac(hash, salted, "Server Key"),
  };
}

/**
 * Makes what the account store keeps of a password, for both mechanisms, with fresh salts.
 * @param iterations PBKDF2 rounds, at least 4,096; {@link DEFAULT_ITERATIONS} when left out.
 * @throws PasswordRefused; RangeError for too few iterations; Unavailable "auth-overload".
 */
export async function makeCredentials(
  password: string,
  options: { readonly iterations?: number; readonly work?: PasswordWork } = {},
): Promise<Credentials> {
  const { iterations = DEFAULT_ITERATIONS, work = new PasswordWork() } = options;
  if (!Number.isInteger(iterations) || iterations < ITERATIONS_MIN) {
    throw new RangeError(`Cannot make credentials: ${iterations} iterations are too few`);
  }
  const prepared = await preparePassword(password);
  if (prepared === undefined) {
    throw new PasswordRefused("Cannot make credentials: the password is empty or not allowed");
  }
  const make = async (mechanism: ScramMechanism): Promise<ScramKeys> => {
    const hash = HASHES[mechanism];
    const salt = randomBytes(SALT_BYTES);
    const salted = await work.salted(prepared, salt, iterations, hash);
    return { salt, iterations, ...keysOf(hash, salted) };
  };
  const [sha1, sha256] = await Promise.all([make("SCRAM-SHA-1"), make("SCRAM-SHA-256")]);
  return { "SCRAM-SHA-1": sha1, "SCRAM-SHA-256": sha256 };
}

/** Equal in content, in a time that depends on the length only. */
export const sameBytes = (a: Buffer, b: Buffer): boolean =>
  a.length === b.length && timingSafeEqual(a, b);

/**
 * Makes the credentials that unknown users are checked against. They look like real ones, are the
 * same at every try and on every node, and match no password.
 *
 * @param secret known to all nodes and to nobody else. Without one the salts come from the address
 *   alone: still stable, but whoever reads this code can tell by the salt that a user is unknown.
 * @param iterations what passwords are stored with now; accounts older than a change of that
 *   number can be told from unknown users by it.
 */
export function makeDecoys(
  secret: string | Buffer | undefined,
  iterations: number = DEFAULT_ITERATIONS,
): (user: string) => Credentials {
  const key = digest("sha256", Buffer.from(secret ?? "zonda: no secret was given"));
  return (user) => {
    const make = (mechanism: ScramMechanism): ScramKeys => {
      const bytes = (what: string) => hmac("sha256", key, `${mechanism}\0${what}\0${user}`);
      const length = HASHES[mechanism] === "sha1" ? 20 : 32;
      return {
        salt: bytes("salt").subarray(0, SALT_BYTES),
        iterations,
        storedKey: bytes("stored").subarray(0, length),
        serverKey: bytes("server").subarray(0, length),
      };
    };
    return { "SCRAM-SHA-1": make("SCRAM-SHA-1"), "SCRAM-SHA-256": make("SCRAM-SHA-256") };
  };
}
