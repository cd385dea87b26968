/** The only reader of chance. */
import { randomBytes, randomFillSync } from "node:crypto";

export interface Random {
  /** `count` unpredictable bytes. */
  bytes(count: number): Buffer;
  /** A number in [0, 1), for jitter only. */
  fraction(): number;
}

/** Drawn ahead: one call for a few bytes costs as much as one for thousands. */
const POOL_BYTES = 4_096;
const POOLED_MAX = 64;
const pool = Buffer.alloc(POOL_BYTES);
let poolAt = POOL_BYTES;

/** Bytes that nobody else gets: what is taken from the pool is wiped there. */
function pooled(count: number): Buffer {
  if (poolAt + count > POOL_BYTES) {
    randomFillSync(pool);
    poolAt = 0;
  }
  const bytes = Buffer.from(pool.subarray(poolAt, poolAt + count));
  pool.fill(0, poolAt, poolAt + count);
  poolAt += count;
  return bytes;
}

export const systemRandom: Random = {
  bytes: (count) => (count > POOLED_MAX ? randomBytes(count) : pooled(count)),
  fraction: () => Math.random(),
};

/** An unguessable URL-safe identifier of `bytes` random bytes. */
export const randomId = (random: Random, bytes = 12): string =>
  random.bytes(bytes).toString("base64url");
