/** The hash functions of SCRAM (RFC 5802, RFC 7677) and what is computed with them. */
import { createHmac, hash as hashOf, timingSafeEqual } from "node:crypto";
import type { ScramMechanism } from "../stores/contract.ts";

export type HashName = "sha1" | "sha256" | "sha512";

export const HASHES: Readonly<Record<ScramMechanism, HashName>> = {
  "SCRAM-SHA-1": "sha1",
  "SCRAM-SHA-256": "sha256",
  "SCRAM-SHA-512": "sha512",
};

/** The length of what they make. */
export const HASH_BYTES: Readonly<Record<HashName, number>> = { sha1: 20, sha256: 32, sha512: 64 };

export const hmac = (hash: HashName, key: Buffer, data: string | Buffer): Buffer =>
  createHmac(hash, key).update(data).digest();

export const digest = (hash: HashName, data: string | Buffer): Buffer =>
  hashOf(hash, data, "buffer");

/** Equal in content, in a time that depends on the length only. */
export const sameBytes = (a: Buffer, b: Buffer): boolean =>
  a.length === b.length && timingSafeEqual(a, b);
