/** Rosters in SQLite. A change reads, writes and computes the version in one transaction. */
import type { SQLOutputValue } from "node:sqlite";
import type { Clock } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import type { Roster, RosterItem, Rosters } from "../contract.ts";
import type { StoredItem, StoredRoster } from "../roster-version.ts";
import { nextStampUs, plainItem, rosterVersion, withItem, withoutItem } from "../roster-version.ts";
import type { Connection } from "./connection.ts";

const COLUMNS =
  "contact, name, contact_groups, sub_to, sub_from, ask, pending_in, approved, listed, changed_us";

type Row = Record<string, SQLOutputValue>;

export function sqliteRosters(connection: Connection, clock: Clock): Rosters {
  const selectAll = connection.prepare(`SELECT ${COLUMNS} FROM rosters WHERE user = ?`);
  const selectOne = connection.prepare(
    `SELECT ${COLUMNS} FROM rosters WHERE user = ? AND contact = ?`,
  );
  const selectRemoved = connection.prepare("SELECT removed_us FROM roster_removals WHERE user = ?");
  const replace = connection.prepare(
    `REPLACE INTO rosters (user, ${COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  );
  const remove = connection.prepare("DELETE FROM rosters WHERE user = ? AND contact = ?");
  const markRemoved = connection.prepare(
    "REPLACE INTO roster_removals (user, removed_us) VALUES (?, ?)",
  );

  function stored(user: string): StoredRoster {
    const removedUs = selectRemoved.get(user)?.removed_us;
    return {
      items: selectAll.all(user).map(decodeItem),
      removedUs: typeof removedUs === "number" ? removedUs : undefined,
    };
  }

  return {
    async load(user): Promise<Roster> {
      return connection.read("read the roster", () => {
        const roster = stored(user);
        return { version: rosterVersion(roster), items: roster.items.map(plainItem) };
      });
    },
    async item(user, contact): Promise<RosterItem | undefined> {
      return connection.read("read the roster item", () => {
        const row = selectOne.get(user, contact);
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

function decodeItem(row: Row): StoredItem {
  const pendingIn = row.pending_in;
  return {
    contact: String(row.contact),
    name: String(row.name),
    groups: decodeGroups(row.contact_groups),
    to: row.sub_to === 1,
    from: row.sub_from === 1,
    ask: row.ask === 1,
    pendingIn:
      pendingIn instanceof Uint8Array
        ? Buffer.from(pendingIn.buffer, pendingIn.byteOffset, pendingIn.byteLength)
        : undefined,
    approved: row.approved === 1,
    listed: row.listed === 1,
    changedUs: Number(row.changed_us),
  };
}

function decodeGroups(value: unknown): readonly string[] {
  try {
    const groups: unknown = JSON.parse(String(value));
    if (Array.isArray(groups) && groups.every((group) => typeof group === "string")) return groups;
  } catch {
    // Falls through to the refusal below, which does not quote the value.
  }
  throw new Unavailable("store-corrupt", "Cannot read the roster: groups are not a list of names");
}
