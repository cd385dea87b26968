/** Documents in SQLite. A change is one transaction. */
import type { SQLOutputValue } from "node:sqlite";
import { Unavailable } from "../../base/errors.ts";
import type { Documents } from "../contract.ts";
import type { Connection } from "./connection.ts";

export function sqliteDocuments(connection: Connection): Documents {
  const all = connection.prepare(
    "SELECT key, value FROM documents WHERE user = ? AND kind = ? ORDER BY key",
  );
  const one = connection.prepare(
    "SELECT value FROM documents WHERE user = ? AND kind = ? AND key = ?",
  );
  const put = connection.prepare(
    "INSERT INTO documents (user, kind, key, value) VALUES (?, ?, ?, ?) " +
      "ON CONFLICT DO UPDATE SET value = excluded.value",
  );
  const remove = connection.prepare(
    "DELETE FROM documents WHERE user = ? AND kind = ? AND key = ?",
  );

  return {
    async list(user, kind) {
      return connection.read("read documents", () =>
        all.all(user, kind).map(({ key, value }) => ({ key: String(key), value: bytes(value) })),
      );
    },
    async get(user, kind, key) {
      return connection.read("read a document", () => {
        const row = one.get(user, kind, key);
        return row === undefined ? undefined : bytes(row.value);
      });
    },
    change: (user, kind, changes) =>
      connection.write("change documents", () => {
        for (const [key, value] of changes) {
          if (value === undefined) remove.run(user, kind, key);
          else put.run(user, kind, key, value);
        }
      }),
  };
}

function bytes(value: SQLOutputValue | undefined): Buffer {
  if (!(value instanceof Uint8Array)) {
    throw new Unavailable("store-corrupt", "Cannot read documents: a row has wrong types");
  }
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
}
