/**
 * Seed C beside the stores that others use by default: the same users and contacts in Cassandra, in
 * Prosody's files and in ejabberd's Mnesia, each read one at a time by its server's own code.
 */
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { openCassandraStores } from "../../node/stores/cassandra/cassandra.ts";
import { makeCertificate } from "../bench/servers.ts";
import { memoryKib } from "../bench/usage.ts";
import { startCassandra } from "../harness/cassandra.ts";
import { DOMAIN } from "../harness/peers/contract.ts";
import { startEjabberd } from "../harness/peers/ejabberd.ts";
import { rosterFile, runLua } from "../harness/peers/prosody.ts";
import { progress } from "../harness/progress.ts";
import { run } from "../harness/run.ts";
import { scratch } from "../harness/scratch.ts";
import type { Figures } from "./figures.ts";
import type { Crowd } from "./people.ts";
import { crowd } from "./people.ts";
import { bytesOf, dropFromMemory, filesOf, HEAP_MB, load } from "./rosters.ts";
import { storeOptions } from "./seed.ts";

export interface StoreSettings extends Crowd {
  readonly servers: readonly StoreName[];
  /** Warm; a twentieth of it is read before, cold. */
  readonly reads: number;
  /** Keeps Cassandra's and Prosody's data there, and takes it as it is if it is there. */
  readonly data: string | undefined;
}

interface Place extends StoreSettings {
  readonly folder: string;
  readonly figures: Figures;
  /** Drawn by lot: who is read, the cold ones first. */
  readonly names: readonly string[];
  readonly column: string;
  readonly put: (what: string, value: number) => void;
}

/** @returns the times of all reads, ms, in their order */
type Reading = (place: Place) => Promise<readonly number[]>;

const PARTS = [0.5, 0.99, 0.999];
const FILES_AT_ONCE = 64;
const LUA = path.join(import.meta.dirname, "../harness/peers/read_rosters.lua");

const fromNs = (text: string): readonly number[] =>
  text
    .trim()
    .split("\n")
    .map((line) => Number(line) / 1e6);

const seconds = (sinceMs: number): number => (performance.now() - sinceMs) / 1_000;

/** What is kept of a list of names, for programs in other languages. */
async function writeNames({ folder, names }: Place): Promise<string> {
  const file = path.join(folder, "names.txt");
  await writeFile(file, names.join("\n"));
  return file;
}

async function readCassandra(place: Place): Promise<readonly number[]> {
  const { folder, users, contacts, names, figures, put } = place;
  const dir = path.join(folder, `rosters-${users}x${contacts}`);
  if ((await filesOf(dir, "rosters")).length === 0) {
    await load(dir, place, figures);
  }
  await dropFromMemory(await filesOf(dir, "rosters"));
  const startedMs = performance.now();
  const cassandra = await startCassandra({ dir, heapMb: HEAP_MB });
  put("Start with the data, s", seconds(startedMs));
  try {
    await using stores = await openCassandraStores(storeOptions(cassandra));
    const times: number[] = [];
    for (const name of names) {
      const beforeMs = performance.now();
      const { items } = await stores.rosters.load(`${name}@${DOMAIN}`);
      times.push(performance.now() - beforeMs);
      if (items.length !== contacts) throw new Error(`Cannot go on: ${name} has lost contacts`);
    }
    put("Memory, MiB", memoryKib(cassandra) / 1_024);
    put("On disk, bytes a user", (await bytesOf(dir, "rosters")) / users);
    return times;
  } finally {
    await cassandra.stop();
  }
}

async function writeFiles(home: string, size: Crowd, put: Place["put"]): Promise<void> {
  await mkdir(home, { recursive: true });
  const done = progress(`${size.users} files`);
  const startedMs = performance.now();
  const queue = crowd(size);
  const lane = async () => {
    for (let next = queue.next(); !next.done; next = queue.next()) {
      await writeFile(path.join(home, `${next.value.name}.dat`), rosterFile(next.value));
    }
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, lane));
  await run("sync", ["-f", home]);
  put("Load, s", seconds(startedMs));
  done();
}

/** @returns the mean of what a file takes on disk, over those that are read */
async function readFiles(place: Place): Promise<readonly number[]> {
  const { folder, users, contacts, names, put } = place;
  const data = path.join(folder, `prosody-${users}x${contacts}`);
  const home = path.join(data, DOMAIN, "roster");
  const fileOf = (name: string) => path.join(home, `${name}.dat`);
  const last = await stat(fileOf(`u${users - 1}`)).catch(() => undefined);
  if (last === undefined) await writeFiles(home, place, put);
  const files = [...new Set(names)].map(fileOf);
  const taken = await Promise.all(files.map(async (file) => (await stat(file)).blocks * 512));
  put("On disk, bytes a user", taken.reduce((sum, bytes) => sum + bytes, 0) / taken.length);
  await dropFromMemory(files.slice(0, place.reads / 20));
  return fromNs(await runLua(LUA, [data, DOMAIN, await writeNames(place)]));
}

async function readMnesia(place: Place): Promise<readonly number[]> {
  const { put } = place;
  const folder = path.join(place.folder, "ejabberd");
  await mkdir(folder, { recursive: true });
  const options = { folder, archive: false, ...(await makeCertificate(folder)) };
  const startedMs = performance.now();
  const byDefault = { evaluate: "ok = zonda_seed:keep(disc_only_copies)" };
  const first = await startEjabberd({ ...options, accounts: crowd(place) }, byDefault);
  put("Load, s", seconds(startedMs));
  await first.stop();
  const restartedMs = performance.now();
  const loaded = "ok = mnesia:wait_for_tables([roster], infinity)";
  const second = await startEjabberd({ ...options, accounts: [] }, { evaluate: loaded });
  put("Start with the data, s", seconds(restartedMs));
  put("Memory, MiB", memoryKib(second) / 1_024);
  await second.stop();
  // The table and its index by user.
  const tables = ["roster.DAT", "roster_3.DAT"].map((name) => path.join(folder, "spool", name));
  const sizes = await Promise.all(tables.map(async (file) => (await stat(file)).size));
  put("On disk, bytes a user", sizes.reduce((sum, size) => sum + size, 0) / place.users);
  await dropFromMemory(tables);
  const times = path.join(folder, "times.txt");
  const evaluate = `${loaded}, zonda_seed:read("${await writeNames(place)}", <<"${DOMAIN}">>, "${times}")`;
  const third = await startEjabberd({ ...options, accounts: [] }, { evaluate });
  await third.stop();
  return fromNs(await readFile(times, "utf8"));
}

const READINGS = {
  zonda: { title: "zonda: Cassandra", reading: readCassandra },
  ejabberd: { title: "ejabberd: Mnesia", reading: readMnesia },
  prosody: { title: "prosody: files", reading: readFiles },
} satisfies Record<string, { title: string; reading: Reading }>;

export type StoreName = keyof typeof READINGS;

export const STORES = Object.keys(READINGS) as readonly StoreName[];

export async function stores(settings: StoreSettings, figures: Figures): Promise<void> {
  const { users, contacts, reads } = settings;
  const cold = Math.ceil(reads / 20);
  const someone = () => `u${Math.floor(Math.random() * users)}`;
  const names = Array.from({ length: cold + reads }, someone);
  for (const server of settings.servers) {
    const { title, reading } = READINGS[server];
    const column = `${title}, ${users} x ${contacts}`;
    const { folder, remove } = await scratch("stores", settings.data);
    const put = (what: string, value: number) => figures.put(what, column, value);
    try {
      const times = await reading({ ...settings, folder, figures, names, column, put });
      const sorted = (from: number, to: number) => Float64Array.from(times.slice(from, to)).sort();
      figures.putTimes("Roster read, cold", column, sorted(0, cold), PARTS);
      // What is compiled as it runs is compiled in the first half.
      const warm = cold + Math.floor(reads / 2);
      figures.putTimes("Roster read, warm", column, sorted(warm, cold + reads), PARTS);
    } finally {
      await remove();
    }
    await sleep(1_000);
  }
}
