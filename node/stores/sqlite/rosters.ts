/** Rosters in SQLite. A change reads, writes and computes the version in one transaction. */
import type { SQLOutputValue, StatementSync } from "node:sqlite";
import { LRUCache } from "lru-cache";
import type { Clock } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import type { Roster, RosterItem, Rosters } from "../contract.ts";
import type { StoredItem, StoredRoster } from "../roster-version.ts";
import {
  loadedRoster,
  nextStampUs,
  plainItem,
  rosterVersion,
  withItem,
  withoutItem,
} from "../roster-version.ts";
import type { Connection } from "./connection.ts";

const COLUMNS =
  "contact, name, contact_groups, sub_to, sub_from, ask, pending_in, approved, listed, changed_us";

/** In the order of COLUMNS; with names it takes half as long again. */
type Row = readonly SQLOutputValue[];

/** Items of rosters that are remembered: a login reads its roster twice, and wants it once. */
const REMEMBERED_ITEMS_MAX = 10_000;

interface Remembered {
  /** Of the store, when it was read. */
  readonly state: string;
  readonly roster: Roster;
}

export function sqliteRosters(connection: Connection, clock: Clock): Rosters {
  const selectAll = connection.prepare(`SELECT ${COLUMNS} FROM rosters WHERE user = ?`);
  const selectOne = connection.prepare(
    `SELECT ${COLUMNS} FROM rosters WHERE user = ? AND contact = ?`,
  );
  const selectRemoved = connection.prepare("SELECT removed_us FROM roster_removals WHERE user = ?");
  const replace = connection.prepare(
    `REPLACE INTO rosters (user, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  selectAll.setReturnArrays(true);
  selectOne.setReturnArrays(true);
  const remove = connection.prepare("DELETE FROM rosters WHERE user = ? AND contact = ?");
  const markRemoved = connection.prepare(
    "REPLACE INTO roster_removals (user, removed_us) VALUES (?, ?)",
  );

  const remembered = new LRUCache<string, Remembered>({
    maxSize: REMEMBERED_ITEMS_MAX,
    sizeCalculation: ({ roster }) => roster.items.length + 1,
  });

  function stored(user: string): StoredRoster {
    const removedUs = selectRemoved.get(user)?.removed_us;
    return {
      items: rowsOf(selectAll, user).map(decodeItem),
      removedUs: typeof removedUs === "number" ? removedUs : undefined,
    };
  }

  return {
    async load(user): Promise<Roster> {
      return connection.read("read the roster", () => {
        const state = connection.state();
        const known = remembered.get(user);
        if (known?.state === state) return known.roster;
        const roster = loadedRoster(stored(user));
        remembered.set(user, { state, roster });
        return roster;
      });
    },
    async item(user, contact): Promise<RosterItem | undefined> {
      return connection.read("read the roster item", () => {
        const [row] = rowsOf(selectOne, user, contact);
        return row === undefined ? undefined : plainItem(decodeItem(row));
      });
    },
    update: (user, contact, patch) =>
      connection.write("change the roster", () => {
        const before = stored(user);
        const after = withItem(before, contact, patch, nextStampUs(before, clock.nowMs()));
        const item = after.items.at(-1);
        if (item !== undefined) replace.run(user, ...encodeItem(item));
        return rosterVersion(after);
      }),
    remove: (user, contact) =>
      connection.write("remove the contact", () => {
        const before = stored(user);
        const removedUs = nextStampUs(before, clock.nowMs());
        if (remove.run(user, contact).changes === 0) return rosterVersion(before);
        markRemoved.run(user, removedUs);
        return rosterVersion(withoutItem(before, contact, removedUs));
      }),
  };
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
