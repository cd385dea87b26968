import { spawn } from "node:child_process";
import { once } from "node:events";
import path from "node:path";
import { text } from "node:stream/consumers";
import { afterAll, describe, expect, test } from "vitest";
import { refusal, someCredentials, someUser } from "../data.suite.ts";
import { openCassandraStores } from "./cassandra.ts";
import { contactPoint, meddle, optionsFor, someKeyspace } from "./test-server.suite.ts";

const keyspaces: string[] = [];
function freshKeyspace(): string {
  const keyspace = someKeyspace();
  keyspaces.push(keyspace);
  return keyspace;
}
afterAll(async () => {
  for (const keyspace of keyspaces) await meddle(`DROP KEYSPACE IF EXISTS ${keyspace}`);
});

const fixture = path.join(import.meta.dirname, "opener.fixture.ts");

/** Runs one node. @returns what it wrote, and how it ended */
async function runNode(keyspace: string, user: string) {
  const child = spawn(process.execPath, [fixture, contactPoint, keyspace, user]);
  const [stdout, stderr, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, "close"),
  ]);
  return { stdout, stderr, code };
}

async function knownVersion(keyspace: string): Promise<number> {
  const rows = await meddle(
    `SELECT version FROM ${keyspace}.schema_migrations WHERE scope = 'zonda'`,
  );
  return Math.max(...rows.map(({ version }) => Number(version)));
}

/** As a version of Zonda to come would leave it. */
const beNewer = (keyspace: string, version: number, compatibleFrom: number) =>
  meddle(
    `INSERT INTO ${keyspace}.schema_migrations (scope, version) VALUES ('zonda', ${version})`,
    `INSERT INTO ${keyspace}.schema_migrations (scope, version) ` +
      `VALUES ('zonda ${version} is compatible from', ${compatibleFrom})`,
  );

describe("a keyspace", () => {
  test("that is new is created and migrated once by three processes at once", async () => {
    const keyspace = freshKeyspace();
    const user = someUser();
    const nodes = await Promise.all([1, 2, 3].map(() => runNode(keyspace, user)));
    for (const node of nodes) expect(node).toEqual({ stdout: "open\n", stderr: "", code: 0 });
    await using stores = await openCassandraStores(optionsFor(keyspace));
    expect((await stores.rosters.load(user)).items).toHaveLength(3);
    const rows = await meddle(
      `SELECT version, lock_owner FROM ${keyspace}.schema_migrations WHERE scope = 'zonda'`,
    );
    expect(rows.length).toBeGreaterThan(0);
    const expected = rows.map((_, index) => ({ version: index + 1, lock_owner: null }));
    expect(rows.map((row) => ({ ...row }))).toEqual(expected);
    const [replication] = await meddle(
      `SELECT replication FROM system_schema.keyspaces WHERE keyspace_name = '${keyspace}'`,
    );
    expect(replication?.replication).toMatchObject({
      class: "org.apache.cassandra.locator.NetworkTopologyStrategy",
      datacenter1: "1",
    });
  });

  test("with a newer schema is refused with both versions in the message", async () => {
    const keyspace = freshKeyspace();
    await (await openCassandraStores(optionsFor(keyspace)))[Symbol.asyncDispose]();
    await meddle(
      `INSERT INTO ${keyspace}.schema_migrations (scope, version) VALUES ('zonda', 999)`,
    );
    const failure = await refusal(openCassandraStores(optionsFor(keyspace)));
    expect(failure).toMatchObject({ name: "ConfigError" });
    expect(String(failure)).toMatch(/schema has version 999, this Zonda knows up to \d+/);
  });

  test("with a newer schema that says it is compatible is used", async () => {
    const keyspace = freshKeyspace();
    await (await openCassandraStores(optionsFor(keyspace)))[Symbol.asyncDispose]();
    const known = await knownVersion(keyspace);
    await beNewer(keyspace, known + 1, 1);
    await beNewer(keyspace, known + 2, known);
    await using stores = await openCassandraStores(optionsFor(keyspace));
    expect(await stores.accounts.create(someUser(), someCredentials())).toBe(true);
  });

  test("with newer schemas of which one is not compatible is refused", async () => {
    const keyspace = freshKeyspace();
    await (await openCassandraStores(optionsFor(keyspace)))[Symbol.asyncDispose]();
    const known = await knownVersion(keyspace);
    await beNewer(keyspace, known + 1, known + 1);
    await beNewer(keyspace, known + 2, known);
    const failure = await refusal(openCassandraStores(optionsFor(keyspace)));
    expect(failure).toMatchObject({ name: "ConfigError" });
    expect(String(failure)).toContain(`knows up to ${known} and must know ${known + 1}`);
  });

  test("whose migrating node died is migrated by the next one, over what is there", async () => {
    const keyspace = freshKeyspace();
    await (await openCassandraStores(optionsFor(keyspace)))[Symbol.asyncDispose]();
    // As if it had died after two tables, its lock expiring two seconds from now.
    await meddle(
      `DROP TABLE ${keyspace}.rosters`,
      `DROP TABLE ${keyspace}.offline`,
      `DELETE FROM ${keyspace}.schema_migrations WHERE scope = 'zonda' AND version > 0`,
      `UPDATE ${keyspace}.schema_migrations USING TTL 2 SET lock_owner = 'dead' ` +
        "WHERE scope = 'zonda' IF lock_owner = null",
    );
    await using stores = await openCassandraStores(optionsFor(keyspace));
    const user = someUser();
    expect(await stores.accounts.create(user, someCredentials())).toBe(true);
    expect((await stores.rosters.load(user)).items).toEqual([]);
  });

  test("that another node does not finish migrating is given up at the deadline", async () => {
    const keyspace = freshKeyspace();
    await (await openCassandraStores(optionsFor(keyspace)))[Symbol.asyncDispose]();
    await meddle(
      `DELETE FROM ${keyspace}.schema_migrations WHERE scope = 'zonda' AND version > 0`,
      `UPDATE ${keyspace}.schema_migrations USING TTL 600 SET lock_owner = 'slow' ` +
        "WHERE scope = 'zonda' IF lock_owner = null",
    );
    const options = { ...optionsFor(keyspace), migrateDeadlineMs: 600 };
    const failure = await refusal(openCassandraStores(options));
    expect(failure).toMatchObject({ name: "Unavailable", code: "store-timeout" });
    expect(String(failure)).toContain("another node has not finished");
  });

  test("with a name that CQL would need quotes for is refused", async () => {
    for (const keyspace of ["", "Zonda", "1zonda", "zonda-test", "a; DROP", "a".repeat(49)]) {
      const failure = await refusal(openCassandraStores(optionsFor(keyspace)));
      expect(failure, keyspace).toMatchObject({ name: "ConfigError" });
    }
  });

  test("in a datacenter that does not exist is refused and not created", async () => {
    const keyspace = freshKeyspace();
    const options = { ...optionsFor(keyspace), localDatacenter: "mars" };
    const failure = await refusal(openCassandraStores(options));
    expect(failure).toMatchObject({ name: "ConfigError" });
    expect(String(failure)).toContain("mars");
    const rows = await meddle(
      `SELECT keyspace_name FROM system_schema.keyspaces WHERE keyspace_name = '${keyspace}'`,
    );
    expect(rows).toEqual([]);
  });
});
