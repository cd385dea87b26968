/** Seed C: very many rosters in a real Cassandra, and how long one takes to read, warm and cold. */
import { readdir, stat } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Client } from "cassandra-driver";
import { openCassandraStores } from "../../node/stores/cassandra/cassandra.ts";
import type { Stores } from "../../node/stores/contract.ts";
import { cpuMs, machineTicks } from "../bench/usage.ts";
import type { Cassandra } from "../harness/cassandra.ts";
import { startCassandra } from "../harness/cassandra.ts";
import { DOMAIN } from "../harness/peers/contract.ts";
import { progress } from "../harness/progress.ts";
import { run } from "../harness/run.ts";
import { scratch } from "../harness/scratch.ts";
import type { Figures } from "./figures.ts";
import type { Crowd } from "./people.ts";
import { contactsOf, crowd } from "./people.ts";
import { seed, storeOptions } from "./seed.ts";

export interface RosterSettings extends Crowd {
  readonly reads: number;
  /** Keeps the data there, and takes it as it is if it is there. */
  readonly data: string | undefined;
}

export const HEAP_MB = 2_048;
const PARTS = [0.5, 0.99, 0.999];
const REST_MS = 5_000;
const COMPACTION_MS = 900_000;
const POLL_MS = 2_000;

/** The files of a table; empty when there is no such table. */
export async function filesOf(dir: string, table: string): Promise<readonly string[]> {
  const keyspace = path.join(dir, "data", "zonda");
  const names = await readdir(keyspace).catch(() => []);
  const folders = names.filter((name) => name.startsWith(`${table}-`));
  const found = folders.map(async (folder) => {
    const place = path.join(keyspace, folder);
    return (await readdir(place)).map((name) => path.join(place, name));
  });
  const files = (await Promise.all(found)).flat();
  return files.filter((file) => /\.(db|crc32|txt)$/.test(file));
}

export async function bytesOf(dir: string, table: string): Promise<number> {
  const sizes = (await filesOf(dir, table)).map(async (file) => (await stat(file)).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}

/** Makes the machine forget what it remembers of the files, and of nothing else. */
export async function dropFromMemory(files: readonly string[]): Promise<void> {
  for (const file of files) {
    const how = ["oflag=nocache", "conv=notrunc,fdatasync", "count=0", "status=none"];
    await run("dd", ["if=/dev/null", `of=${file}`, ...how]);
  }
}

/** Resolves when nothing is being compacted. */
async function settled({ cqlPort, datacenter }: Cassandra): Promise<void> {
  const contactPoints = [`127.0.0.1:${cqlPort}`];
  const client = new Client({ contactPoints, localDataCenter: datacenter });
  const untilMs = performance.now() + COMPACTION_MS;
  try {
    for (let calm = 0; calm < 3 && performance.now() < untilMs; ) {
      const { rows } = await client.execute("SELECT task_id FROM system_views.sstable_tasks");
      calm = rows.length === 0 ? calm + 1 : 0;
      await sleep(POLL_MS);
    }
  } finally {
    await client.shutdown();
  }
}

/** Reads rosters of users drawn by lot. @returns the times, sorted */
async function read(
  stores: Stores,
  { users, contacts }: Crowd,
  reads: number,
  inFlight: number,
): Promise<Float64Array> {
  const times: number[] = [];
  let left = reads;
  const lane = async () => {
    while (left-- > 0) {
      const user = `u${Math.floor(Math.random() * users)}@${DOMAIN}`;
      const startedMs = performance.now();
      const { items } = await stores.rosters.load(user);
      times.push(performance.now() - startedMs);
      if (items.length !== contacts) {
        throw new Error(`Cannot go on: ${user} has ${items.length} contacts`);
      }
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return Float64Array.from(times).sort();
}

async function readings(cassandra: Cassandra, settings: RosterSettings, figures: Figures) {
  const { reads } = settings;
  await using stores = await openCassandraStores(storeOptions(cassandra));
  const measure = async (column: string, size: number, inFlight: number) => {
    const machine = machineTicks();
    const [server, client] = [cpuMs(cassandra), cpuMs(process)];
    const startedMs = performance.now();
    const times = await read(stores, settings, size, inFlight);
    const seconds = (performance.now() - startedMs) / 1_000;
    const used = cpuMs(cassandra) - server;
    const after = machineTicks();
    // Cassandra is a child of this process, so it is in this figure too.
    const ours = cpuMs(process) - client;
    figures.seeOthers((after.busy - machine.busy - ours / 10) / (after.total - machine.total));
    figures.putTimes("Roster read", column, times, PARTS);
    figures.put("Roster reads, 1/s", column, size / seconds);
    figures.put("Roster read, CPU µs of Cassandra", column, (used * 1_000) / size);
    figures.put("Roster read, CPU µs of the reader", column, ((ours - used) * 1_000) / size);
  };
  await measure("cold: first reads after a restart, 8 at once", reads / 20, 8);
  await measure("then", reads / 4, 8); // The compiler's work, and what of the files is read.
  await measure("warm, 1 at once", reads / 4, 1);
  await measure("warm, 8 at once", reads, 8);
  await measure("warm, 32 at once", reads, 32);
}

/** The store's own way, which reads before it writes. */
async function changes(cassandra: Cassandra, settings: RosterSettings, figures: Figures) {
  await using stores = await openCassandraStores(storeOptions(cassandra));
  const times: number[] = [];
  let left = settings.reads / 10;
  const lane = async () => {
    while (left-- > 0) {
      const at = Math.floor(Math.random() * settings.users);
      const contact = `u${contactsOf(at, settings)[0]}@${DOMAIN}`;
      const startedMs = performance.now();
      await stores.rosters.update(`u${at}@${DOMAIN}`, contact, { name: `${left}` });
      times.push(performance.now() - startedMs);
    }
  };
  await Promise.all(Array.from({ length: 8 }, lane));
  const sorted = Float64Array.from(times).sort();
  figures.putTimes("Roster change", "warm, 8 at once", sorted, PARTS);
}

/** Makes Cassandra's data: the rosters, and nothing else. */
export async function load(
  dir: string,
  { column, ...size }: Crowd & { readonly column: string },
  figures: Figures,
): Promise<void> {
  const { users, contacts } = size;
  const cassandra = await startCassandra({ dir, heapMb: HEAP_MB });
  try {
    const before = cpuMs(cassandra);
    const seconds = await seed(cassandra, crowd(size), () => false);
    const used = cpuMs(cassandra) - before;
    const done = progress("compaction");
    await settled(cassandra);
    done();
    figures.put("Entries loaded, millions", column, (users * contacts) / 1e6);
    figures.put("Load, s", column, seconds);
    figures.put("Users loaded, 1/s", column, users / seconds);
    figures.put("User loaded, CPU µs of Cassandra", column, (used * 1_000) / users);
  } finally {
    await cassandra.stop();
  }
}

export async function rosters(settings: RosterSettings, figures: Figures): Promise<void> {
  const place = await scratch("scale", settings.data);
  try {
    const dir = path.join(place.folder, `rosters-${settings.users}x${settings.contacts}`);
    if ((await filesOf(dir, "rosters")).length === 0)
      await load(dir, { ...settings, column: "load" }, figures);
    const files = await filesOf(dir, "rosters");
    await dropFromMemory(files);
    const cassandra = await startCassandra({ dir, heapMb: HEAP_MB });
    try {
      await sleep(REST_MS);
      await readings(cassandra, settings, figures);
      await changes(cassandra, settings, figures);
    } finally {
      await cassandra.stop();
    }
    figures.put("On disk, bytes a user", "load", (await bytesOf(dir, "rosters")) / settings.users);
  } finally {
    await place.remove();
  }
}
