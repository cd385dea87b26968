/** How clients nobody here wrote log in: bound to the channel, in one round trip, with a token. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { Library } from "../clients/client.ts";
import { Client } from "../clients/client.ts";
import type { ClientConfig } from "../clients/contract.ts";
import type { NodeProcess } from "../harness/node-process.ts";
import { runCommand, startNodeProcess } from "../harness/node-process.ts";
import { freePort } from "../harness/ports.ts";

const PASSWORD = "pässword, with = and ,";

let data: string;
let port: number;
let node: NodeProcess;

const start = () =>
  startNodeProcess({
    sets: [
      `data=${data}`,
      `c2s.port=${port}`,
      "c2s.host=127.0.0.1",
      "http.port=0",
      "log.format=json",
    ],
  });

async function login(library: Library, name: string, more: Partial<ClientConfig> = {}) {
  const client = await Client.start(library, {
    address: `${name}@localhost`,
    password: PASSWORD,
    hosts: [{ host: "127.0.0.1", port }],
    authority: path.join(data, "tls-authority.crt"),
    ...more,
  });
  await client.untilOnline();
  return client;
}

const mechanisms = (client: Client) =>
  client.all("authenticated").map(({ mechanism }) => mechanism);

async function metric(name: string): Promise<number> {
  const text = await (await fetch(`http://127.0.0.1:${node.http}/metrics`)).text();
  return Number(new RegExp(`^zonda_${name} (\\d+)$`, "m").exec(text)?.[1]);
}

beforeAll(async () => {
  data = await mkdtemp(path.join(tmpdir(), "zonda-logins-"));
  port = await freePort();
  node = await start();
  for (const name of ["romeo", "juliet"]) {
    const words = ["user", "add", `${name}@localhost`, "--set", `data=${data}`];
    expect((await runCommand(words, `${PASSWORD}\n`)).code).toBe(0);
  }
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await rm(data, { recursive: true });
});

test("slixmpp binds its login to the channel, where its Python has a binding", async () => {
  await using old = await login("slixmpp", "romeo", { tlsMax: "1.2" });
  expect(mechanisms(old)).toEqual(["SCRAM-SHA-512-PLUS"]);
  // Python knows tls-unique alone, which TLS 1.3 does not have.
  await using modern = await login("slixmpp", "juliet");
  expect(mechanisms(modern)).toEqual(["SCRAM-SHA-512"]);
});

test("slixmpp is refused when its password is wrong, also bound to the channel", async () => {
  await using client = await Client.start("slixmpp", {
    address: "romeo@localhost",
    password: "wrong",
    hosts: [{ host: "127.0.0.1", port }],
    authority: path.join(data, "tls-authority.crt"),
    tlsMax: "1.2",
  });
  await client.until("refusal", (one) => one.all("refused").length > 0);
  expect(client.all("online")).toEqual([]);
});

test("xmpp.js logs in and binds in one step, and comes back with a token when the node restarts", async () => {
  await using juliet = await login("xmpp.js", "juliet");
  const [first] = juliet.all("online");
  expect(mechanisms(juliet)).toEqual(["SCRAM-SHA-1"]);
  expect(first?.address).toMatch(/^juliet@localhost\/[\w-]{12}$/);
  node.kill("SIGTERM");
  expect(await node.ended).toBe(0);
  node = await start();
  await juliet.until("another login", (one) => one.all("online").length === 2);
  expect(mechanisms(juliet)).toEqual(["SCRAM-SHA-1", "HT-SHA-256-NONE"]);
  expect(juliet.all("online")[1]).toEqual(first);
  expect(await metric("logins_by_token_total")).toBe(1);
  // A device is lost: what it holds must be worth nothing, and the owner logs in by password.
  const words = ["user", "forget", "juliet@localhost", "--set", `data=${data}`];
  expect((await runCommand(words, "")).stdout).toBe("Forgot the tokens of juliet@localhost\n");
  node.kill("SIGTERM");
  expect(await node.ended).toBe(0);
  node = await start();
  await juliet.until("a third login", (one) => one.all("online").length === 3);
  expect(mechanisms(juliet).at(-1)).toBe("SCRAM-SHA-1");
  expect(await metric("logins_by_token_total")).toBe(0);
  juliet.do({ do: "message", to: "juliet@localhost", id: "m1", body: "to myself" });
  await juliet.until("its own message", ({ bodies }) => bodies.includes("to myself"));
});
