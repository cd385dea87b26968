/**
 * Nodes of publish-subscribe in Cassandra: an owner's nodes and items are one partition of two
 * tables, so that what one publication writes is applied as one.
 *
 * A writer has read the node before, and stamps its writes as later than what it saw; writers that
 * did not see each other are ordered by their clocks. A node that one writer removes while another
 * publishes to it leaves a row without configuration, which counts as no node.
 */
import { types } from "cassandra-driver";
import type { Clock } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import type {
  PublishedItem,
  Pubsub,
  PubsubNode,
  PubsubNodeWithLast,
  PubsubPatch,
} from "../contract.ts";
import { byAge, nextChangeUs } from "../pubsub-order.ts";
import type { Pool, Row, Step } from "./pool.ts";
import { repeatable } from "./pool.ts";

const COLUMNS = "node, config, affiliations, subscriptions, changed_us";
const LAST = "last_item, last_publisher, last_published_us, last_payload";
const NODE = "WHERE owner = ? AND node = ?";

const SELECT_ALL = repeatable(`SELECT ${COLUMNS} FROM pubsub_nodes WHERE owner = ?`);
const SELECT_SOME = repeatable(
  `SELECT ${COLUMNS}, ${LAST} FROM pubsub_nodes WHERE owner = ? AND node IN ?`,
);
const SELECT_REMOVED = repeatable("SELECT removed_us FROM pubsub_nodes WHERE owner = ? LIMIT 1");
const SELECT_CHANGED = repeatable(`SELECT config, changed_us FROM pubsub_nodes ${NODE}`);
const SET_CONFIG = repeatable(`UPDATE pubsub_nodes SET config = ?, changed_us = ? ${NODE}`);
const ADD_AFFILIATIONS = repeatable(
  `UPDATE pubsub_nodes SET affiliations = affiliations + ? ${NODE}`,
);
const REMOVE_AFFILIATIONS = repeatable(
  `UPDATE pubsub_nodes SET affiliations = affiliations - ? ${NODE}`,
);
const ADD_SUBSCRIPTIONS = repeatable(
  `UPDATE pubsub_nodes SET subscriptions = subscriptions + ? ${NODE}`,
);
const REMOVE_SUBSCRIPTIONS = repeatable(
  `UPDATE pubsub_nodes SET subscriptions = subscriptions - ? ${NODE}`,
);
const SET_LAST = repeatable(
  "UPDATE pubsub_nodes SET changed_us = ?, last_item = ?, last_publisher = ?, " +
    `last_published_us = ?, last_payload = ? ${NODE}`,
);
const DELETE_NODE = repeatable(`DELETE FROM pubsub_nodes ${NODE}`);
const MARK_REMOVED = repeatable("UPDATE pubsub_nodes SET removed_us = ? WHERE owner = ?");
const DELETE_NODES = repeatable("DELETE FROM pubsub_nodes WHERE owner = ?");

const INSERT_ITEM = repeatable(
  "INSERT INTO pubsub_items (owner, node, item, publisher, published_us, payload) " +
    "VALUES (?, ?, ?, ?, ?, ?)",
);
const SELECT_IDS = repeatable(`SELECT item, publisher, published_us FROM pubsub_items ${NODE}`);
const SELECT_ITEMS = repeatable(
  `SELECT item, publisher, published_us, payload FROM pubsub_items ${NODE} AND item IN ?`,
);
const DELETE_ITEM = repeatable(`DELETE FROM pubsub_items ${NODE} AND item = ?`);
const DELETE_UNTIL = repeatable(`DELETE FROM pubsub_items USING TIMESTAMP ? ${NODE}`);
const DELETE_ITEMS = repeatable("DELETE FROM pubsub_items WHERE owner = ?");

const PAGE_NODES = 500;
const PAGE_IDS = 1_000;
/** Items may be 60 KB and more each: few at a time. */
const PAGE_ITEMS = 25;

export function cassandraPubsub(pool: Pool, clock: Clock): Pubsub {
  const after = (changedUs: number) => nextChangeUs(clock.nowMs(), changedUs);

  async function someItems(owner: string, name: string, ids: readonly string[]) {
    const values = [owner, name, [...ids]];
    return (await pool.rows("read the items", SELECT_ITEMS, values)).map((row) =>
      decodeItem(row, ""),
    );
  }

  return {
    async list(owner) {
      const rows = await pool.rows("list pubsub nodes", SELECT_ALL, [owner], PAGE_NODES);
      return rows.filter(isNode).map(decodeNode);
    },
    async read(owner, names) {
      const values = [owner, [...names]];
      const rows = await pool.rows("read pubsub nodes", SELECT_SOME, values, PAGE_NODES);
      return rows.filter(isNode).map(decodeWithLast);
    },
    async create(owner, name, patch) {
      const [removed, row] = await Promise.all([
        pool.row("create the pubsub node", SELECT_REMOVED, [owner]),
        pool.row("create the pubsub node", SELECT_CHANGED, [owner, name]),
      ]);
      const leftUs = number(row?.changed_us);
      const stampUs = after(Math.max(leftUs, number(removed?.removed_us)));
      const steps = patchSteps(owner, name, { config: "", ...patch }, stampUs);
      if (row !== null && !isNode({ ...row, node: name })) {
        // What was published while the node was removed is not of this one.
        steps.push({ statement: DELETE_UNTIL, values: [BigInt(leftUs), owner, name] });
        steps.push({ statement: SET_LAST, values: lastValues(owner, name, stampUs, undefined) });
      }
      await pool.writeTogether("create the pubsub node", steps, { stampUs });
      return { name, changedUs: stampUs };
    },
    async change(owner, { name, changedUs }, patch) {
      const stampUs = after(changedUs);
      const steps = patchSteps(owner, name, patch, stampUs);
      await pool.writeTogether("change the pubsub node", steps, { stampUs });
    },
    async remove(owner, { name, changedUs }) {
      const stampUs = after(changedUs);
      const steps = [
        { statement: DELETE_NODE, values: [owner, name] },
        { statement: DELETE_UNTIL, values: [BigInt(stampUs), owner, name] },
        { statement: MARK_REMOVED, values: [BigInt(stampUs), owner] },
      ];
      await pool.writeTogether("remove the pubsub node", steps, { stampUs });
    },
    async publish(owner, { name, changedUs }, item, { isKept, removes }) {
      const stampUs = after(changedUs);
      const { id, publisher, payload } = item;
      const last = { ...item, publishedUs: stampUs };
      const steps: Step[] = [
        ...removalSteps(owner, name, removes, stampUs),
        { statement: SET_LAST, values: lastValues(owner, name, stampUs, last) },
      ];
      if (isKept) {
        const values = [owner, name, id, publisher, BigInt(stampUs), payload];
        steps.push({ statement: INSERT_ITEM, values });
      }
      await pool.writeTogether("publish the item", steps, { stampUs });
      return stampUs;
    },
    async itemIds(owner, name) {
      const rows = await pool.rows("list the items", SELECT_IDS, [owner, name], PAGE_IDS);
      return rows.map(decodeId).sort(byAge);
    },
    async items(owner, name, ids) {
      const found: PublishedItem[] = [];
      for (let start = 0; start < ids.length; start += PAGE_ITEMS) {
        found.push(...(await someItems(owner, name, ids.slice(start, start + PAGE_ITEMS))));
      }
      return found;
    },
    async removeItems(owner, { name, changedUs }, ids, last) {
      const stampUs = after(changedUs);
      const steps = [
        ...removalSteps(owner, name, ids, stampUs),
        { statement: SET_LAST, values: lastValues(owner, name, stampUs, last) },
      ];
      await pool.writeTogether("remove the items", steps, { stampUs });
    },
  };
}

/** Removes all nodes of an owner, also what a node with a fast clock has written. */
export async function deletePubsub(pool: Pool, clock: Clock, owner: string): Promise<void> {
  const rows = await pool.rows("delete pubsub nodes", SELECT_ALL, [owner], PAGE_NODES);
  const latestUs = rows.reduce((latest, row) => Math.max(latest, number(row.changed_us)), 0);
  const steps = [
    { statement: DELETE_NODES, values: [owner] },
    { statement: DELETE_ITEMS, values: [owner] },
  ];
  const stampUs = nextChangeUs(clock.nowMs(), latestUs);
  await pool.writeTogether("delete pubsub nodes", steps, { stampUs });
}

function patchSteps(owner: string, name: string, patch: PubsubPatch, stampUs: number): Step[] {
  const { unset } = types;
  const values = [patch.config ?? unset, BigInt(stampUs), owner, name];
  return [
    { statement: SET_CONFIG, values },
    ...entrySteps(owner, name, patch.affiliations, ADD_AFFILIATIONS, REMOVE_AFFILIATIONS),
    ...entrySteps(owner, name, patch.subscriptions, ADD_SUBSCRIPTIONS, REMOVE_SUBSCRIPTIONS),
  ];
}

function entrySteps(
  owner: string,
  name: string,
  patch: ReadonlyMap<string, string | undefined> | undefined,
  add: Step["statement"],
  remove: Step["statement"],
): Step[] {
  const all = [...(patch ?? [])];
  const added = Object.fromEntries(all.filter(([, value]) => value !== undefined));
  const removed = all.filter(([, value]) => value === undefined).map(([key]) => key);
  return [
    ...(Object.keys(added).length > 0 ? [{ statement: add, values: [added, owner, name] }] : []),
    ...(removed.length > 0 ? [{ statement: remove, values: [removed, owner, name] }] : []),
  ];
}

/** Removes what is there, and not what is written with `stampUs` itself. */
function removalSteps(
  owner: string,
  name: string,
  ids: "all" | readonly string[],
  stampUs: number,
): Step[] {
  if (ids === "all") {
    return [{ statement: DELETE_UNTIL, values: [BigInt(stampUs - 1), owner, name] }];
  }
  return ids.map((id) => ({ statement: DELETE_ITEM, values: [owner, name, id] }));
}

const lastValues = (
  owner: string,
  name: string,
  stampUs: number,
  last: PublishedItem | undefined,
): unknown[] => [
  BigInt(stampUs),
  last?.id ?? null,
  last?.publisher ?? null,
  last === undefined ? null : BigInt(last.publishedUs),
  last?.payload ?? null,
  owner,
  name,
];

const isNode = ({ node, config }: Row): boolean =>
  typeof node === "string" && typeof config === "string";

const number = (value: unknown): number => (typeof value === "bigint" ? Number(value) : 0);

function decodeNode(row: Row): PubsubNode {
  return {
    name: String(row.node),
    config: String(row.config),
    affiliations: decodeMap(row.affiliations),
    subscriptions: decodeMap(row.subscriptions),
    changedUs: number(row.changed_us),
  };
}

const decodeWithLast = (row: Row): PubsubNodeWithLast => ({
  ...decodeNode(row),
  last: typeof row.last_item === "string" ? decodeItem(row, "last_") : undefined,
});

const decodeId = ({ item, publisher, published_us: publishedUs }: Row) => ({
  id: String(item),
  publisher: String(publisher),
  publishedUs: number(publishedUs),
});

function decodeItem(row: Row, prefix: "" | "last_"): PublishedItem {
  const payload = row[`${prefix}payload`];
  if (!Buffer.isBuffer(payload)) {
    throw new Unavailable("store-corrupt", "Cannot read pubsub items: a payload is missing");
  }
  return {
    id: String(row[`${prefix}item`]),
    publisher: String(row[`${prefix}publisher`]),
    publishedUs: number(row[`${prefix}published_us`]),
    payload,
  };
}

const decodeMap = (value: unknown): Map<string, string> =>
  new Map(Object.entries((value ?? {}) as Record<string, string>));
