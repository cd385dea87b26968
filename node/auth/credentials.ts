/** RFC 5802, section 3: what is kept instead of a password, and how it is checked. */
import { randomBytes } from "node:crypto";
import type { Credentials, ScramKeys, ScramMechanism } from "../stores/contract.ts";
import type { HashName } from "./hashes.ts";
import { digest, HASHES, hmac } from "./hashes.ts";
import { PasswordWork } from "./password-work.ts";
import { preparePassword } from "./saslprep.ts";

export const SALT_BYTES = 16;

/**
 * 10,000 rounds for all mechanisms, above the 4,096 that RFC 7677 asks for. The server pays them
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

/** StoredKey and ServerKey from a SaltedPassword. */
export function keysOf(hash: HashName, salted: Buffer): Pick<ScramKeys, "storedKey" | "serverKey"> {
  return {
    storedKey: digest(hash, hmac(hash, salted, "Client Key")),
    serverKey: hmac(hash, salted, "Server Key"),
  };
}

export interface KeyOptions {
  /** PBKDF2 rounds, at least 4,096; {@link DEFAULT_ITERATIONS} when left out. */
  readonly iterations?: number;
  readonly work?: PasswordWork;
}

/**
 * Makes what the account store keeps of a password, for all mechanisms, with fresh salts.
 * @throws PasswordRefused; RangeError for too few iterations; Unavailable "auth-overload".
 */
export async function makeCredentials(
  password: string,
  options: KeyOptions = {},
): Promise<Required<Credentials>> {
  const prepared = await preparePassword(password);
  if (prepared === undefined) {
    throw new PasswordRefused("Cannot make credentials: the password is empty or not allowed");
  }
  const [sha1, sha256, sha512] = await Promise.all([
    makeKeys("SCRAM-SHA-1", prepared, options),
    makeKeys("SCRAM-SHA-256", prepared, options),
    makeKeys("SCRAM-SHA-512", prepared, options),
  ]);
  return { "SCRAM-SHA-1": sha1, "SCRAM-SHA-256": sha256, "SCRAM-SHA-512": sha512 };
}

/**
 * Makes the keys of one mechanism.
 * @param prepared by RFC 4013
 * @throws as makeCredentials
 */
export async function makeKeys(
  mechanism: ScramMechanism,
  prepared: string,
  { iterations = DEFAULT_ITERATIONS, work = new PasswordWork() }: KeyOptions,
): Promise<ScramKeys> {
  if (!Number.isInteger(iterations) || iterations < ITERATIONS_MIN) {
    throw new RangeError(`Cannot make credentials: ${iterations} iterations are too few`);
  }
  const hash = HASHES[mechanism];
  const salt = randomBytes(SALT_BYTES);
  const salted = await work.salted(prepared, salt, iterations, hash);
  return { salt, iterations, ...keysOf(hash, salted) };
}
