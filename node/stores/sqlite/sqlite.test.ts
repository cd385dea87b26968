import type { ChildProcess } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { ConfigError, Unavailable } from "../../base/errors.ts";
import { archiveId, END_ID, FIRST_ID } from "../archive-id.ts";
import { storesContract } from "../contract.suite.ts";
import type { Stores } from "../contract.ts";
import { refusal, someCredentials, someMessage, someUser } from "../data.suite.ts";
import { openSqliteStores } from "./sqlite.ts";

let directory = "";
beforeAll(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "zonda-sqlite-"));
});
afterAll(async () => {
  await rm(directory, { recursive: true, force: true });
});

const fresh = () => mkdtemp(path.join(directory, "store-"));
const fileIn = (folder: string) => path.join(folder, "zonda.db");

describe("the SQLite engine", () => storesContract(() => openSqliteStores({ directory })));

/** Runs `sql` on the file behind the engine's back. */
function meddle(folder: string, sql: string): void {
  const database = new DatabaseSync(fileIn(folder), { timeout: 2_000 });
  database.exec(sql);
  database.close();
}

function versionOf(folder: string): number {
  const database = new DatabaseSync(fileIn(folder));
  const version = Number(database.prepare("PRAGMA user_version").get()?.user_version);
  database.close();
  return version;
}

describe("a SQLite file", () => {
  test("keeps its data when it is closed and opened again", async () => {
    const folder = await fresh();
    const user = someUser();
    const credentials = someCredentials();
    let version = "";
    {
      await using stores = await openSqliteStores({ directory: folder });
      await stores.accounts.create(user, credentials);
      version = await stores.rosters.update(user, "a@example.org", { listed: true });
      await stores.offline.add(user, someMessage(1), 10);
    }
    await using stores = await openSqliteStores({ directory: folder });
    expect(await stores.accounts.credentials(user)).toEqual(credentials);
    expect((await stores.rosters.load(user)).version).toBe(version);
    expect(await stores.offline.list(user, 10)).toEqual([someMessage(1)]);
  });

  test("loses archived messages when they are too old, and no others", async () => {
    await using stores = await openSqliteStores({ directory: await fresh() });
    const [user, other] = [someUser(), someUser()];
    const at = (ms: number) => ({
      id: archiveId(ms, 0, "test"),
      peer: "a@example.org",
      resource: "",
      bytes: Buffer.from("message"),
    });
    for (let ms = 1; ms <= 1_200; ms += 1) void stores.archive.add(user, at(ms), 0);
    await stores.archive.add(other, at(5), 0);
    await stores.archive.sweep(1_100);
    const range = { from: FIRST_ID, before: END_ID };
    const left = await stores.archive.page(user, range, 1_000, "first");
    expect(left).toEqual(Array.from({ length: 101 }, (_, index) => at(1_100 + index)));
    expect(await stores.archive.page(other, range, 10, "first")).toEqual([]);
  });

  test("is readable for its owner only, in a directory made with its parents", async () => {
    const folder = path.join(await fresh(), "deep", "data");
    await using stores = await openSqliteStores({ directory: folder });
    await stores.accounts.create(someUser(), someCredentials());
    for (const name of ["zonda.db", "zonda.db-wal"]) {
      expect((await stat(path.join(folder, name))).mode & 0o777, name).toBe(0o600);
    }
    expect((await stat(folder)).mode & 0o777).toBe(0o700);
  });

  test("is in write-ahead mode, so readers and a writer do not wait for each other", async () => {
    const folder = await fresh();
    await using stores = await openSqliteStores({ directory: folder });
    await stores.ping();
    const database = new DatabaseSync(fileIn(folder));
    expect(database.prepare("PRAGMA journal_mode").get()).toEqual({ journal_mode: "wal" });
    database.close();
  });

  test("with a newer schema is refused with both versions in the message", async () => {
    const folder = await fresh();
    await (await openSqliteStores({ directory: folder }))[Symbol.asyncDispose]();
    meddle(folder, "PRAGMA user_version = 999");
    const error = await refusal(openSqliteStores({ directory: folder }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toMatch(/schema has version 999, this Zonda knows up to \d+/);
  });

  test("with a newer schema that says it is compatible is used and left as it is", async () => {
    const folder = await fresh();
    await (await openSqliteStores({ directory: folder }))[Symbol.asyncDispose]();
    const known = versionOf(folder);
    meddle(
      folder,
      `PRAGMA user_version = ${known + 2}; CREATE TABLE of_the_future (user TEXT) STRICT;` +
        `INSERT INTO schema_compatibility VALUES (${known + 1}, 1), (${known + 2}, ${known})`,
    );
    const user = someUser();
    {
      await using stores = await openSqliteStores({ directory: folder });
      expect(await stores.accounts.create(user, someCredentials())).toBe(true);
    }
    expect(versionOf(folder)).toBe(known + 2);
  });

  test("with newer schemas of which one is not compatible is refused", async () => {
    const folder = await fresh();
    await (await openSqliteStores({ directory: folder }))[Symbol.asyncDispose]();
    const known = versionOf(folder);
    meddle(
      folder,
      `PRAGMA user_version = ${known + 2};` +
        `INSERT INTO schema_compatibility VALUES (${known + 1}, ${known + 1}), (${known + 2}, ${known})`,
    );
    const error = await refusal(openSqliteStores({ directory: folder }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toContain(`knows up to ${known} and must know ${known + 1}`);
  });

  test("that is not SQLite's is refused and left alone", async () => {
    const folder = await fresh();
    await writeFile(fileIn(folder), "These are my tax records.".repeat(100));
    const error = await refusal(openSqliteStores({ directory: folder }));
    expect(error).toBeInstanceOf(ConfigError);
    expect(String(error)).toMatch(/Cannot open the store in .*: file is not a database/);
    expect((await stat(fileIn(folder))).size).toBe(2_500);
  });

  test("in a place where no directory can be is refused", async () => {
    const file = path.join(await fresh(), "file");
    await writeFile(file, "");
    await chmod(file, 0o400);
    const error = await refusal(openSqliteStores({ directory: path.join(file, "data") }));
    expect(error).toBeInstanceOf(ConfigError);
  });

  test("opened ten times at once while it is new gets its schema once", async () => {
    const folder = await fresh();
    const opened = await Promise.all(
      Array.from({ length: 10 }, () => openSqliteStores({ directory: folder })),
    );
    const user = someUser();
    expect(await opened[0]?.accounts.create(user, someCredentials())).toBe(true);
    expect(await opened[9]?.accounts.exists(user)).toBe(true);
    for (const stores of opened) await stores[Symbol.asyncDispose]();
  });
});

describe("a corrupt row", () => {
  const expectCorrupt = async (work: Promise<unknown>) => {
    const error = await refusal(work);
    expect(error).toBeInstanceOf(Unavailable);
    expect(error).toMatchObject({ code: "store-corrupt" });
    return String(error);
  };

  test("of credentials makes that user unavailable, without its value in the message", async () => {
    const folder = await fresh();
    await using stores = await openSqliteStores({ directory: folder });
    const [user, other] = [someUser(), someUser()];
    await stores.accounts.create(user, someCredentials());
    await stores.accounts.create(other, someCredentials());
    const bad = ["", "secret{", "null", "[]", "{}", '{"SCRAM-SHA-1":{}}', '{"SCRAM-SHA-1":7}'];
    for (const value of bad) {
      meddle(folder, `UPDATE accounts SET credentials = '${value}' WHERE user = '${user}'`);
      expect(await expectCorrupt(stores.accounts.credentials(user))).not.toContain("secret");
    }
    expect(await stores.accounts.exists(user)).toBe(true);
    expect(await stores.accounts.credentials(other)).toBeDefined();
    expect(await stores.accounts.setCredentials(user, someCredentials())).toBe(true);
    expect(await stores.accounts.credentials(user)).toBeDefined();
  });

  test("of a roster makes that roster unavailable and no other write of its group", async () => {
    const folder = await fresh();
    await using stores = await openSqliteStores({ directory: folder });
    const [user, other] = [someUser(), someUser()];
    await stores.rosters.update(user, "a@example.org", { listed: true });
    for (const groups of ["[", "{}", "[1]"]) {
      meddle(folder, `UPDATE rosters SET contact_groups = '${groups}' WHERE user = '${user}'`);
      await expectCorrupt(stores.rosters.load(user));
      await expectCorrupt(stores.rosters.item(user, "a@example.org"));
      // Both writes are in one group commit.
      const bad = expectCorrupt(stores.rosters.update(user, "a@example.org", { listed: true }));
      const good = stores.rosters.update(other, "b@example.org", { listed: true });
      await bad;
      expect(await good).toBe((await stores.rosters.load(other)).version);
    }
  });
});

describe("a roster in SQLite", () => {
  test("is gone from memory, too, when its account is deleted", async () => {
    await using stores = await openSqliteStores({ directory: await fresh() });
    const user = someUser();
    await stores.accounts.create(user, someCredentials());
    await stores.rosters.update(user, "a@example.org", { listed: true });
    expect((await stores.rosters.load(user)).items).toHaveLength(1);
    await stores.accounts.delete(user);
    expect(await stores.rosters.load(user)).toEqual({ version: "", items: [] });
  });

  test("has a new version when an item is no longer listed", async () => {
    await using stores = await openSqliteStores({ directory: await fresh() });
    const { rosters } = stores;
    const user = someUser();
    const versions = [
      await rosters.update(user, "a@example.org", { listed: true }),
      await rosters.update(user, "b@example.org", { listed: true }),
      await rosters.update(user, "b@example.org", { listed: false }),
    ];
    expect(new Set(versions).size).toBe(versions.length);
    expect((await rosters.load(user)).version).toBe(versions.at(-1));
  });
});

describe("a closed or overloaded SQLite store", () => {
  test("commits what was waiting when it is closed, and refuses what comes later", async () => {
    const folder = await fresh();
    const user = someUser();
    const stores = await openSqliteStores({ directory: folder });
    const added = Promise.all(
      Array.from({ length: 600 }, (_, index) => stores.offline.add(user, someMessage(index), 1e4)),
    );
    await stores[Symbol.asyncDispose]();
    expect((await added).every(Boolean)).toBe(true);
    await stores[Symbol.asyncDispose](); // Closing again does nothing.
    for (const work of [
      stores.ping(),
      stores.offline.list(user, 1),
      stores.offline.add(user, someMessage(1), 10),
    ]) {
      expect(await refusal(work)).toMatchObject({ code: "store-unavailable" });
    }
    await using again = await openSqliteStores({ directory: folder });
    expect(await again.offline.list(user, 1_000)).toHaveLength(600);
  });

  test("refuses writes beyond the bound with store-overload and keeps the others", async () => {
    await using stores = await openSqliteStores({ directory: await fresh() });
    const user = someUser();
    const results = await Promise.allSettled(
      Array.from({ length: 10_005 }, () => stores.offline.add(user, someMessage(1), 10)),
    );
    const refused = results.filter((result) => result.status === "rejected");
    expect(refused).toHaveLength(5);
    expect(refused[0]?.reason).toMatchObject({ code: "store-overload" });
    expect(await stores.offline.list(user, 10)).toHaveLength(1);
  });

  test("waits for another process's lock, then answers store-timeout, then works again", async () => {
    const folder = await fresh();
    await using stores = await openSqliteStores({ directory: folder });
    const user = someUser();
    const locker = new DatabaseSync(fileIn(folder));
    locker.exec("BEGIN IMMEDIATE");
    const error = await refusal(stores.accounts.create(user, someCredentials()));
    expect(error).toMatchObject({ code: "store-timeout" });
    expect(await stores.accounts.exists(user)).toBe(false); // Readers are not held up.
    locker.exec("ROLLBACK");
    locker.close();
    expect(await stores.accounts.create(user, someCredentials())).toBe(true);
  });

  test("tells its observer of each call, how long it took and whether it failed", async () => {
    const told: [string, boolean][] = [];
    const stores = await openSqliteStores({
      directory: await fresh(),
      observe: (operation, durationMs, failed) => {
        expect(durationMs).toBeGreaterThanOrEqual(0);
        told.push([operation, failed]);
      },
    });
    const user = someUser();
    await exerciseEverything(stores, user);
    await stores[Symbol.asyncDispose]();
    await refusal(stores.ping());
    expect(told).toEqual([
      ["accounts.create", false],
      ["accounts.credentials", false],
      ["accounts.exists", false],
      ["accounts.setCredentials", false],
      ["rosters.update", false],
      ["rosters.load", false],
      ["rosters.item", false],
      ["rosters.remove", false],
      ["offline.add", false],
      ["offline.list", false],
      ["offline.remove", false],
      ["accounts.delete", false],
      ["ping", false],
      ["ping", true],
    ]);
  });
});

async function exerciseEverything(stores: Stores, user: string): Promise<void> {
  await stores.accounts.create(user, someCredentials());
  await stores.accounts.credentials(user);
  await stores.accounts.exists(user);
  await stores.accounts.setCredentials(user, someCredentials());
  await stores.rosters.update(user, "a@example.org", { listed: true });
  await stores.rosters.load(user);
  await stores.rosters.item(user, "a@example.org");
  await stores.rosters.remove(user, "a@example.org");
  await stores.offline.add(user, someMessage(1), 10);
  await stores.offline.list(user, 10);
  await stores.offline.remove(user, []);
  await stores.accounts.delete(user);
  await stores.ping();
}

describe("processes that share a SQLite directory", () => {
  const fixture = path.join(import.meta.dirname, "writer.fixture.ts");

  /** Starts a writer; `ids` grows with what its store has accepted. */
  function startWriter(folder: string, user: string) {
    const child: ChildProcess = spawn(process.execPath, [fixture, folder, user], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const ids: string[] = [];
    const enough = new Promise<void>((resolve) => {
      if (child.stdout === null) throw new Error("The writer has no output");
      createInterface({ input: child.stdout }).on("line", (line) => {
        ids.push(line);
        if (ids.length === 300) resolve();
      });
    });
    return { child, ids, enough, closed: once(child, "close") };
  }

  async function kill({ child, closed }: ReturnType<typeof startWriter>): Promise<void> {
    child.kill("SIGKILL");
    await closed;
  }

  test("find every write that a killed process was told is stored", async () => {
    const folder = await fresh();
    const user = someUser();
    const writer = startWriter(folder, user);
    await writer.enough;
    await kill(writer);
    await using stores = await openSqliteStores({ directory: folder });
    const stored = new Set((await stores.offline.list(user, 1_000_000)).map(({ id }) => id));
    expect(writer.ids.length).toBeGreaterThanOrEqual(300);
    expect(writer.ids.filter((id) => !stored.has(id))).toEqual([]);
  });

  test("may write at the same time, and both see all of it", async () => {
    const folder = await fresh();
    const user = someUser();
    const writer = startWriter(folder, user);
    await writer.enough;
    await using stores = await openSqliteStores({ directory: folder });
    const other = someUser();
    expect(await stores.accounts.create(other, someCredentials())).toBe(true);
    for (let index = 0; index < 20; index += 1) {
      await stores.offline.add(other, someMessage(index), 100);
    }
    await kill(writer);
    expect(await stores.offline.list(other, 100)).toHaveLength(20);
    const stored = new Set((await stores.offline.list(user, 1_000_000)).map(({ id }) => id));
    expect(writer.ids.filter((id) => !stored.has(id))).toEqual([]);
  });
});
