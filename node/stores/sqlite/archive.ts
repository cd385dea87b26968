/** Archived messages in SQLite. */
import type { SQLOutputValue } from "node:sqlite";
import { Unavailable } from "../../base/errors.ts";
import { idFrom } from "../archive-id.ts";
import type { Archive, ArchivedMessage } from "../contract.ts";
import type { Connection } from "./connection.ts";
import { LIMIT } from "./limit.ts";

/** Rows removed in one write, so that no other write waits for long. */
const SWEPT_AT_ONCE = 500;

const COLUMNS = "id, peer, resource, bytes";
const RANGE = "user = ? AND id >= ? AND id < ?";

export function sqliteArchive(connection: Connection): Archive {
  const insert = connection.prepare(
    "INSERT OR REPLACE INTO archive (user, id, peer, resource, bytes) VALUES (?, ?, ?, ?, ?)",
  );
  const one = connection.prepare(`SELECT ${COLUMNS} FROM archive WHERE user = ? AND id = ?`);
  const ids = connection.prepare(`SELECT id FROM archive WHERE ${RANGE} ORDER BY id ${LIMIT}`);
  const remove = connection.prepare("DELETE FROM archive WHERE user = ? AND id = ?");
  const select = (where: string, order: string) =>
    connection.prepare(
      `SELECT ${COLUMNS} FROM archive WHERE ${where} ORDER BY id ${order} ${LIMIT}`,
    );
  const pages = (where: string) => ({ first: select(where, "ASC"), last: select(where, "DESC") });
  const all = pages(RANGE);
  const ofPeer = pages(`${RANGE} AND peer = ?`);
  const ofResource = pages(`${RANGE} AND peer = ? AND resource = ?`);
  const sweep = connection.prepare(
    `DELETE FROM archive WHERE rowid IN (SELECT rowid FROM archive WHERE id < ? ${LIMIT})`,
  );

  return {
    add: (user, { id, peer, resource, bytes }) =>
      connection.write("archive the message", () => {
        insert.run(user, id, peer, resource, bytes);
      }),
    async page(user, { from, before, peer, resource }, limit, end) {
      const chosen = peer === undefined ? all : resource === undefined ? ofPeer : ofResource;
      const filters = [peer, resource].filter((value) => value !== undefined);
      const rows = connection.read("read the archive", () =>
        chosen[end].all(user, from, before, ...filters, limit),
      );
      return (end === "last" ? rows.reverse() : rows).map(decodeMessage);
    },
    async get(user, ids) {
      return connection.read("read the archive", () =>
        [...new Set(ids)].toSorted().flatMap((id) => {
          const row = one.get(user, id);
          return row === undefined ? [] : [decodeMessage(row)];
        }),
      );
    },
    async ids(user, fromMs, untilMs, limit) {
      const rows = connection.read("read the archive", () =>
        ids.all(user, idFrom(fromMs), idFrom(untilMs), limit),
      );
      return rows.map(({ id }) => String(id));
    },
    remove: (user, _peer, superfluous) =>
      connection.write("remove from the archive", () => {
        for (const id of superfluous) remove.run(user, id);
      }),
    async sweep(beforeMs) {
      for (;;) {
        const { changes } = await connection.write("remove old messages", () =>
          sweep.run(idFrom(beforeMs), SWEPT_AT_ONCE),
        );
        if (Number(changes) < SWEPT_AT_ONCE) return;
      }
    },
  };
}

function decodeMessage(row: Record<string, SQLOutputValue>): ArchivedMessage {
  const { id, peer, resource, bytes } = row;
  if (typeof id !== "string" || typeof peer !== "string" || !(bytes instanceof Uint8Array)) {
    throw new Unavailable("store-corrupt", "Cannot read the archive: a row has wrong types");
  }
  return {
    id,
    peer,
    resource: String(resource),
    bytes: Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength),
  };
}
