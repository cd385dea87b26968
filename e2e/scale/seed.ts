/**
 * Fills the store of a cluster as an import would: each user's roster is one batch of one
 * partition, with the columns and the statement that node/stores/cassandra/rosters.ts writes.
 */

import { Unavailable } from "../../node/base/errors.ts";
import { openCassandraStores } from "../../node/stores/cassandra/cassandra.ts";
import type { Step } from "../../node/stores/cassandra/pool.ts";
import { Pool, repeatable } from "../../node/stores/cassandra/pool.ts";
import { encodeCredentials } from "../../node/stores/credentials.ts";
import type { PeerAccount } from "../harness/peers/contract.ts";
import { DOMAIN } from "../harness/peers/contract.ts";
import { CREDENTIALS } from "../harness/peers/keys.ts";
import { progress } from "../harness/progress.ts";

const UPDATE = repeatable(
  "UPDATE rosters SET name = ?, contact_groups = ?, sub_to = ?, sub_from = ?, listed = ?, " +
    "changed_us = ? WHERE user = ? AND contact = ?",
);
const INSERT = repeatable("INSERT INTO accounts (user, credentials) VALUES (?, ?)");

const IN_FLIGHT = 32;
const ATTEMPTS_MAX = 10;
/** A batch of this many rows stays below the size that Cassandra warns of. */
const BATCH_ROWS = 50;
const PASSWORD_KEYS = encodeCredentials(CREDENTIALS);

interface Place {
  readonly cqlPort: number;
  readonly datacenter: string;
}

/** How the stores of the cluster are opened; its nodes' settings say the same. */
export const storeOptions = ({ cqlPort, datacenter }: Place) => ({
  contactPoints: [`127.0.0.1:${cqlPort}`],
  localDatacenter: datacenter,
  keyspace: "zonda",
  replicationFactor: 1,
  requestTimeoutMs: 30_000, // Compaction may take its time: nobody waits for an import.
});

const stepsOf = ({ name, contacts }: PeerAccount): readonly Step[] =>
  contacts.map((contact) => ({
    statement: UPDATE,
    values: [
      ...[contact, ["friends"], true, true, true, 1_700_000_000_000_000n],
      ...[`${name}@${DOMAIN}`, `${contact}@${DOMAIN}`],
    ],
  }));

/** Once more while the store is busy: every write here may be repeated. */
async function persistently(write: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof Unavailable) || attempt === ATTEMPTS_MAX) throw error;
    }
  }
}

async function store(pool: Pool, account: PeerAccount, withAccount: boolean): Promise<void> {
  const steps = stepsOf(account);
  const writes: Promise<void>[] = [];
  for (let at = 0; at < steps.length; at += BATCH_ROWS) {
    writes.push(pool.writeTogether("import a roster", steps.slice(at, at + BATCH_ROWS)));
  }
  if (withAccount) {
    const values = [`${account.name}@${DOMAIN}`, PASSWORD_KEYS];
    writes.push(pool.write("import an account", { statement: INSERT, values }));
  }
  await Promise.all(writes);
}

/**
 * @param isUser whether an account with that name can log in; everybody if left out
 * @returns how long it took
 */
export async function seed(
  place: Place,
  accounts: Iterable<PeerAccount>,
  isUser: (name: string) => boolean = () => true,
): Promise<number> {
  const options = storeOptions(place);
  await using _ = await openCassandraStores(options); // Makes the tables.
  const pool = await Pool.connect(options, options.keyspace);
  let stored = 0;
  const done = progress("accounts and rosters", () => `${stored} users`);
  const startedMs = performance.now();
  const queue = accounts[Symbol.iterator]();
  const lane = async () => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      const account = next.value;
      await persistently(() => store(pool, account, isUser(account.name)));
      stored += 1;
    }
  };
  try {
    await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  } finally {
    done();
    await pool.close();
  }
  return (performance.now() - startedMs) / 1_000;
}
