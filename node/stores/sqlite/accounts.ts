/** Accounts in SQLite. */
import type { Clock } from "../../base/clock.ts";
import type { Accounts, Credentials } from "../contract.ts";
import {
  decodeCredentials,
  encodeCredentials,
  isDisabled,
  usableCredentials,
} from "../credentials.ts";
import type { Connection } from "./connection.ts";
import type { SqliteRosters } from "./rosters.ts";
import { tokenClearing } from "./tokens.ts";

const PAGE_ROWS = 500;

export function sqliteAccounts(
  connection: Connection,
  clock: Clock,
  rosters: Pick<SqliteRosters, "forget">,
): Accounts {
  const insert = connection.prepare(
    "INSERT INTO accounts (user, domain, credentials) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
  );
  const select = connection.prepare("SELECT credentials FROM accounts WHERE user = ?");
  const exists = connection.prepare("SELECT 1 FROM accounts WHERE user = ?");
  const update = connection.prepare("UPDATE accounts SET credentials = ? WHERE user = ?");
  const addKeys = connection.prepare(
    "UPDATE accounts SET credentials = ? WHERE user = ? AND credentials = ?",
  );
  const page = connection.prepare(
    `SELECT user FROM accounts WHERE domain = ? AND user > ? ORDER BY user LIMIT ${PAGE_ROWS}`,
  );
  const remove = connection.prepare("DELETE FROM accounts WHERE user = ?");
  const removals = [
    ...["rosters", "roster_removals", "offline", "archive", "documents"].map(
      (table) => `${table} WHERE user`,
    ),
    ...["pubsub_nodes", "pubsub_items"].map((table) => `${table} WHERE owner`),
  ].map((rows) => connection.prepare(`DELETE FROM ${rows} = ?`));

  const clearTokens = tokenClearing(connection, clock);

  async function* list(domain: string): AsyncIterable<string> {
    let last = "";
    for (;;) {
      const after = last;
      const rows = connection.read("list accounts", () => page.all(domain, after));
      for (const row of rows) {
        last = String(row.user);
        yield last;
      }
      if (rows.length < PAGE_ROWS) return;
    }
  }

  return {
    create: (user, credentials) =>
      connection.write("create the account", () => {
        const domain = user.slice(user.indexOf("@") + 1);
        return insert.run(user, domain, encodeCredentials(credentials)).changes > 0;
      }),
    async credentials(user): Promise<Credentials | undefined> {
      return connection.read("read the account", () => {
        const row = select.get(user);
        return row === undefined ? undefined : usableCredentials(row.credentials);
      });
    },
    async exists(user) {
      return connection.read("read the account", () => exists.get(user) !== undefined);
    },
    setCredentials: (user, credentials) =>
      connection.write("change the password", () => {
        const row = select.get(user);
        if (row === undefined) return false;
        clearTokens(user);
        const text = encodeCredentials(credentials, isDisabled(row.credentials));
        return update.run(text, user).changes > 0;
      }),
    setDisabled: (user, disabled) =>
      connection.write("disable the account", () => {
        const row = select.get(user);
        if (row === undefined) return false;
        if (disabled) clearTokens(user);
        const text = encodeCredentials(decodeCredentials(row.credentials), disabled);
        return update.run(text, user).changes > 0;
      }),
    addKeys: (user, known, credentials) =>
      connection.write("add keys to the account", () => {
        const [before, after] = [known, credentials].map((one) => encodeCredentials(one)) as [
          string,
          string,
        ];
        return addKeys.run(after, user, before).changes > 0;
      }),
    delete: (user) =>
      connection.write("delete the account", () => {
        for (const removal of removals) removal.run(user);
        rosters.forget(user);
        clearTokens(user);
        return remove.run(user).changes > 0;
      }),
    list,
  };
}
