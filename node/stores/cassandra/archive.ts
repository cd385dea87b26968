/**
 * Archived messages in Cassandra: a user's messages of one week are one partition, in the order of
 * their ids; see schema/0005-archive.ts. The rows of a message are written side by side: one that
 * has only some of them is completed when its writer tries again, and until then is not found by
 * contact.
 */
import { LRUCache } from "lru-cache";
import type { Clock } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import { boundMs, CLOCKS_APART_MS, idFrom, timeOf } from "../archive-id.ts";
import type { Archive, ArchivedMessage, ArchiveEnd, ArchiveRange } from "../contract.ts";
import type { Pool, Row, Step } from "./pool.ts";
import { repeatable } from "./pool.ts";

const WEEK_MS = 604_800_000;
const WEEK_SECONDS = WEEK_MS / 1_000;
/** Weeks written lately, with when: they need not be written with every message. */
const WEEKS_REMEMBERED_MAX = 50_000;
/** Not for long: another node may delete the account, and it may be made again. */
const WEEK_WRITTEN_FOR_MS = 60_000;
const DELETIONS_AT_ONCE = 32;
/** Rows that hold no message bytes, read at a time. */
const IDS_PAGE = 200;

const INSERT = repeatable(
  "INSERT INTO archive (user, week, id, peer, resource, bytes) VALUES (?, ?, ?, ?, ?, ?) USING TTL ?",
);
const INSERT_OF_PEER = repeatable(
  "INSERT INTO archive_of_peer (user, peer, week, id, resource) VALUES (?, ?, ?, ?, ?) USING TTL ?",
);
const INSERT_WEEK = repeatable(
  "INSERT INTO archive_weeks (user, peer, week) VALUES (?, ?, ?) USING TTL ?",
);
const SELECT_WEEKS = repeatable("SELECT week FROM archive_weeks WHERE user = ? AND peer = ?");
const SELECT_ALL_WEEKS = repeatable("SELECT peer, week FROM archive_weeks WHERE user = ?");
const IN_RANGE = "AND week = ? AND id >= ? AND id < ?";
const SELECT_FIRST = repeatable(
  `SELECT id, peer, resource, bytes FROM archive WHERE user = ? ${IN_RANGE} LIMIT ?`,
);
const SELECT_LAST = repeatable(
  "SELECT id, peer, resource, bytes FROM archive " +
    `WHERE user = ? ${IN_RANGE} ORDER BY id DESC LIMIT ?`,
);
const SELECT_IDS = repeatable(`SELECT id FROM archive WHERE user = ? ${IN_RANGE} LIMIT ?`);
const DELETE = repeatable("DELETE FROM archive WHERE user = ? AND week = ? AND id = ?");
const DELETE_OF_PEER = repeatable(
  "DELETE FROM archive_of_peer WHERE user = ? AND peer = ? AND week = ? AND id = ?",
);
const OF_PEER = `SELECT id, resource FROM archive_of_peer WHERE user = ? AND peer = ? ${IN_RANGE}`;
const SELECT_FIRST_OF_PEER = repeatable(OF_PEER);
const SELECT_LAST_OF_PEER = repeatable(`${OF_PEER} ORDER BY id DESC`);
const SELECT_SOME = repeatable(
  "SELECT id, peer, resource, bytes FROM archive WHERE user = ? AND week = ? AND id IN ?",
);
const DELETE_WEEK = repeatable("DELETE FROM archive WHERE user = ? AND week = ?");
const DELETE_WEEK_OF_PEER = repeatable(
  "DELETE FROM archive_of_peer WHERE user = ? AND peer = ? AND week = ?",
);
const DELETE_WEEKS = repeatable("DELETE FROM archive_weeks WHERE user = ?");

const READ = "read the archive";

export interface ArchivePools {
  readonly writes: Pool;
  readonly reads: Pool;
}

const weekOf = (ms: number): number => Math.floor(ms / WEEK_MS);

export function cassandraArchive({ writes, reads }: ArchivePools, clock: Clock): Archive {
  const written = new LRUCache<string, number>({ max: WEEKS_REMEMBERED_MAX });

  function weekSteps(user: string, peer: string, week: number, ttl: number): readonly Step[] {
    const nowMs = clock.nowMs();
    const key = `${week} ${user} ${peer}`;
    const lastMs = written.get(key);
    if (lastMs !== undefined && nowMs - lastMs < WEEK_WRITTEN_FOR_MS) return [];
    return ["", peer].map((whose) => ({
      statement: INSERT_WEEK,
      values: [user, whose, week, ttl === 0 ? 0 : ttl + WEEK_SECONDS],
    }));
  }

  /** The weeks that a range touches and that have anything. */
  async function weeks(user: string, { from, before, peer = "" }: ArchiveRange) {
    const rows = await reads.rows(READ, SELECT_WEEKS, [user, peer], IDS_PAGE);
    const [first, last] = [boundMs(from) ?? 0, boundMs(before) ?? Number.POSITIVE_INFINITY];
    return rows
      .map(({ week }) => Number(week))
      .filter((week) => week >= weekOf(first) && week <= weekOf(last))
      .sort((one, other) => one - other);
  }

  async function some(user: string, week: number, ids: readonly string[]) {
    if (ids.length === 0) return [];
    const rows = await reads.rows(READ, SELECT_SOME, [user, week, ids], ids.length);
    return rows.map(decodeMessage);
  }

  async function pageOfPeer(
    user: string,
    week: number,
    { from, before, peer, resource }: ArchiveRange,
    limit: number,
    end: ArchiveEnd,
  ): Promise<readonly ArchivedMessage[]> {
    const statement = end === "first" ? SELECT_FIRST_OF_PEER : SELECT_LAST_OF_PEER;
    const found: ArchivedMessage[] = [];
    const values = [user, peer, week, from, before];
    for await (const rows of reads.pages(READ, statement, values, Math.min(limit, IDS_PAGE))) {
      const ids = rows
        .filter((row) => resource === undefined || row.resource === resource)
        .map(({ id }) => String(id));
      const messages = await some(user, week, ids);
      found.push(...(end === "first" ? messages : messages.toReversed()));
      if (found.length >= limit) break;
    }
    return found.slice(0, limit);
  }

  async function pageOfWeek(
    user: string,
    week: number,
    range: ArchiveRange,
    limit: number,
    end: ArchiveEnd,
  ): Promise<readonly ArchivedMessage[]> {
    if (range.peer !== undefined) return pageOfPeer(user, week, range, limit, end);
    const statement = end === "first" ? SELECT_FIRST : SELECT_LAST;
    const values = [user, week, range.from, range.before, limit];
    return (await reads.rows(READ, statement, values, limit)).map(decodeMessage);
  }

  return {
    async add(user, { id, peer, resource, bytes }, keptSeconds) {
      const week = weekOf(timeOf(id) ?? 0);
      const steps = weekSteps(user, peer, week, keptSeconds);
      const what = "archive the message";
      await Promise.all([
        steps.length === 0 ? undefined : writes.writeTogether(what, steps),
        writes.write(what, {
          statement: INSERT_OF_PEER,
          values: [user, peer, week, id, resource, keptSeconds],
        }),
        writes.write(what, {
          statement: INSERT,
          values: [user, week, id, peer, resource, bytes, keptSeconds],
        }),
      ]);
      if (steps.length > 0) written.set(`${week} ${user} ${peer}`, clock.nowMs());
    },
    async page(user, range, limit, end) {
      if (limit < 1) return [];
      const inOrder = await weeks(user, range);
      const found: ArchivedMessage[] = [];
      for (const week of end === "first" ? inOrder : inOrder.toReversed()) {
        found.push(...(await pageOfWeek(user, week, range, limit - found.length, end)));
        if (found.length >= limit) break;
      }
      return end === "first" ? found : found.reverse();
    },
    async get(user, ids) {
      const byWeek = new Map<number, string[]>();
      for (const id of new Set(ids)) {
        const ms = timeOf(id);
        if (ms === undefined) continue;
        const week = weekOf(ms);
        byWeek.set(week, [...(byWeek.get(week) ?? []), id]);
      }
      const found = await Promise.all([...byWeek].map(([week, some_]) => some(user, week, some_)));
      return found.flat().sort((one, other) => (one.id < other.id ? -1 : 1));
    },
    async ids(user, fromMs, untilMs, limit) {
      const found: string[] = [];
      const bounds = [idFrom(fromMs), idFrom(untilMs)];
      // Not by archive_weeks, which may lack a week that a message was just put into.
      for (let week = weekOf(fromMs); week <= weekOf(untilMs) && found.length < limit; week += 1) {
        const values = [user, week, ...bounds, limit - found.length];
        // Part of a write, so by the budget of those.
        const rows = await writes.rows(READ, SELECT_IDS, values, IDS_PAGE);
        found.push(...rows.map(({ id }) => String(id)));
      }
      return found;
    },
    async remove(user, peer, ids) {
      const what = "remove from the archive";
      const steps = ids.flatMap((id) => {
        const week = weekOf(timeOf(id) ?? 0);
        return [
          { statement: DELETE, values: [user, week, id] },
          { statement: DELETE_OF_PEER, values: [user, peer, week, id] },
        ];
      });
      // Later than any write by a clock that is ahead, and than who writes it once more without knowing.
      const stampUs = (clock.nowMs() + CLOCKS_APART_MS) * 1_000;
      await Promise.all(steps.map((step) => writes.write(what, step, { stampUs })));
    },
    // Rows expire by themselves.
    sweep: () => Promise.resolve(),
  };
}

/** Removes all archived messages of a user. */
export async function deleteArchive(pool: Pool, user: string): Promise<void> {
  const what = "delete the archive";
  const rows = await pool.rows(what, SELECT_ALL_WEEKS, [user]);
  const steps = rows.map(({ peer, week }) =>
    peer === ""
      ? { statement: DELETE_WEEK, values: [user, week] }
      : { statement: DELETE_WEEK_OF_PEER, values: [user, peer, week] },
  );
  for (let start = 0; start < steps.length; start += DELETIONS_AT_ONCE) {
    const some = steps.slice(start, start + DELETIONS_AT_ONCE);
    await Promise.all(some.map((step) => pool.write(what, step)));
  }
  await pool.write(what, { statement: DELETE_WEEKS, values: [user] });
}

function decodeMessage({ id, peer, resource, bytes }: Row): ArchivedMessage {
  if (typeof id !== "string" || typeof peer !== "string" || !Buffer.isBuffer(bytes)) {
    throw new Unavailable("store-corrupt", "Cannot read the archive: a row lacks a column");
  }
  return { id, peer, resource: typeof resource === "string" ? resource : "", bytes };
}
