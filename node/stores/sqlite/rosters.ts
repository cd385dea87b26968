/**
 * Rosters in SQLite. Writes come one after another, and each has a later time than all before. So the
 * time of the last change to what is listed is the version, and a change reads no roster.
 */
import type { SQLOutputValue, StatementSync } from "node:sqlite";
import { LRUCache } from "lru-cache";
import type { Clock } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import type { Roster, RosterItem, Rosters } from "../contract.ts";
import type { StoredItem } from "../roster-version.ts";
import { emptyItem, plainItem, stampAfterUs } from "../roster-version.ts";
import type { Connection } from "./connection.ts";

const COLUMNS =
  "contact, name, contact_groups, sub_to, sub_from, ask, pending_in, approved, listed, changed_us";

/** In the order of COLUMNS; with names it takes half as long again. */
type Row = readonly SQLOutputValue[];

/** Items of rosters that are remembered: a login reads its roster twice, and wants it once. */
const REMEMBERED_ITEMS_MAX = 10_000;

interface Remembered {
  /** Of what other processes have done to the store, when it was read. */
  readonly others: number;
  readonly roster: Roster;
}

export interface SqliteRosters extends Rosters {
  /** To be called when its items are removed by other means. */
  forget(user: string): void;
}

export function sqliteRosters(connection: Connection, clock: Clock): SqliteRosters {
  /** One statement, because each locks the file; the row without a contact is the last removal. */
  const selectAll = connection.prepare(
    `SELECT ${COLUMNS} FROM rosters WHERE user = ?1 UNION ALL ` +
      `SELECT ${"NULL, ".repeat(9)} removed_us FROM roster_removals WHERE user = ?1`,
  );
  const selectOne = connection.prepare(
    `SELECT ${COLUMNS} FROM rosters WHERE user = ? AND contact = ?`,
  );
  const selectTimes = connection.prepare(
    "SELECT max(changed_us), max(changed_us) FILTER (WHERE listed = 1), " +
      "(SELECT removed_us FROM roster_removals WHERE user = ?1) FROM rosters WHERE user = ?1",
  );
  const replace = connection.prepare(
    `REPLACE INTO rosters (user, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  for (const select of [selectAll, selectOne, selectTimes]) select.setReturnArrays(true);
  const remove = connection.prepare("DELETE FROM rosters WHERE user = ? AND contact = ?");
  const markRemoved = connection.prepare(
    "REPLACE INTO roster_removals (user, removed_us) VALUES (?, ?)",
  );

  const remembered = new LRUCache<string, Remembered>({
    maxSize: REMEMBERED_ITEMS_MAX,
    sizeCalculation: ({ roster }) => roster.items.length + 1,
  });

  /** Microseconds since the epoch, 0 for never. */
  function timesOf(user: string) {
    const [[changed, listed, removed] = []] = rowsOf(selectTimes, user);
    const removedUs = Number(removed ?? 0);
    const lastUs = Math.max(Number(changed ?? 0), removedUs);
    return { lastUs, listedUs: Math.max(Number(listed ?? 0), removedUs) };
  }

  function itemOf(user: string, contact: string): StoredItem | undefined {
    const [row] = rowsOf(selectOne, user, contact);
    return row === undefined ? undefined : decodeItem(row);
  }

  /** @param work answers when the list last changed, which it is told */
  function change(
    what: string,
    user: string,
    work: (stampUs: number, listedUs: number) => number,
  ): Promise<string> {
    return connection.write(what, () => {
      remembered.delete(user);
      const { lastUs, listedUs } = timesOf(user);
      return versionOf(work(stampAfterUs(lastUs, clock.nowMs()), listedUs));
    });
  }

  return {
    async load(user): Promise<Roster> {
      return connection.read("read the roster", () => {
        const others = connection.othersChanges();
        const known = remembered.get(user);
        if (known?.others === others) return known.roster;
        const roster = rosterOf(rowsOf(selectAll, user));
        remembered.set(user, { others, roster });
        return roster;
      });
    },
    async item(user, contact): Promise<RosterItem | undefined> {
      return connection.read("read the roster item", () => {
        const item = itemOf(user, contact);
        return item && plainItem(item);
      });
    },
    update: (user, contact, patch) =>
      change("change the roster", user, (changedUs, listedUs) => {
        const before = itemOf(user, contact) ?? emptyItem(contact);
        const item = { ...before, ...patch, changedUs };
        replace.run(user, ...encodeItem(item));
        if (item.listed) return changedUs;
        if (!before.listed) return listedUs;
        markRemoved.run(user, changedUs); // Else the version before it was listed would be back.
        return changedUs;
      }),
    remove: (user, contact) =>
      change("remove the contact", user, (removedUs, listedUs) => {
        if (remove.run(user, contact).changes === 0) return listedUs;
        markRemoved.run(user, removedUs);
        return removedUs;
      }),
    forget: (user) => void remembered.delete(user),
  };
}

/** "" for a roster that never listed anybody. */
const versionOf = (listedUs: number): string => (listedUs === 0 ? "" : listedUs.toString(36));

function rosterOf(rows: readonly Row[]): Roster {
  const items: RosterItem[] = [];
  let listedUs = 0;
  for (const row of rows) {
    if (row[0] === null) {
      listedUs = Math.max(listedUs, Number(row[9]));
      continue;
    }
    const item = decodeItem(row);
    if (item.listed) listedUs = Math.max(listedUs, item.changedUs);
    items.push(plainItem(item));
  }
  return { items, version: versionOf(listedUs) };
}

function encodeItem(item: StoredItem) {
  return [
    item.contact,
    item.name,
    JSON.stringify(item.groups),
    Number(item.to),
    Number(item.from),
    Number(item.ask),
    item.pendingIn ?? null,
    Number(item.approved),
    Number(item.listed),
    item.changedUs,
  ];
}

/** Of a statement that returns arrays. */
const rowsOf = (statement: StatementSync, ...values: readonly string[]): readonly Row[] =>
  statement.all(...values) as unknown as readonly Row[];

function decodeItem(row: Row): StoredItem {
  const [contact, name, groups, to, from, ask, pendingIn, approved, listed, changedUs] = row;
  return {
    contact: String(contact),
    name: String(name),
    groups: decodeGroups(groups),
    to: to === 1,
    from: from === 1,
    ask: ask === 1,
    pendingIn:
      pendingIn instanceof Uint8Array
        ? Buffer.from(pendingIn.buffer, pendingIn.byteOffset, pendingIn.byteLength)
        : undefined,
    approved: approved === 1,
    listed: listed === 1,
    changedUs: Number(changedUs),
  };
}

const NO_GROUPS: readonly string[] = [];
/** Contacts share their groups, mostly with the one before. */
let last: { readonly text: string; readonly groups: readonly string[] } | undefined;

function decodeGroups(value: unknown): readonly string[] {
  if (value === "[]") return NO_GROUPS;
  if (last !== undefined && last.text === value) return last.groups;
  try {
    const text = String(value);
    const groups: unknown = JSON.parse(text);
    if (Array.isArray(groups) && groups.every((group) => typeof group === "string")) {
      last = { text, groups };
      return groups;
    }
  } catch {
    // Falls through to the refusal below, which does not quote the value.
  }
  throw new Unavailable("store-corrupt", "Cannot read the roster: groups are not a list of names");
}
