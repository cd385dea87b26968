/**
 * Offline messages in Cassandra: one partition per user, in the order of their ids.
 *
 * The limit is checked by counting before storing, without a transaction: writers at the same
 * moment may together exceed it by as many messages as they are, less one. Counting reads keys, not
 * messages, and the limit bounds it.
 */
import type { Clock } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import type { Offline, OfflineMessage } from "../contract.ts";
import type { Pool, Row, Step } from "./pool.ts";
import { repeatable } from "./pool.ts";
import type { Removal, StoredMark } from "./removal.ts";
import { planRemoval, RUN_MIN } from "./removal.ts";

const COUNT = repeatable("SELECT COUNT(*) AS messages FROM offline WHERE user = ?");
const SELECT_ID = repeatable("SELECT id FROM offline WHERE user = ? AND id = ?");
const INSERT = repeatable("INSERT INTO offline (user, id, received_ms, bytes) VALUES (?, ?, ?, ?)");
const SELECT_OLDEST = repeatable(
  "SELECT id, received_ms, bytes FROM offline WHERE user = ? AND id > ? LIMIT ?",
);
const SELECT_MARKS = repeatable(
  "SELECT id, WRITETIME(bytes) AS written_us FROM offline WHERE user = ? AND id >= ? AND id <= ?",
);
const DELETE_ONE = repeatable("DELETE FROM offline WHERE user = ? AND id = ?");
const DELETE_RANGE = repeatable(
  "DELETE FROM offline USING TIMESTAMP ? WHERE user = ? AND id >= ? AND id <= ?",
);
const DELETE_ALL = repeatable("DELETE FROM offline WHERE user = ?");

/** Messages may be 60 KB and more each: few at a time. */
const PAGE_MESSAGES = 50;
const PAGE_MARKS = 1_000;
const STEPS_AT_ONCE = 100;

export function cassandraOffline(pool: Pool, clock: Clock): Offline {
  async function isFull(user: string, messagesMax: number): Promise<boolean> {
    const row = await pool.row("count offline messages", COUNT, [user]);
    return Number(row?.messages) >= messagesMax;
  }

  async function plan(user: string, ids: readonly string[]): Promise<Removal> {
    if (ids.length < RUN_MIN) return { ranges: [], ids };
    const sorted = ids.map((id) => Buffer.from(id)).sort(Buffer.compare);
    const ends = [sorted[0], sorted.at(-1)].map((id) => id?.toString() ?? "");
    const values = [user, ...ends];
    const rows = await pool.rows("remove offline messages", SELECT_MARKS, values, PAGE_MARKS);
    return planRemoval(new Set(ids), rows.map(decodeMark), clock.nowMs());
  }

  return {
    async add(user, { id, receivedMs, bytes }, messagesMax) {
      if (await isFull(user, messagesMax)) {
        return (await pool.row("read offline messages", SELECT_ID, [user, id])) !== null;
      }
      const values = [user, id, BigInt(receivedMs), bytes];
      await pool.write("store the offline message", { statement: INSERT, values });
      return true;
    },
    async list(user, limit, afterId = "") {
      if (limit < 1) return []; // Cassandra refuses LIMIT 0.
      const values = [user, afterId, limit];
      const rows = await pool.rows("read offline messages", SELECT_OLDEST, values, PAGE_MESSAGES);
      return rows.map(decodeMessage);
    },
    async remove(user, ids) {
      const { ranges, ids: singles } = await plan(user, ids);
      const steps: Step[] = [
        ...ranges.map(({ fromId, toId, stampUs }) => ({
          statement: DELETE_RANGE,
          values: [BigInt(stampUs), user, fromId, toId],
        })),
        ...singles.map((id) => ({ statement: DELETE_ONE, values: [user, id] })),
      ];
      for (let start = 0; start < steps.length; start += STEPS_AT_ONCE) {
        const some = steps.slice(start, start + STEPS_AT_ONCE);
        await pool.writeTogether("remove offline messages", some);
      }
    },
  };
}

/** Removes all messages of a user. */
export async function deleteMessages(pool: Pool, user: string): Promise<void> {
  await pool.write("delete offline messages", { statement: DELETE_ALL, values: [user] });
}

function decodeMark({ id, written_us: writtenUs }: Row): StoredMark {
  // A row without its bytes has no time of writing: never settled, so removed by itself.
  return { id: String(id), writtenUs: writtenUs === null ? Infinity : Number(writtenUs) };
}

function decodeMessage({ id, received_ms: receivedMs, bytes }: Row): OfflineMessage {
  if (typeof id !== "string" || typeof receivedMs !== "bigint" || !Buffer.isBuffer(bytes)) {
    throw new Unavailable("store-corrupt", "Cannot read offline messages: a row lacks a column");
  }
  return { id, receivedMs: Number(receivedMs), bytes };
}
