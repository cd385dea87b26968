/**
 * How a token is kept. The server must have more than a hash of it: HT is an HMAC with the token as
 * its key, over data that differ by connection. So
 * - where they do not differ (HT-SHA-256-NONE) only the hash of the one right message is kept, and
 *   what we answer to it: neither makes the message;
 * - otherwise the token itself is kept,
 * both encrypted under the client's user-agent id, which comes with each login and is stored nowhere:
 * whoever has the store has 122 random bits to guess for each client.
 */
import { createCipheriv, createDecipheriv, hkdfSync } from "node:crypto";
import { digest, hmac, sameBytes } from "./hashes.ts";
import type { TokenMechanism } from "./token-mechanisms.ts";

/** What the seal is bound to: another's token, or one moved to another mechanism, does not open. */
export interface SealLabel {
  readonly user: string;
  readonly userAgent: string;
  readonly mechanism: TokenMechanism;
  readonly expiresMs: number;
}

const SALT_BYTES = 16;
const TAG_BYTES = 16;
const KEY_BYTES = 32;
const IV_BYTES = 12;
const HASH_BYTES = 32;
const CIPHER = "aes-256-gcm";

const initiator = (token: Buffer, binding: Buffer): Buffer =>
  hmac("sha256", token, Buffer.concat([Buffer.from("Initiator"), binding]));
const responder = (token: Buffer, binding: Buffer): Buffer =>
  hmac("sha256", token, Buffer.concat([Buffer.from("Responder"), binding]));

/** @param secret of the cluster; it alone protects nothing, since it is in the same store */
export function sealToken(secret: Buffer, label: SealLabel, token: string, salt: Buffer): Buffer {
  const cipher = createCipheriv(CIPHER, ...keyAndIv(secret, label, salt));
  const content = contentOf(label.mechanism, Buffer.from(token));
  const encrypted = Buffer.concat([cipher.update(content), cipher.final()]);
  return Buffer.concat([salt, cipher.getAuthTag(), encrypted]);
}

export const SEAL_SALT_BYTES = SALT_BYTES;

/**
 * The answer to a client that has the token, undefined to any other.
 * @param hash what it sent: the HMAC with the token over its channel's data
 */
export function answerIfRight(
  secret: Buffer,
  label: SealLabel,
  sealed: Buffer,
  { hash, binding }: { readonly hash: Buffer; readonly binding: Buffer },
): Buffer | undefined {
  const content = open(secret, label, sealed);
  if (content === undefined) return undefined;
  if (label.mechanism === "HT-SHA-256-NONE") {
    const isRight = sameBytes(digest("sha256", hash), content.subarray(0, HASH_BYTES));
    return isRight ? content.subarray(HASH_BYTES) : undefined;
  }
  return sameBytes(hash, initiator(content, binding)) ? responder(content, binding) : undefined;
}

function contentOf(mechanism: TokenMechanism, token: Buffer): Buffer {
  if (mechanism !== "HT-SHA-256-NONE") return token;
  const none = Buffer.alloc(0);
  return Buffer.concat([digest("sha256", initiator(token, none)), responder(token, none)]);
}

/** Undefined when it was sealed under another label. */
function open(secret: Buffer, label: SealLabel, sealed: Buffer): Buffer | undefined {
  if (sealed.length < SALT_BYTES + TAG_BYTES) return undefined;
  const salt = sealed.subarray(0, SALT_BYTES);
  const decipher = createDecipheriv(CIPHER, ...keyAndIv(secret, label, salt));
  decipher.setAuthTag(sealed.subarray(SALT_BYTES, SALT_BYTES + TAG_BYTES));
  const content = decipher.update(sealed.subarray(SALT_BYTES + TAG_BYTES));
  try {
    return Buffer.concat([content, decipher.final()]);
  } catch {
    return undefined; // Node throws a plain Error when the tag does not fit.
  }
}

/** The salt is used once, so the initialisation vector may come from it, too. */
function keyAndIv(secret: Buffer, label: SealLabel, salt: Buffer): [Buffer, Buffer] {
  const { user, userAgent, mechanism, expiresMs } = label;
  const material = Buffer.concat([secret, Buffer.from(userAgent)]);
  const info = JSON.stringify(["token", user, mechanism, expiresMs]);
  const bytes = Buffer.from(hkdfSync("sha256", material, salt, info, KEY_BYTES + IV_BYTES));
  return [bytes.subarray(0, KEY_BYTES), bytes.subarray(KEY_BYTES)];
}
