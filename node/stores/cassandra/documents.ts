/** Documents in Cassandra: one partition per user, one row per document, its kind first. */
import { Unavailable } from "../../base/errors.ts";
import type { Documents } from "../contract.ts";
import type { Pool, Step } from "./pool.ts";
import { repeatable } from "./pool.ts";

const SELECT_KIND = repeatable("SELECT key, value FROM documents WHERE user = ? AND kind = ?");
const SELECT_ONE = repeatable(
  "SELECT value FROM documents WHERE user = ? AND kind = ? AND key = ?",
);
const INSERT = repeatable("INSERT INTO documents (user, kind, key, value) VALUES (?, ?, ?, ?)");
const DELETE_ONE = repeatable("DELETE FROM documents WHERE user = ? AND kind = ? AND key = ?");
const DELETE_ALL = repeatable("DELETE FROM documents WHERE user = ?");

/** One of them may be 100 KB and more. */
const PAGE_ROWS = 100;
/** Cassandra refuses batches of 50 KB; a step by itself may be larger. */
const BATCH_BYTES_MAX = 20_000;
const STEP_BYTES = 200;

interface Change {
  readonly step: Step;
  readonly bytes: number;
}

export function cassandraDocuments(pool: Pool): Documents {
  return {
    async list(user, kind) {
      const rows = await pool.rows("read documents", SELECT_KIND, [user, kind], PAGE_ROWS);
      return rows.map(({ key, value }) => ({ key: String(key), value: bytes(value) }));
    },
    async get(user, kind, key) {
      const row = await pool.row("read a document", SELECT_ONE, [user, kind, key]);
      return row === null ? undefined : bytes(row.value);
    },
    async change(user, kind, changes) {
      const all = [...changes].map(([key, value]): Change => {
        const named = [user, kind, key];
        const step =
          value === undefined
            ? { statement: DELETE_ONE, values: named }
            : { statement: INSERT, values: [...named, value] };
        return { step, bytes: STEP_BYTES + Buffer.byteLength(key) + (value?.length ?? 0) };
      });
      for (const [first, ...others] of batches(all)) {
        if (first === undefined) continue;
        if (others.length === 0) await pool.write("change a document", first);
        else await pool.writeTogether("change documents", [first, ...others]);
      }
    },
  };
}

/** Removes all documents of a user. */
export async function deleteDocuments(pool: Pool, user: string): Promise<void> {
  await pool.write("delete documents", { statement: DELETE_ALL, values: [user] });
}

function batches(changes: readonly Change[]): readonly Step[][] {
  const made: Step[][] = [];
  let room = 0;
  for (const { step, bytes: size } of changes) {
    if (size > room) {
      made.push([]);
      room = BATCH_BYTES_MAX;
    }
    room -= size;
    made.at(-1)?.push(step);
  }
  return made;
}

function bytes(value: unknown): Buffer {
  if (Buffer.isBuffer(value)) return value;
  throw new Unavailable("store-corrupt", "Cannot read documents: a row lacks its value");
}
