/** Tokens in SQLite. When a user's were cleared is remembered, so that a late writer finds out. */
import type { SQLOutputValue } from "node:sqlite";
import type { Clock } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import type { StoredToken, Tokens } from "../contract.ts";
import type { Connection } from "./connection.ts";

/** No login that began before this can still be going on. */
const LONGEST_LOGIN_MS = 3_600_000;

/** Clears a user's tokens, inside a write. */
export function tokenClearing(connection: Connection, clock: Clock): (user: string) => void {
  const removeAll = connection.prepare("DELETE FROM tokens WHERE user = ?");
  const remember = connection.prepare(
    `INSERT INTO token_clearings (user, cleared_us) VALUES (?, ?)
      ON CONFLICT DO UPDATE SET cleared_us = MAX(cleared_us, excluded.cleared_us)`,
  );
  const forget = connection.prepare("DELETE FROM token_clearings WHERE cleared_us < ?");
  return (user) => {
    removeAll.run(user);
    forget.run((clock.nowMs() - LONGEST_LOGIN_MS) * 1_000);
    remember.run(user, clock.nowMs() * 1_000);
  };
}

export function sqliteTokens(connection: Connection, clock: Clock): Tokens {
  const clear = tokenClearing(connection, clock);
  const select = connection.prepare(
    `SELECT client, slot, mechanism, issued_ms, expires_ms, count, sealed, written_us
      FROM tokens WHERE user = ?`,
  );
  const removeExpired = connection.prepare("DELETE FROM tokens WHERE user = ? AND expires_ms <= ?");
  const clearedUs = connection.prepare("SELECT cleared_us FROM token_clearings WHERE user = ?");
  const remove = connection.prepare(
    "DELETE FROM tokens WHERE user = ? AND client = ? AND slot = ?",
  );
  const put = connection.prepare(
    `INSERT OR REPLACE INTO tokens
      (user, client, slot, mechanism, issued_ms, expires_ms, count, sealed, written_us)
      VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  return {
    async list(user) {
      return connection.read("read tokens", () => {
        const rows = select.all(user);
        const latestUs = rows.reduce((last, row) => Math.max(last, Number(row.written_us)), 0);
        return { tokens: rows.map(decode), latestUs };
      });
    },
    change: (user, change, asOfUs) =>
      connection.write("change tokens", () => {
        removeExpired.run(user, clock.nowMs());
        if (Number(clearedUs.get(user)?.cleared_us ?? 0) > asOfUs) return;
        for (const { client, slot } of change.remove) remove.run(user, client, slot);
        for (const token of change.put) {
          const { client, slot, mechanism, issuedMs, expiresMs, count, sealed } = token;
          const times = [issuedMs, expiresMs, count];
          put.run(user, client, slot, mechanism, ...times, sealed, clock.nowMs() * 1_000);
        }
      }),
    clear: (user) => connection.write("clear tokens", () => clear(user)),
  };
}

function decode(row: Record<string, SQLOutputValue>): StoredToken {
  const { client, slot, mechanism, sealed } = row;
  const isSlot = slot === "new" || slot === "current";
  if (!isSlot || !(sealed instanceof Uint8Array)) {
    throw new Unavailable("store-corrupt", "Cannot read tokens: a row has wrong types");
  }
  return {
    client: String(client),
    slot,
    mechanism: String(mechanism),
    issuedMs: Number(row.issued_ms),
    expiresMs: Number(row.expires_ms),
    count: Number(row.count),
    sealed: Buffer.from(sealed),
  };
}
