import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { refusal } from "../data.suite.ts";
import type { Connection } from "./connection.ts";
import { openConnection } from "./connection.ts";

const INSERT = "INSERT INTO accounts (user, domain, credentials) VALUES (?, 'example.org', '{}')";

let directory = "";
let connection: Connection;
beforeEach(async () => {
  directory = await mkdtemp(path.join(tmpdir(), "zonda-sqlite-"));
  connection = await openConnection(directory);
});
afterEach(async () => {
  connection.close();
  await rm(directory, { recursive: true, force: true });
});

const users = () =>
  connection
    .prepare("SELECT user FROM accounts ORDER BY user")
    .all()
    .map(({ user }) => user);

describe("reads", () => {
  const read = () => connection.read("read", users);
  const nextTurn = () => new Promise((resolve) => setImmediate(resolve));

  test("of one turn see one state of the file, and those of the next what others have stored", async () => {
    const other = await openConnection(directory);
    expect(read()).toEqual([]);
    other.prepare(INSERT).run("theirs");
    expect(read()).toEqual([]);
    await nextTurn();
    expect(read()).toEqual(["theirs"]);
    other.close();
  });

  test("see what this process has stored, in whatever turn", async () => {
    const insert = connection.prepare(INSERT);
    expect(read()).toEqual([]);
    let seen: unknown;
    await connection.write("write", () => insert.run("ours")).then(() => (seen = read()));
    expect(seen).toEqual(["ours"]);
  });

  test("that fail leave nothing behind", async () => {
    const fail = () => {
      throw new Error("a bug");
    };
    expect(() => connection.read("read", fail)).toThrow("a bug");
    expect(await connection.write("write", () => users())).toEqual([]);
  });
});

describe("a group commit", () => {
  test("undoes all of a write that throws half-way, and nothing of its neighbours", async () => {
    const insert = connection.prepare(INSERT);
    const bug = new Error("half-way");
    const [first, failure, last] = await Promise.all([
      connection.write("write", () => insert.run("first").changes),
      refusal(
        connection.write("write", () => {
          insert.run("undone");
          throw bug;
        }),
      ),
      connection.write("write", () => insert.run("last").changes),
    ]);
    expect([first, failure, last]).toEqual([1, bug, 1]);
    expect(users()).toEqual(["first", "last"]);
  });

  test("refuses a write that breaks a constraint as unavailable, with its cause", async () => {
    const insert = connection.prepare(INSERT);
    await connection.write("write", () => insert.run("one"));
    const failure = await refusal(connection.write("store it", () => insert.run("one")));
    expect(failure).toMatchObject({ name: "Unavailable", code: "store-unavailable" });
    expect(String(failure)).toMatch(/Cannot store it: UNIQUE constraint failed/);
  });

  test("rejects every write of a group that could not be committed", async () => {
    const insert = connection.prepare(INSERT);
    const failures = await Promise.all([
      refusal(connection.write("write", () => insert.run("one"))),
      refusal(
        connection.write("write", () => {
          connection.prepare("ROLLBACK").run(); // As SQLite does by itself on a full disk.
          connection.prepare("COMMIT").run();
        }),
      ),
      refusal(connection.write("write", () => insert.run("two"))),
    ]);
    for (const failure of failures) expect(failure).toMatchObject({ name: "Unavailable" });
    expect(users()).toEqual([]);
    await connection.write("write", () => insert.run("after"));
    expect(users()).toEqual(["after"]);
  });
});
