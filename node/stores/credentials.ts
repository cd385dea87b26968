/**
 * How both engines keep a user's credentials: one JSON value, so that one write replaces all of it
 * and a reader never sees half of an old password and half of a new one.
 */
import { Unavailable } from "../base/errors.ts";
import type { Credentials, ScramKeys, ScramMechanism } from "./contract.ts";

/** Bytes of StoredKey and ServerKey: the length of the mechanism's hash (RFC 5802, 3). */
const KEY_BYTES: Readonly<Record<ScramMechanism, number>> = {
  "SCRAM-SHA-1": 20,
  "SCRAM-SHA-256": 32,
  "SCRAM-SHA-512": 64,
};

/** The text to store; binary fields in base64. */
export function encodeCredentials(credentials: Credentials, disabled = false): string {
  const sha512 = credentials["SCRAM-SHA-512"];
  return JSON.stringify({
    ...(disabled && { disabled }),
    "SCRAM-SHA-1": encodeKeys(credentials["SCRAM-SHA-1"]),
    "SCRAM-SHA-256": encodeKeys(credentials["SCRAM-SHA-256"]),
    ...(sha512 !== undefined && { "SCRAM-SHA-512": encodeKeys(sha512) }),
  });
}

/**
 * The credentials in a stored text.
 * @throws Unavailable "store-corrupt" when it is not what encodeCredentials writes. The value itself
 *   never appears in the message.
 */
export const decodeCredentials = (stored: unknown): Credentials => keysIn(parseObject(stored));

function keysIn(fields: Record<string, unknown>): Credentials {
  return {
    "SCRAM-SHA-1": decodeKeys(fields, "SCRAM-SHA-1"),
    "SCRAM-SHA-256": decodeKeys(fields, "SCRAM-SHA-256"),
    ...("SCRAM-SHA-512" in fields && { "SCRAM-SHA-512": decodeKeys(fields, "SCRAM-SHA-512") }),
  };
}

/** Whether nobody may log in. A text that is none says no, so that a new one can take its place. */
export function isDisabled(stored: unknown): boolean {
  try {
    return parseObject(stored).disabled === true;
  } catch {
    return false;
  }
}

/** The credentials to log in with; undefined where nobody may. @throws as decodeCredentials does */
export function usableCredentials(stored: unknown): Credentials | undefined {
  const fields = parseObject(stored);
  return fields.disabled === true ? undefined : keysIn(fields);
}

function encodeKeys({ salt, iterations, storedKey, serverKey }: ScramKeys) {
  return {
    salt: salt.toString("base64"),
    iterations,
    storedKey: storedKey.toString("base64"),
    serverKey: serverKey.toString("base64"),
  };
}

function parseObject(stored: unknown): Record<string, unknown> {
  try {
    const parsed: unknown = typeof stored === "string" ? JSON.parse(stored) : undefined;
    if (isRecord(parsed)) return parsed;
  } catch {
    // A JSON error quotes its input, which is secret here: it must not become the cause.
  }
  throw corrupt("not a JSON object");
}

function decodeKeys(fields: Record<string, unknown>, mechanism: ScramMechanism): ScramKeys {
  const keys = fields[mechanism];
  if (!isRecord(keys)) throw corrupt(`no ${mechanism}`);
  const iterations = keys.iterations;
  if (typeof iterations !== "number" || !Number.isSafeInteger(iterations) || iterations < 1) {
    throw corrupt(`no iterations in ${mechanism}`);
  }
  const salt = decodeBytes(keys.salt);
  const storedKey = decodeBytes(keys.storedKey);
  const serverKey = decodeBytes(keys.serverKey);
  const keyBytes = KEY_BYTES[mechanism];
  if (salt.length === 0 || storedKey.length !== keyBytes || serverKey.length !== keyBytes) {
    throw corrupt(`a wrong length in ${mechanism}`);
  }
  return { salt, iterations, storedKey, serverKey };
}

const decodeBytes = (value: unknown): Buffer =>
  typeof value === "string" ? Buffer.from(value, "base64") : Buffer.alloc(0);

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const corrupt = (why: string): Unavailable =>
  new Unavailable("store-corrupt", `Cannot read stored credentials: ${why}`);
