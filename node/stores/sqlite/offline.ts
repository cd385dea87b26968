/** Offline messages in SQLite. The limit is exact: counting and storing are one transaction. */
import type { SQLOutputValue } from "node:sqlite";
import { Unavailable } from "../../base/errors.ts";
import type { Offline, OfflineMessage } from "../contract.ts";
import type { Connection } from "./connection.ts";
import { LIMIT } from "./limit.ts";

export function sqliteOffline(connection: Connection): Offline {
  const exists = connection.prepare("SELECT 1 AS found FROM offline WHERE user = ? AND id = ?");
  const insert = connection.prepare(
    "INSERT INTO offline (user, id, received_ms, bytes) SELECT ?1, ?2, ?3, ?4 " +
      "WHERE (SELECT COUNT(*) FROM offline WHERE user = ?1) < ?5 ON CONFLICT DO NOTHING",
  );
  const oldest = connection.prepare(
    `SELECT id, received_ms, bytes FROM offline WHERE user = ? AND id > ? ORDER BY id ${LIMIT}`,
  );
  const remove = connection.prepare("DELETE FROM offline WHERE user = ? AND id = ?");

  return {
    add: (user, { id, receivedMs, bytes }, messagesMax) =>
      connection.write("store the offline message", () => {
        if (insert.run(user, id, receivedMs, bytes, messagesMax).changes > 0) return true;
        return exists.get(user, id) !== undefined; // There already, or there is no room for it.
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
