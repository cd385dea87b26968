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
import { emptyItem, stampAfterUs } from "../roster-version.ts";
import type { Connection } from "./connection.ts";

const COLUMNS =
  "contact, name, contact_groups, sub_to, sub_from, ask, pending_in, approved, listed, changed_us";

/** What is yes or no in one number: reading a value costs more than computing it. */
const SELECTED =
  "contact, name, contact_groups, pending_in, changed_us, " +
  "sub_to | (sub_from << 1) | (ask << 2) | (approved << 3) | (listed << 4)";

/** In the order of SELECTED; with names it takes half as long again. */
type Row = readonly SQLOutputValue[];

/**
 * Items of rosters that are remembered: a login reads its roster twice, and wants it once. What was read
 * twice is forgotten, since what lives longer than a login makes collecting garbage dear.
 */
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
    `SELECT ${SELECTED} FROM rosters WHERE user = ?1 UNION ALL ` +
      "SELECT NULL, NULL, NULL, NULL, removed_us, 0 FROM roster_removals WHERE user = ?1",
  );
  const selectOne = connection.prepare(
    `SELECT ${SELECTED} FROM rosters WHERE user = ? AND contact = ?`,
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

  function itemOf(user: string, contact: string): RosterItem | undefined {
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
        remembered.delete(user);
        if (known?.others === others) return known.roster;
        const roster = rosterOf(rowsOf(selectAll, user));
        remembered.set(user, { others, roster });
        return roster;
      });
    },
    async item(user, contact): Promise<RosterItem | undefined> {
      return connection.read("read the roster item", () => itemOf(user, contact));
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
    const item = row[0] === null ? undefined : decodeItem(row);
    if (item?.listed !== false) listedUs = Math.max(listedUs, Number(row[4]));
    if (item !== undefined) items.push(item);
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

function decodeItem([contact, name, groups, pendingIn, , bits]: Row): RosterItem {
  const flags = Number(bits);
  return {
    contact: String(contact),
    name: String(name),
    groups: decodeGroups(groups),
    to: (flags & 1) !== 0,
    from: (flags & 2) !== 0,
    ask: (flags & 4) !== 0,
    pendingIn:
      pendingIn instanceof Uint8Array
        ? Buffer.from(pendingIn.buffer, pendingIn.byteOffset, pendingIn.byteLength)
        : undefined,
    approved: (flags & 8) !== 0,
    listed: (flags & 16) !== 0,
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
