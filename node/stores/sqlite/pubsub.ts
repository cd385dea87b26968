/** Nodes of publish-subscribe in SQLite. Every change is one transaction. */
import type { SQLOutputValue } from "node:sqlite";
import type { Clock } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import type { PublishedItem, Pubsub, PubsubNode, PubsubNodeWithLast } from "../contract.ts";
import { byBytes, nextChangeUs } from "../pubsub-order.ts";
import type { Connection } from "./connection.ts";

const COLUMNS = "node, config, affiliations, subscriptions, changed_us";
const LAST = "last_item, last_publisher, last_published_us, last_payload";

type Row = Record<string, SQLOutputValue>;
type Patch = ReadonlyMap<string, string | undefined>;

export function sqlitePubsub(connection: Connection, clock: Clock): Pubsub {
  const statements = prepare(connection);

  const stampOf = (owner: string, name: string, changedUs: number): number => {
    const row = statements.one.get(owner, name);
    return nextChangeUs(clock.nowMs(), Math.max(changedUs, Number(row?.changed_us ?? 0)));
  };
  const setLast = (owner: string, name: string, stampUs: number, last: PublishedItem | undefined) =>
    statements.setLast.run(
      stampUs,
      last?.id ?? null,
      last?.publisher ?? null,
      last?.publishedUs ?? null,
      last?.payload ?? null,
      owner,
      name,
    );
  const removeItems = (owner: string, name: string, ids: "all" | readonly string[]) => {
    if (ids === "all") statements.removeItems.run(owner, name);
    else for (const id of ids) statements.removeItem.run(owner, name, id);
  };

  return {
    async list(owner) {
      return connection.read("list pubsub nodes", () => {
        const nodes = statements.all.all(owner).map(decodeNode);
        return nodes.sort((one, other) => byBytes(one.name, other.name));
      });
    },
    async read(owner, names) {
      return connection.read("read pubsub nodes", () =>
        names.flatMap((name) => {
          const row = statements.one.get(owner, name);
          return row === undefined ? [] : [decodeWithLast(row)];
        }),
      );
    },
    create: (owner, name, { config = "", affiliations, subscriptions }) =>
      connection.write("create the pubsub node", () => {
        const changedUs = stampOf(owner, name, 0);
        statements.insert.run(owner, name, config, changedUs);
        const row = statements.one.get(owner, name);
        const maps = [
          patched(row?.affiliations, affiliations),
          patched(row?.subscriptions, subscriptions),
        ];
        statements.change.run(config, ...(maps as [string, string]), changedUs, owner, name);
        return { name, changedUs };
      }),
    change: (owner, { name, changedUs }, patch) =>
      connection.write("change the pubsub node", () => {
        const row = statements.one.get(owner, name);
        if (row === undefined) return;
        statements.change.run(
          patch.config ?? String(row.config),
          patched(row.affiliations, patch.affiliations),
          patched(row.subscriptions, patch.subscriptions),
          stampOf(owner, name, changedUs),
          owner,
          name,
        );
      }),
    remove: (owner, { name }) =>
      connection.write("remove the pubsub node", () => {
        statements.removeItems.run(owner, name);
        statements.remove.run(owner, name);
      }),
    publish: (owner, { name, changedUs }, item, { isKept, removes }) =>
      connection.write("publish the item", () => {
        const publishedUs = stampOf(owner, name, changedUs);
        // Another writer may have removed the node since this one read it.
        if (statements.one.get(owner, name) === undefined) return publishedUs;
        removeItems(owner, name, removes);
        const { id, publisher, payload } = item;
        if (isKept) statements.put.run(owner, name, id, publisher, publishedUs, payload);
        setLast(owner, name, publishedUs, { ...item, publishedUs });
        return publishedUs;
      }),
    async itemIds(owner, name) {
      return connection.read("list the items", () =>
        statements.ids.all(owner, name).map((row) => ({
          id: String(row.item),
          publisher: String(row.publisher),
          publishedUs: Number(row.published_us),
        })),
      );
    },
    async items(owner, name, ids) {
      return connection.read("read the items", () =>
        ids.flatMap((id) => {
          const row = statements.item.get(owner, name, id);
          return row === undefined ? [] : [decodeItem(row, "")];
        }),
      );
    },
    removeItems: (owner, { name, changedUs }, ids, last) =>
      connection.write("remove the items", () => {
        removeItems(owner, name, ids);
        setLast(owner, name, stampOf(owner, name, changedUs), last);
      }),
  };
}

const prepare = (connection: Connection) => ({
  all: connection.prepare(`SELECT ${COLUMNS} FROM pubsub_nodes WHERE owner = ?`),
  one: connection.prepare(
    `SELECT ${COLUMNS}, ${LAST} FROM pubsub_nodes WHERE owner = ? AND node = ?`,
  ),
  insert: connection.prepare(
    "INSERT INTO pubsub_nodes (owner, node, config, affiliations, subscriptions, changed_us) " +
      "VALUES (?, ?, ?, '[]', '[]', ?) ON CONFLICT DO NOTHING",
  ),
  change: connection.prepare(
    "UPDATE pubsub_nodes SET config = ?, affiliations = ?, subscriptions = ?, changed_us = ? " +
      "WHERE owner = ? AND node = ?",
  ),
  setLast: connection.prepare(
    "UPDATE pubsub_nodes SET changed_us = ?, last_item = ?, last_publisher = ?, " +
      "last_published_us = ?, last_payload = ? WHERE owner = ? AND node = ?",
  ),
  remove: connection.prepare("DELETE FROM pubsub_nodes WHERE owner = ? AND node = ?"),
  put: connection.prepare(
    "REPLACE INTO pubsub_items (owner, node, item, publisher, published_us, payload) " +
      "VALUES (?, ?, ?, ?, ?, ?)",
  ),
  ids: connection.prepare(
    "SELECT item, publisher, published_us FROM pubsub_items WHERE owner = ? AND node = ? " +
      "ORDER BY published_us, item",
  ),
  item: connection.prepare(
    "SELECT item, publisher, published_us, payload FROM pubsub_items " +
      "WHERE owner = ? AND node = ? AND item = ?",
  ),
  removeItem: connection.prepare(
    "DELETE FROM pubsub_items WHERE owner = ? AND node = ? AND item = ?",
  ),
  removeItems: connection.prepare("DELETE FROM pubsub_items WHERE owner = ? AND node = ?"),
});

function patched(stored: SQLOutputValue | undefined, patch: Patch = new Map()): string {
  const entries = decodeMap(stored ?? "[]");
  for (const [key, value] of patch) {
    if (value === undefined) entries.delete(key);
    else entries.set(key, value);
  }
  return JSON.stringify([...entries]);
}

function decodeNode(row: Row): PubsubNode {
  return {
    name: String(row.node),
    config: String(row.config),
    affiliations: decodeMap(row.affiliations),
    subscriptions: decodeMap(row.subscriptions),
    changedUs: Number(row.changed_us),
  };
}

const decodeWithLast = (row: Row): PubsubNodeWithLast => ({
  ...decodeNode(row),
  last: row.last_item === null ? undefined : decodeItem(row, "last_"),
});

function decodeItem(row: Row, prefix: "" | "last_"): PublishedItem {
  const payload = row[`${prefix}payload`];
  if (!(payload instanceof Uint8Array)) throw corrupt("a payload is missing");
  return {
    id: String(row[`${prefix}item`]),
    publisher: String(row[`${prefix}publisher`]),
    publishedUs: Number(row[`${prefix}published_us`]),
    payload: Buffer.from(payload.buffer, payload.byteOffset, payload.byteLength),
  };
}

function decodeMap(value: SQLOutputValue | undefined): Map<string, string> {
  try {
    return new Map(JSON.parse(String(value)) as [string, string][]);
  } catch (error) {
    throw corrupt("a list of entries is none", { cause: error });
  }
}

const corrupt = (why: string, options?: ErrorOptions): Unavailable =>
  new Unavailable("store-corrupt", `Cannot read pubsub nodes: ${why}`, options);
