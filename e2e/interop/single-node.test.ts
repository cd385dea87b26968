/** One node on the embedded store, with the administrator's command and clients nobody here wrote. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Client, type Library } from "../clients/client.ts";
import type { NodeProcess } from "../harness/node-process.ts";
import { runCommand, startNodeProcess } from "../harness/node-process.ts";

const PASSWORD = "pässword with spaces";
const MESSAGES = 200;

let data: string;
let node: NodeProcess;

const sets = () => [
  `data=${data}`,
  "c2s.port=0",
  "c2s.host=127.0.0.1",
  "http.port=0",
  "log.format=json",
];
const zonda = (words: readonly string[], input = "") =>
  runCommand([...words, "--set", `data=${data}`], input);

async function login(library: Library, name: string): Promise<Client> {
  const client = await Client.start(library, {
    address: `${name}@localhost`,
    password: PASSWORD,
    hosts: [{ host: "127.0.0.1", port: node.c2s }],
    authority: path.join(data, "tls-authority.crt"),
  });
  await client.untilOnline();
  return client;
}

beforeAll(async () => {
  data = await mkdtemp(path.join(tmpdir(), "zonda-single-"));
  node = await startNodeProcess({ sets: sets() });
  for (const name of ["romeo", "juliet", "mercutio"]) {
    const { code, stderr } = await zonda(["user", "add", `${name}@localhost`], `${PASSWORD}\n`);
    expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  }
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await rm(data, { recursive: true });
});

describe("the command", () => {
  test("lists accounts and refuses a second one of the same name", async () => {
    const { stdout } = await zonda(["user", "list", "localhost"]);
    expect(stdout.trim().split("\n").sort()).toEqual([
      "juliet@localhost",
      "mercutio@localhost",
      "romeo@localhost",
    ]);
    const again = await zonda(["user", "add", "romeo@localhost"], "x\n");
    expect(again).toMatchObject({ code: 1, stderr: expect.stringMatching(/the account exists/) });
  });

  test.each([
    [["user", "add", "romeo@elsewhere"], /elsewhere is not one of the domains/],
    [["user", "add", "nobody@localhost"], /password: it is empty/],
    [["user", "passwd", "ghost@localhost"], /no such account/],
    [["user", "forget", "ghost@localhost"], /no such account/],
    [["user", "delete", "romeo@localhost"], /no terminal; give --yes/],
    [["user"], /no command user; there are: user add, user passwd/],
    [["user", "frobnicate"], /no command user frobnicate/],
    [["user", "ad", "romeo@localhost"], /no command user ad .*; did you mean user add/],
    [["user", "add"], /write it as zonda user add <address>/],
    [["config", "check", "--set", "c2s.prot=1"], /did you mean c2s\.port/],
    [["config", "check", "--set", "web.trustedProxies=10.0.0.0/99"], /is no address or network/],
    [
      ["config", "check", "--set", "c2s.proxied.trustedProxies=everybody"],
      /c2s\.proxied\.trustedProxies: everybody is no address or network/,
    ],
  ])("%j fails and says what to do", async (words, reason) => {
    const { code, stderr } = await zonda(words, words[1] === "passwd" ? "x\n" : "\n");
    expect(code).not.toBe(0);
    expect(stderr).toMatch(reason);
  });

  test("refuses a password that SASLprep refuses, in one line", async () => {
    const { code, stderr } = await zonda(["user", "add", "paris@localhost"], "\u{1F498}\n");
    expect(code).toBe(1);
    expect(stderr).toMatch(/^zonda: Cannot use the password: it has characters .*\n$/);
  });

  test("deletes an account after which nobody can log in to it", async () => {
    await zonda(["user", "add", "tybalt@localhost"], `${PASSWORD}\n`);
    expect((await zonda(["user", "delete", "tybalt@localhost", "--yes"])).code).toBe(0);
    const { stdout } = await zonda(["user", "list", "localhost"]);
    expect(stdout).not.toContain("tybalt");
  });
});

describe("third-party clients", () => {
  test("become contacts over STARTTLS and SCRAM and exchange messages in order", async () => {
    await using romeo = await login("slixmpp", "romeo");
    await using juliet = await login("xmpp.js", "juliet");
    romeo.do({ do: "subscribe", to: juliet.address });
    for (const [one, other] of [
      [romeo, juliet],
      [juliet, romeo],
    ] as const) {
      await one.until("a mutual subscription", ({ events }) =>
        events.some((e) => e.event === "roster" && e.items[other.address] === "both"),
      );
    }
    const ids = Array.from({ length: MESSAGES }, (_, index) => `m${index}`);
    // xmpp.js 0.14 decodes each piece that it reads by itself, and breaks a character where a TLS record ends.
    for (const id of ids) {
      romeo.do({ do: "message", to: juliet.address, id, body: `to juliet ${id} <&>` });
      juliet.do({ do: "message", to: romeo.address, id, body: `to romeo ${id} <&> 💘` });
    }
    await juliet.until("all messages", ({ bodies }) => bodies.length >= MESSAGES);
    await romeo.until("all messages", ({ bodies }) => bodies.length >= MESSAGES);
    expect(juliet.bodies).toEqual(ids.map((id) => `to juliet ${id} <&>`));
    expect(romeo.bodies).toEqual(ids.map((id) => `to romeo ${id} <&> 💘`));
    romeo.do({ do: "ping" });
    await romeo.until("pong", (one) => one.all("pong").length > 0);
  });

  test("a wrong password is refused", async () => {
    await using client = await Client.start("slixmpp", {
      address: "romeo@localhost",
      password: "wrong",
      hosts: [{ host: "127.0.0.1", port: node.c2s }],
      authority: path.join(data, "tls-authority.crt"),
    });
    await client.until("refusal", (one) => one.all("refused").length > 0);
    expect(client.all("online")).toEqual([]);
  });

  test("offline messages wait through a restart and arrive once", async () => {
    {
      await using romeo = await login("xmpp.js", "romeo");
      for (const id of ["1", "2", "3"])
        romeo.do({ do: "message", to: "mercutio@localhost", id, body: id });
      await romeo.untilAcknowledged(["1", "2", "3"]);
    }
    node.kill("SIGTERM");
    expect(await node.ended).toBe(0);
    node = await startNodeProcess({ sets: sets() });
    {
      await using mercutio = await login("slixmpp", "mercutio");
      await mercutio.until("offline messages", ({ bodies }) => bodies.length >= 3);
      expect(mercutio.bodies).toEqual(["1", "2", "3"]);
      expect(mercutio.all("message").every(({ delayed }) => delayed)).toBe(true);
    }
    await using mercutio = await login("xmpp.js", "mercutio");
    mercutio.do({ do: "ping" });
    await mercutio.until("pong", (one) => one.all("pong").length > 0);
    expect(mercutio.bodies).toEqual([]);
  });
});

test("health and metrics answer over HTTP", async () => {
  const get = (page: string) => fetch(`http://127.0.0.1:${node.http}${page}`);
  expect((await get("/healthz")).status).toBe(200);
  expect(await (await get("/readyz")).text()).toMatch(/store: ok\nroutes: ok/);
  expect(await (await get("/metrics")).text()).toMatch(/^zonda_sessions \d+$/m);
});

test("a wrong address on the command line is refused in one line", async () => {
  const { code, stderr } = await zonda(["user", "add", "ro meo@localhost"]);
  expect({ code, lines: stderr.trim().split("\n").length }).toEqual({ code: 1, lines: 1 });
  expect(stderr).toMatch(/^zonda: Cannot read address: /);
});
