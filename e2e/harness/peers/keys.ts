/** One password for every account of a comparison, with what SCRAM stores of it. */
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import type { Credentials, ScramKeys } from "../../../node/stores/contract.ts";

export const PASSWORD = "secret";
/** RFC 7677's minimum, and the peers' default. Clients pay them, servers do not. */
export const ITERATIONS = 4_096;
/** Readable: some stores want the salt as text. */
const SALT = Buffer.from("5c1a7e90-salt-of-all");

function keys(hash: "sha1" | "sha256", length: number): ScramKeys {
  const salted = pbkdf2Sync(PASSWORD, SALT, ITERATIONS, length, hash);
  const hmac = (text: string) => createHmac(hash, salted).update(text).digest();
  return {
    salt: SALT,
    iterations: ITERATIONS,
    storedKey: createHash(hash).update(hmac("Client Key")).digest(),
    serverKey: hmac("Server Key"),
  };
}

export const CREDENTIALS: Credentials = {
  "SCRAM-SHA-1": keys("sha1", 20),
  "SCRAM-SHA-256": keys("sha256", 32),
};
