/** The client's half of SCRAM-SHA-1 with its expensive part remembered: all users share a password. */
import { createHash, createHmac, pbkdf2Sync } from "node:crypto";
import { PASSWORD } from "../harness/peers/keys.ts";

interface Keys {
  readonly clientKey: Buffer;
  readonly storedKey: Buffer;
}

const known = new Map<string, Keys>();

function keysFor(salt: string, iterations: number): Keys {
  const name = `${iterations} ${salt}`;
  let keys = known.get(name);
  if (keys === undefined) {
    const salted = pbkdf2Sync(PASSWORD, Buffer.from(salt, "base64"), iterations, 20, "sha1");
    const clientKey = createHmac("sha1", salted).update("Client Key").digest();
    keys = { clientKey, storedKey: createHash("sha1").update(clientKey).digest() };
    known.set(name, keys);
  }
  return keys;
}

const base64 = (text: string): string => Buffer.from(text).toString("base64");

/** The text of `<auth/>`. The nonce need not be a secret: nobody attacks a measurement. */
export const firstMessage = (user: string): string => base64(`n,,n=${user},r=${user}-nonce`);

/** The text of `<initial-response/>` with a token: HT-SHA-256-NONE, bound to no channel. */
export function tokenMessage(user: string, token: string): string {
  const proof = createHmac("sha256", token).update("Initiator").digest();
  return Buffer.concat([Buffer.from(`${user}\0`), proof]).toString("base64");
}

/** The text of `<response/>` to a challenge. */
export function finalMessage(user: string, challenge: string): string {
  const serverFirst = Buffer.from(challenge, "base64").toString();
  const [, nonce = "", salt = "", iterations = "1"] =
    /^r=([^,]+),s=([^,]+),i=(\d+)/.exec(serverFirst) ?? [];
  const { clientKey, storedKey } = keysFor(salt, Number(iterations));
  const withoutProof = `c=biws,r=${nonce}`;
  const signed = `n=${user},r=${user}-nonce,${serverFirst},${withoutProof}`;
  const proof = createHmac("sha1", storedKey).update(signed).digest();
  for (const [at, byte] of clientKey.entries()) proof[at] = byte ^ (proof[at] ?? 0);
  return base64(`${withoutProof},p=${proof.toString("base64")}`);
}
