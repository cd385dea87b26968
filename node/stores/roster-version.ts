/**
 * Roster versions (RFC 6121, 2.6) where many nodes write: a hash over what the roster holds, not a
 * counter. Nodes write one roster at once without agreeing on an order, so a "last version" column
 * could name a state that its writer never saw. A hash can only name the state it was made from:
 *
 * - load() hashes what it read. update() and remove() read the roster, write, and hash what they
 *   read with their own change applied. A concurrent change that they did not see is not in the
 *   version they answer, so a client that was told this version differs from the store and is sent
 *   the roster in full at its next login.
 * - Each item carries the time it changed and the roster the time of its last removal, and both are
 *   hashed. So a state that comes back (a name changed and changed back) has a new version.
 * - Items that are not listed are left out: a pending request is not a roster change.
 *
 * What a version cannot know is whether a client got the pushes of the changes it was read with.
 */
import { hash } from "node:crypto";
import type { Roster, RosterItem, RosterPatch } from "./contract.ts";

/** An item with the microseconds since the epoch at which it was written. */
export interface StoredItem extends RosterItem {
  readonly changedUs: number;
}

export interface StoredRoster {
  readonly items: readonly StoredItem[];
  /** When an item was last removed; undefined when none ever was. */
  readonly removedUs: number | undefined;
}

/** "" for a roster that never listed anybody, 22 URL-safe characters otherwise. */
export function rosterVersion({ items, removedUs }: StoredRoster): string {
  const listed = items.filter((item) => item.listed);
  if (listed.length === 0 && removedUs === undefined) return "";
  listed.sort((one, other) => (one.contact < other.contact ? -1 : 1));
  const state = listed.map((item) => [
    item.contact,
    item.name,
    item.groups,
    item.to,
    item.from,
    item.ask,
    item.approved,
    item.changedUs,
  ]);
  const digest = hash("sha256", JSON.stringify([removedUs ?? 0, state]), "buffer");
  return digest.subarray(0, 16).toString("base64url");
}

/**
 * The stamp of the next write: now, but always after everything the writer has read, so that a
 * node whose clock is behind still overwrites what it saw.
 */
export function nextStampUs({ items, removedUs }: StoredRoster, nowMs: number): number {
  let latestUs = removedUs ?? 0;
  for (const { changedUs } of items) latestUs = Math.max(latestUs, changedUs);
  return stampAfterUs(latestUs, nowMs);
}

export const stampAfterUs = (latestUs: number, nowMs: number): number =>
  Math.max(Math.trunc(nowMs) * 1_000, latestUs + 1);

/** The roster with one item created or changed. */
export function withItem(
  roster: StoredRoster,
  contact: string,
  patch: RosterPatch,
  changedUs: number,
): StoredRoster {
  const before = roster.items.find((item) => item.contact === contact) ?? emptyItem(contact);
  const others = roster.items.filter((item) => item.contact !== contact);
  return { items: [...others, { ...before, ...patch, changedUs }], removedUs: roster.removedUs };
}

/** The roster without one item. */
export function withoutItem(
  roster: StoredRoster,
  contact: string,
  removedUs: number,
): StoredRoster {
  return { items: roster.items.filter((item) => item.contact !== contact), removedUs };
}

/** A roster as the contract gives it out. Few ask for its version, which costs the most. */
export function loadedRoster(stored: StoredRoster): Roster {
  let version: string | undefined;
  return {
    items: stored.items.map(plainItem),
    get version() {
      version ??= rosterVersion(stored);
      return version;
    },
  };
}

/** An item as the contract gives it out. */
export function plainItem(item: StoredItem): RosterItem {
  const { contact, name, groups, to, from, ask, pendingIn, approved, listed } = item;
  return { contact, name, groups, to, from, ask, pendingIn, approved, listed };
}

export const emptyItem = (contact: string): RosterItem => ({
  contact,
  name: "",
  groups: [],
  to: false,
  from: false,
  ask: false,
  pendingIn: undefined,
  approved: false,
  listed: false,
});
