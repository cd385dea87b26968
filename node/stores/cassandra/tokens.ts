/**
 * Tokens in Cassandra: one partition per user. Times of writing do what a transaction would: a
 * clearing hides whatever is written as of an earlier moment, whenever it arrives.
 */
import type { Clock } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import type { StoredToken, TokenSet, Tokens } from "../contract.ts";
import type { Pool, Row, Step } from "./pool.ts";
import { repeatable } from "./pool.ts";

const SELECT = repeatable(
  "SELECT client, slot, mechanism, issued_ms, expires_ms, count, sealed, " +
    "WRITETIME(sealed) AS written_us FROM tokens WHERE user = ?",
);
const PUT = repeatable(
  "INSERT INTO tokens (user, client, slot, mechanism, issued_ms, expires_ms, count, sealed) " +
    "VALUES (?, ?, ?, ?, ?, ?, ?, ?) USING TTL ? AND TIMESTAMP ?",
);
const REMOVE = repeatable(
  "DELETE FROM tokens USING TIMESTAMP ? WHERE user = ? AND client = ? AND slot = ?",
);
const CLEAR = repeatable("DELETE FROM tokens USING TIMESTAMP ? WHERE user = ?");

export function cassandraTokens(pool: Pool, clock: Clock): Tokens {
  return {
    list: (user) => list(pool, user),
    async change(user, change, asOfUs) {
      const ttl = (expiresMs: number) => Math.ceil((expiresMs - clock.nowMs()) / 1_000);
      const steps: Step[] = [
        ...change.remove.map(({ client, slot }) => ({
          statement: REMOVE,
          values: [BigInt(asOfUs), user, client, slot],
        })),
        // At the same moment a deletion would win.
        ...change.put
          .filter(({ expiresMs }) => ttl(expiresMs) > 0)
          .map((token) => ({
            statement: PUT,
            values: [user, ...encode(token), ttl(token.expiresMs), BigInt(asOfUs + 1)],
          })),
      ];
      if (steps.length > 0) await pool.writeTogether("change tokens", steps);
    },
    clear: (user) => clearTokens(pool, clock, user),
  };
}

async function list(pool: Pool, user: string): Promise<TokenSet> {
  const rows = await pool.rows("read tokens", SELECT, [user]);
  const latestUs = rows.reduce((last, row) => Math.max(last, Number(row.written_us)), 0);
  return { tokens: rows.map(decode), latestUs };
}

/** Removes all tokens of a user: those under way, and what a node with a fast clock has written. */
export async function clearTokens(pool: Pool, clock: Clock, user: string): Promise<void> {
  const { latestUs } = await list(pool, user);
  const values = [BigInt(Math.max(clock.nowMs() * 1_000, latestUs)), user];
  await pool.write("clear tokens", { statement: CLEAR, values });
}

const encode = (token: StoredToken): readonly unknown[] => [
  token.client,
  token.slot,
  token.mechanism,
  BigInt(token.issuedMs),
  BigInt(token.expiresMs),
  BigInt(token.count),
  token.sealed,
];

function decode({ client, slot, mechanism, sealed, ...times }: Row): StoredToken {
  const isSlot = slot === "new" || slot === "current";
  if (!isSlot || !Buffer.isBuffer(sealed)) {
    throw new Unavailable("store-corrupt", "Cannot read tokens: a row lacks a column");
  }
  return {
    client: String(client),
    slot,
    mechanism: String(mechanism),
    issuedMs: Number(times.issued_ms),
    expiresMs: Number(times.expires_ms),
    count: Number(times.count),
    sealed,
  };
}
