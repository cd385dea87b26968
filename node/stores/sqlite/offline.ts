/** Offline messages in SQLite. The limit is exact: counting and storing are one transaction. */
import type { SQLOutputValue } from "node:sqlite";
import { Unavailable } from "../../base/errors.ts";
import type { Offline, OfflineMessage } from "../contract.ts";
import type { Connection } from "./connection.ts";
import { LIMIT } from "./limit.ts";

export function sqliteOffline(connection: Connection): Offline {
  const exists = connection.prepare("SELECT 1 AS found FROM offline WHERE user = ? AND id = ?");
  const count = connection.prepare("SELECT COUNT(*) AS messages FROM offline WHERE user = ?");
  const insert = connection.prepare(
    "INSERT INTO offline (user, id, received_ms, bytes) VALUES (?, ?, ?, ?)",
  );
  const oldest = connection.prepare(
    `SELECT id, received_ms, bytes FROM offline WHERE user = ? AND id > ? ORDER BY id ${LIMIT}`,
  );
  const remove = connection.prepare("DELETE FROM offline WHERE user = ? AND id = ?");

  return {
    add: (user, { id, receivedMs, bytes }, messagesMax) =>
      connection.write("store the offline message", () => {
        if (exists.get(user, id) !== undefined) return true;
        if (Number(count.get(user)?.messages) >= messagesMax) return false;
        insert.run(user, id, receivedMs, bytes);
        return true;
      }),
    async list(user, limit, afterId = "") {
      return connection.read("read offline messages", () => {
        return oldest.all(user, afterId, limit).map(decodeMessage);
      });
    },
    remove: (user, ids) =>
      connection.write("remove offline messages", () => {
        for (const id of ids) remove.run(user, id);
      }),
  };
}

function decodeMessage(row: Record<string, SQLOutputValue>): OfflineMessage {
  const { id, received_ms: receivedMs, bytes } = row;
  if (typeof id !== "string" || typeof receivedMs !== "number" || !(bytes instanceof Uint8Array)) {
    throw new Unavailable("store-corrupt", "Cannot read offline messages: a row has wrong types");
  }
  return { id, receivedMs, bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength) };
}
