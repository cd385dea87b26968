/** The embedded engine: node:sqlite, one file, one node. */
import type { Clock } from "../../base/clock.ts";
import { systemClock } from "../../base/clock.ts";
import type { Observe, Stores } from "../contract.ts";
import { observedStores } from "../observed.ts";
import { sqliteAccounts } from "./accounts.ts";
import { sqliteArchive } from "./archive.ts";
import { openConnection } from "./connection.ts";
import { sqliteDocuments } from "./documents.ts";
import { sqliteOffline } from "./offline.ts";
import { sqlitePubsub } from "./pubsub.ts";
import { sqliteRosters } from "./rosters.ts";
import { sqliteSecrets } from "./secrets.ts";
import { sqliteTokens } from "./tokens.ts";

export interface SqliteOptions {
  /** Where the file is kept; created when missing. */
  readonly directory: string;
  readonly clock?: Clock;
  readonly observe?: Observe;
}

/**
 * Opens the stores and brings their schema up to date. Another process, such as `zonda user add`,
 * may have the same directory open: writers wait for each other for up to two seconds.
 * @throws ConfigError when the directory cannot be used or its schema is newer than known
 */
export async function openSqliteStores(options: SqliteOptions): Promise<Stores> {
  const { directory, clock = systemClock, observe } = options;
  const connection = await openConnection(directory);
  const ping = connection.prepare("SELECT 1 AS found FROM accounts LIMIT 1");
  const rosters = sqliteRosters(connection, clock);
  const stores: Stores = {
    accounts: sqliteAccounts(connection, clock, rosters),
    rosters,
    offline: sqliteOffline(connection),
    archive: sqliteArchive(connection),
    documents: sqliteDocuments(connection),
    pubsub: sqlitePubsub(connection, clock),
    tokens: sqliteTokens(connection, clock),
    secrets: sqliteSecrets(connection),
    async ping() {
      connection.read("reach the store", () => ping.get());
    },
    async [Symbol.asyncDispose]() {
      connection.close();
    },
  };
  return observe === undefined ? stores : observedStores(stores, observe, clock);
}
