/** The only reader of chance. */
import { randomBytes } from "node:crypto";

export interface Random {
  /** `count` unpredictable bytes. */
  bytes(count: number): Buffer;
  /** A number in [0, 1), for jitter only. */
  fraction(): number;
}

export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  fraction: () => Math.random(),
};

/** An unguessable URL-safe identifier of `bytes` random bytes. */
export const randomId = (random: Random, bytes = 12): string =>
  random.bytes(bytes).toString("base64url");
