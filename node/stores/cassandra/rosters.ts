/**
 * Rosters in Cassandra: one partition per user, one row per contact. A change reads the partition,
 * writes only its own columns (so that flags set on two nodes at once are both kept), and answers
 * the version of what it read with the change applied: see roster-version.ts.
 */
import { types } from "cassandra-driver";
import type { Clock } from "../../base/clock.ts";
import type { Roster, RosterItem, RosterPatch, Rosters } from "../contract.ts";
import type { StoredItem, StoredRoster } from "../roster-version.ts";
import {
  loadedRoster,
  nextStampUs,
  plainItem,
  rosterVersion,
  withItem,
  withoutItem,
} from "../roster-version.ts";
import type { Pool, Row } from "./pool.ts";
import { repeatable } from "./pool.ts";

const COLUMNS =
  "contact, name, contact_groups, sub_to, sub_from, ask, pending_in, approved, listed, changed_us";

const SELECT_ALL = repeatable(`SELECT ${COLUMNS}, removed_us FROM rosters WHERE user = ?`);
const SELECT_ONE = repeatable(`SELECT ${COLUMNS} FROM rosters WHERE user = ? AND contact = ?`);
const UPDATE = repeatable(
  "UPDATE rosters SET name = ?, contact_groups = ?, sub_to = ?, sub_from = ?, ask = ?, " +
    "pending_in = ?, approved = ?, listed = ?, changed_us = ? WHERE user = ? AND contact = ?",
);
const DELETE_ONE = repeatable("DELETE FROM rosters WHERE user = ? AND contact = ?");
const MARK_REMOVED = repeatable("UPDATE rosters SET removed_us = ? WHERE user = ?");
const DELETE_ALL = repeatable("DELETE FROM rosters WHERE user = ?");

/** A roster of this many contacts, which is nearly all of them, is read in one round trip. */
const PAGE_ROWS = 500;

export function cassandraRosters(pool: Pool, clock: Clock): Rosters {
  return {
    async load(user): Promise<Roster> {
      return loadedRoster(await readRoster(pool, user));
    },
    async item(user, contact): Promise<RosterItem | undefined> {
      const row = await pool.row("read the roster item", SELECT_ONE, [user, contact]);
      return row === null ? undefined : plainItem(decodeItem(row));
    },
    async update(user, contact, patch) {
      const before = await readRoster(pool, user);
      const stampUs = nextStampUs(before, clock.nowMs());
      const values = [...encodePatch(patch), BigInt(stampUs), user, contact];
      await pool.write("change the roster", { statement: UPDATE, values }, { stampUs });
      return rosterVersion(withItem(before, contact, patch, stampUs));
    },
    async remove(user, contact) {
      const before = await readRoster(pool, user);
      if (before.items.every((item) => item.contact !== contact)) return rosterVersion(before);
      const stampUs = nextStampUs(before, clock.nowMs());
      const steps = [
        { statement: DELETE_ONE, values: [user, contact] },
        { statement: MARK_REMOVED, values: [BigInt(stampUs), user] },
      ];
      await pool.writeTogether("remove the contact", steps, { stampUs });
      return rosterVersion(withoutItem(before, contact, stampUs));
    },
  };
}

/** Removes the whole roster of a user, also what a node with a fast clock has written. */
export async function deleteRoster(pool: Pool, clock: Clock, user: string): Promise<void> {
  const stampUs = nextStampUs(await readRoster(pool, user), clock.nowMs());
  await pool.write("delete the roster", { statement: DELETE_ALL, values: [user] }, { stampUs });
}

async function readRoster(pool: Pool, user: string): Promise<StoredRoster> {
  const rows = await pool.rows("read the roster", SELECT_ALL, [user], PAGE_ROWS);
  const removedUs = rows[0]?.removed_us;
  return {
    // A partition whose items were all removed still answers one row: its static column.
    items: rows.filter((row) => typeof row.contact === "string").map(decodeItem),
    removedUs: typeof removedUs === "bigint" ? Number(removedUs) : undefined,
  };
}

/** The columns of UPDATE in order; what the patch leaves out stays as it is. */
function encodePatch(patch: RosterPatch): unknown[] {
  const { unset } = types;
  return [
    patch.name ?? unset,
    patch.groups ?? unset,
    patch.to ?? unset,
    patch.from ?? unset,
    patch.ask ?? unset,
    "pendingIn" in patch ? (patch.pendingIn ?? null) : unset,
    patch.approved ?? unset,
    patch.listed ?? unset,
  ];
}

/** A column never written is null, and means the field's neutral value. */
function decodeItem(row: Row): StoredItem {
  const { name, contact_groups: groups, pending_in: pendingIn, changed_us: changedUs } = row;
  return {
    contact: String(row.contact),
    name: typeof name === "string" ? name : "",
    groups: Array.isArray(groups) ? groups.map(String) : [],
    to: row.sub_to === true,
    from: row.sub_from === true,
    ask: row.ask === true,
    pendingIn: Buffer.isBuffer(pendingIn) ? pendingIn : undefined,
    approved: row.approved === true,
    listed: row.listed === true,
    changedUs: typeof changedUs === "bigint" ? Number(changedUs) : 0,
  };
}
