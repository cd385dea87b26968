import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test, vi } from "vitest";
import type { Unavailable } from "../../base/errors.ts";
import { FakeClock } from "../../base/fake-clock.ts";
import { archiveId, END_ID, FIRST_ID } from "../archive-id.ts";
import { storesContract } from "../contract.suite.ts";
import type { Stores } from "../contract.ts";
import { all, refusal, someCredentials, someMessage, someToken, someUser } from "../data.suite.ts";
import { openCassandraStores } from "./cassandra.ts";
import { meddle, optionsFor, slowLine, someKeyspace } from "./test-server.suite.ts";

const keyspace = someKeyspace();
afterAll(() => meddle(`DROP KEYSPACE IF EXISTS ${keyspace}`));

describe("the Cassandra engine", () => {
  storesContract(() => openCassandraStores(optionsFor(keyspace)));
});

test("archived messages expire by themselves, unless they are kept for ever", async () => {
  await using stores = await openCassandraStores(optionsFor(keyspace));
  const user = someUser();
  const message = (sequence: number) => ({
    id: archiveId(Date.UTC(2026, 0, 1), sequence, "test"),
    peer: "a@example.org",
    resource: "",
    bytes: Buffer.from("message"),
  });
  await stores.archive.add(user, message(1), 100_000);
  await stores.archive.add(user, message(2), 0);
  await stores.archive.sweep(Date.now());
  const week = Math.floor(Date.UTC(2026, 0, 1) / 604_800_000);
  const rows = await meddle(
    `SELECT TTL(bytes) AS ttl FROM ${keyspace}.archive WHERE user = '${user}' AND week = ${week}`,
  );
  const [kept, forEver] = rows.map(({ ttl }) => ttl as number | null);
  expect(kept).toBeGreaterThan(99_000);
  expect(kept).toBeLessThanOrEqual(100_000);
  expect(forEver).toBeNull();
});

describe("a Cassandra that does not answer", () => {
  const REQUEST_TIMEOUT_MS = 1_200;
  let line: Awaited<ReturnType<typeof slowLine>>;
  let stores: Stores;
  const held = () => ({
    ...optionsFor(keyspace),
    contactPoints: line.contactPoints,
    requestTimeoutMs: REQUEST_TIMEOUT_MS,
  });
  beforeAll(async () => {
    await (await openCassandraStores(optionsFor(keyspace)))[Symbol.asyncDispose](); // Migrates.
    line = await slowLine(0);
  });
  beforeEach(async () => {
    const budgets = { delivery: { inFlightMax: 40, waitingMax: 20 } };
    stores = await recovered(() => openCassandraStores({ ...held(), budgets }));
  });
  afterEach(() => stores[Symbol.asyncDispose]());
  afterAll(() => line[Symbol.asyncDispose]());

  /** What `work` answers once the server does answer in so short a time. */
  const recovered = <T>(work: () => Promise<T>) =>
    vi.waitFor(work, { timeout: 60_000, interval: 100 });

  test("makes every method reject with store-timeout, and work again when it goes on", async () => {
    const user = someUser();
    const failures = await line.whileHeld(() =>
      Promise.all(
        [
          stores.ping(),
          stores.accounts.create(someUser(), someCredentials()),
          stores.accounts.credentials(user),
          stores.accounts.exists(user),
          stores.accounts.setCredentials(user, someCredentials()),
          stores.accounts.setDisabled(user, true),
          stores.accounts.delete(user),
          stores.rosters.load(user),
          stores.rosters.item(user, "a@example.org"),
          stores.rosters.update(user, "a@example.org", { listed: true }),
          stores.rosters.remove(user, "a@example.org"),
          stores.offline.add(user, someMessage(1), 10),
          stores.offline.list(user, 10),
          stores.offline.remove(user, [someMessage(1).id]),
          stores.archive.page(user, { from: FIRST_ID, before: END_ID }, 10, "last"),
          stores.archive.get(user, [archiveId(1, 1, "test")]),
          stores.accounts.addKeys(user, someCredentials(), someCredentials()),
          stores.tokens.list(user),
          stores.tokens.change(user, { remove: [], put: [someToken("phone")] }, 1),
          stores.tokens.clear(user),
          stores.secrets.keep("test", Buffer.from("test")),
          stores.documents.list(user, "private"),
          stores.documents.get(user, "private", "key"),
          stores.documents.change(user, "private", new Map([["key", Buffer.from("value")]])),
          all(stores.accounts.list("shakespeare.example")),
        ].map(refusal),
      ),
    );
    for (const failure of failures) expect(failure).toMatchObject({ code: "store-timeout" });
    expect(await recovered(() => stores.offline.add(user, someMessage(2), 10))).toBe(true);
    const stored = await recovered(() => stores.offline.list(user, 10));
    expect(stored).toContainEqual(someMessage(2));
  });

  test("has at most the bound of calls in flight, some that wait, and refuses the others", async () => {
    const user = someUser();
    const failures = await line.whileHeld(() =>
      Promise.all(Array.from({ length: 100 }, () => refusal(stores.offline.list(user, 1)))),
    );
    const count = (code: string) =>
      failures.filter((failure) => (failure as { code?: string }).code === code).length;
    expect(count("store-timeout")).toBe(40);
    expect(count("store-overload")).toBe(60);
    expect(stores.budgets?.delivery.counts).toMatchObject({ refused: 60, suspensions: 1 });
    const lists = () => Array.from({ length: 40 }, () => stores.offline.list(user, 1));
    const answers = await recovered(() => Promise.all(lists())); // The bound is free again.
    expect(answers).toEqual(Array(40).fill([]));
  });

  test("is not asked for history any more, and asked again by itself", async () => {
    const read = () => stores.archive.get(someUser(), [archiveId(1, 1, "test")]);
    const codes = await line.whileHeld(async () => {
      const first = await Promise.all(Array.from({ length: 10 }, () => refusal(read())));
      return [...first, await refusal(read())].map((failure) => (failure as Unavailable).code);
    });
    expect(codes).toEqual([...Array(10).fill("store-timeout"), "store-suspended"]);
    expect(stores.budgets?.history.counts).toMatchObject({ suspended: 1 });
    expect(await recovered(read)).toEqual([]);
    expect(stores.budgets?.history.counts).toMatchObject({ suspended: 0 });
  });

  test("makes opening reject, too, in bounded time", async () => {
    const failure = await line.whileHeld(() => refusal(openCassandraStores(held())));
    expect(failure).toMatchObject({ name: "Unavailable" });
    await recovered(() => stores.ping());
  });

  test("cannot be reached at all: opening rejects with store-unavailable", async () => {
    const options = { ...optionsFor(keyspace), contactPoints: ["127.0.0.1:1"] };
    const failure = await refusal(openCassandraStores(options));
    expect(failure).toMatchObject({ name: "Unavailable", code: "store-unavailable" });
  });

  test("is not asked any more once the stores are closed", async () => {
    const closed = await openCassandraStores(optionsFor(keyspace));
    await closed[Symbol.asyncDispose]();
    await closed[Symbol.asyncDispose]();
    const failure = await refusal(closed.offline.list(someUser(), 1));
    expect(failure).toMatchObject({ code: "store-unavailable" });
  });
});

test("a Cassandra that is slow for many at once keeps those waiting who ask too much", async () => {
  await (await openCassandraStores(optionsFor(keyspace)))[Symbol.asyncDispose](); // Migrates.
  await using line = await slowLine(100);
  const budgets = { history: { inFlightMax: 2, waitingMax: 200 } };
  const { contactPoints } = line;
  const options = { ...optionsFor(keyspace), contactPoints, budgets };
  await using stores = await openCassandraStores(options);
  let pages = 0;
  const range = { from: FIRST_ID, before: END_ID };
  const history = Promise.all(
    Array.from({ length: 100 }, async () => {
      await stores.archive.page(someUser(), range, 10, "last");
      pages += 1;
    }),
  );
  await stores.accounts.credentials(someUser());
  expect(await stores.offline.add(someUser(), someMessage(1), 10)).toBe(true);
  expect(pages).toBeLessThan(50);
  expect(stores.budgets?.history.counts.inFlight).toBe(2);
  await history;
  expect(pages).toBe(100);
});

describe("Cassandra data that is not as it should be", () => {
  let stores: Stores;
  beforeAll(async () => {
    stores = await openCassandraStores(optionsFor(keyspace));
  });
  afterAll(() => stores[Symbol.asyncDispose]());

  test("makes its user unavailable and nobody else", async () => {
    const [user, other] = [someUser(), someUser()];
    await stores.accounts.create(user, someCredentials());
    await stores.accounts.create(other, someCredentials());
    await stores.offline.add(user, someMessage(1), 10);
    for (const value of ["'secret{'", "'[]'", "'{}'", "null"]) {
      await meddle(
        `UPDATE ${keyspace}.accounts SET credentials = ${value} WHERE user = '${user}' IF EXISTS`,
      );
      const failure = await refusal(stores.accounts.credentials(user));
      expect(failure, value).toMatchObject({ name: "Unavailable", code: "store-corrupt" });
      expect(String(failure)).not.toContain("secret");
    }
    await meddle(
      `UPDATE ${keyspace}.offline SET bytes = null WHERE user = '${user}' AND id = '${someMessage(1).id}'`,
    );
    expect(await refusal(stores.offline.list(user, 10))).toMatchObject({ code: "store-corrupt" });
    expect(await stores.accounts.credentials(other)).toBeDefined();
    await stores.offline.remove(user, [someMessage(1).id]);
    expect(await stores.offline.list(user, 10)).toEqual([]);
  });

  test("of a creation that failed half-way is not listed", async () => {
    const domain = "half-way.example";
    await stores.accounts.create(`whole@${domain}`, someCredentials());
    await stores.accounts.create(`half@${domain}`, someCredentials());
    await meddle(`DELETE FROM ${keyspace}.accounts WHERE user = 'half@${domain}' IF EXISTS`);
    expect(await all(stores.accounts.list(domain))).toEqual([`whole@${domain}`]);
  });

  test("of a deletion that failed half-way is gone when it is repeated", async () => {
    const domain = "repeat.example";
    const user = `user@${domain}`;
    await stores.accounts.create(user, someCredentials());
    await stores.offline.add(user, someMessage(1), 10);
    await meddle(`DELETE FROM ${keyspace}.rosters WHERE user = '${user}'`);
    expect(await stores.accounts.delete(user)).toBe(true);
    expect(await stores.offline.list(user, 10)).toEqual([]);
  });
});

describe("Cassandra under clocks that differ", () => {
  test("a node whose clock is an hour behind still changes and removes what it has read", async () => {
    const now = Date.now();
    await using ahead = await openCassandraStores(optionsFor(keyspace));
    const clock = new FakeClock(now - 3_600_000);
    await using behind = await openCassandraStores({ ...optionsFor(keyspace), clock });
    const user = someUser();
    await ahead.rosters.update(user, "a@example.org", { listed: true, name: "first" });
    await behind.rosters.update(user, "a@example.org", { name: "second" });
    expect(await ahead.rosters.item(user, "a@example.org")).toMatchObject({ name: "second" });
    await behind.rosters.remove(user, "a@example.org");
    expect((await ahead.rosters.load(user)).items).toEqual([]);
    const version = await behind.rosters.update(user, "a@example.org", { listed: true });
    expect((await ahead.rosters.load(user)).version).toBe(version);
    expect((await ahead.rosters.load(user)).items).toHaveLength(1);
  });
});

describe("removing old offline messages from Cassandra", () => {
  test("by ranges takes exactly the named ones, and none that arrives among them later", async () => {
    await using now = await openCassandraStores(optionsFor(keyspace));
    const clock = new FakeClock(Date.now() + 3_600_000);
    await using later = await openCassandraStores({ ...optionsFor(keyspace), clock });
    const user = someUser();
    const messages = Array.from({ length: 300 }, (_, index) => someMessage(index * 2));
    await Promise.all(messages.map((message) => now.offline.add(user, message, 1_000)));
    const kept = messages.filter((_, index) => index % 50 === 49);
    const ids = messages.filter((message) => !kept.includes(message)).map(({ id }) => id);
    const writtenMs = Date.now() + 1;
    await later.offline.remove(user, ids);
    expect(await now.offline.list(user, 1_000)).toEqual(kept);
    // Between two removed ones, and written before the removal, as by a node that was slow.
    const late = someMessage(101);
    await meddle(
      `INSERT INTO ${keyspace}.offline (user, id, received_ms, bytes) VALUES ` +
        `('${user}', '${late.id}', ${late.receivedMs}, 0x${late.bytes.toString("hex")}) ` +
        `USING TIMESTAMP ${writtenMs * 1_000}`,
    );
    const left = [...kept, late].sort((one, other) => (one.id < other.id ? -1 : 1));
    expect(await now.offline.list(user, 1_000)).toEqual(left);
  });
});
