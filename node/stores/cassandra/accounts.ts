/**
 * Accounts in Cassandra. An account's row is written by lightweight transactions alone: creation
 * must be exact, and Cassandra does not order plain writes against conditional ones, so a plain
 * deletion could undo the next creation. All of them are rare; logging in is one plain read.
 */
import { hash } from "node:crypto";
import type { Clock } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import type { Accounts } from "../contract.ts";
import {
  decodeCredentials,
  encodeCredentials,
  isDisabled,
  usableCredentials,
} from "../credentials.ts";
import { deleteArchive } from "./archive.ts";
import { deleteDocuments } from "./documents.ts";
import { deleteMessages } from "./offline.ts";
import type { Pool } from "./pool.ts";
import { conditional, repeatable } from "./pool.ts";
import { deletePubsub } from "./pubsub.ts";
import { deleteRoster } from "./rosters.ts";
import { clearTokens } from "./tokens.ts";

const INSERT = conditional("INSERT INTO accounts (user, credentials) VALUES (?, ?) IF NOT EXISTS");
const SELECT = repeatable("SELECT credentials FROM accounts WHERE user = ?");
const REPLACE = conditional(
  "UPDATE accounts SET credentials = ? WHERE user = ? IF credentials = ?",
);
const DELETE = conditional("DELETE FROM accounts WHERE user = ? IF EXISTS");

const INSERT_NAME = repeatable(
  "INSERT INTO accounts_by_domain (domain, bucket, user) VALUES (?, ?, ?)",
);
const SELECT_NAMES = repeatable(
  "SELECT user FROM accounts_by_domain WHERE domain = ? AND bucket = ?",
);
const DELETE_NAME = repeatable(
  "DELETE FROM accounts_by_domain WHERE domain = ? AND bucket = ? AND user = ?",
);

/** Part of the schema: another number is another place for every name, and needs a migration. */
const BUCKETS = 64;
const NAMES_AT_ONCE = 32;
const REPLACE_TURNS = 10;

/** @param deliveries for what must not wait behind logins: whether there is somebody to deliver to */
export function cassandraAccounts(pool: Pool, deliveries: Pool, clock: Clock): Accounts {
  async function read(user: string, within = pool) {
    return within.row("read the account", SELECT, [user]);
  }

  /** Puts what `next` makes of the stored text in its place; false when there is no account. */
  async function replace(
    user: string,
    what: string,
    next: (stored: unknown) => string,
  ): Promise<boolean> {
    for (let turn = 0; turn < REPLACE_TURNS; turn += 1) {
      const row = await read(user);
      if (row === null) return false;
      const values = [next(row.credentials), user, row.credentials];
      if (await pool.writeIf(what, { statement: REPLACE, values })) return true;
      // Somebody else was faster: what he wrote must not be undone.
    }
    throw new Unavailable("store-overload", `Cannot ${what}: it is being changed all the time`);
  }

  /** The names that still have an account: a creation that failed half-way leaves its name. */
  async function existing(users: readonly string[]): Promise<readonly string[]> {
    const rows = await Promise.all(users.map((user) => read(user)));
    return users.filter((_, index) => rows[index] !== null);
  }

  async function* list(domain: string): AsyncIterable<string> {
    for (let bucket = 0; bucket < BUCKETS; bucket += 1) {
      const pages = pool.pages("list accounts", SELECT_NAMES, [domain, bucket], NAMES_AT_ONCE);
      for await (const page of pages) yield* await existing(page.map(({ user }) => String(user)));
    }
  }

  return {
    async create(user, credentials) {
      // The name first: a crash in between leaves a name that list() passes over, not an account
      // that no list shows.
      await pool.write("create the account", { statement: INSERT_NAME, values: nameKey(user) });
      const values = [user, encodeCredentials(credentials)];
      return pool.writeIf("create the account", { statement: INSERT, values });
    },
    async credentials(user) {
      const row = await read(user);
      return row === null ? undefined : usableCredentials(row.credentials);
    },
    async exists(user) {
      return (await read(user, deliveries)) !== null;
    },
    async setCredentials(user, credentials) {
      const isDone = await replace(user, "change the password", (stored) =>
        encodeCredentials(credentials, isDisabled(stored)),
      );
      // Afterwards, so that a token given for the old password meanwhile goes too.
      if (isDone) await clearTokens(pool, clock, user);
      return isDone;
    },
    addKeys(user, known, credentials) {
      const values = [encodeCredentials(credentials), user, encodeCredentials(known)];
      return pool.writeIf("add keys to the account", { statement: REPLACE, values });
    },
    async setDisabled(user, disabled) {
      const isDone = await replace(user, "disable the account", (stored) =>
        encodeCredentials(decodeCredentials(stored), disabled),
      );
      if (isDone && disabled) await clearTokens(pool, clock, user);
      return isDone;
    },
    async delete(user) {
      // The account last: a deletion that fails half-way can be repeated.
      await Promise.all([
        deleteRoster(pool, clock, user),
        deleteMessages(pool, user),
        deleteArchive(pool, user),
        deleteDocuments(pool, user),
        deletePubsub(pool, clock, user),
        clearTokens(pool, clock, user),
      ]);
      await pool.write("delete the account", { statement: DELETE_NAME, values: nameKey(user) });
      return pool.writeIf("delete the account", { statement: DELETE, values: [user] });
    },
    list,
  };
}

/** Where a name is in accounts_by_domain: domain, bucket, user. */
function nameKey(user: string): readonly [string, number, string] {
  const bucket = hash("sha256", user, "buffer").readUInt32BE(0) % BUCKETS;
  return [user.slice(user.indexOf("@") + 1), bucket, user];
}
