/** Clients that refuse what is not as their specification says: tokio-xmpp and aioxmpp. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { AIOXMPP_AT_EASE, newNames, runScript, runStrictClient } from "../clients/script.ts";
import type { NodeProcess } from "../harness/node-process.ts";
import { runCommand, startNodeProcess } from "../harness/node-process.ts";

const PASSWORD = "secret";
/** The first run compiles. */
const COMPILING_MS = 1_200_000;

let data: string;
let node: NodeProcess;

beforeAll(async () => {
  data = await mkdtemp(path.join(tmpdir(), "zonda-strict-"));
  const sets = [`data=${data}`, "c2s.port=0", "c2s.host=127.0.0.1", "http.port=0"];
  node = await startNodeProcess({ sets: [...sets, "log.format=json"] });
  for (const name of ["romeo", "juliet", "tybalt"]) await addUser(name);
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await rm(data, { recursive: true });
});

async function addUser(name: string): Promise<void> {
  const words = ["user", "add", `${name}@localhost`, "--set", `data=${data}`];
  expect((await runCommand(words, `${PASSWORD}\n`)).code).toBe(0);
}

const config = () => ({
  domain: "localhost",
  password: PASSWORD,
  host: "127.0.0.1",
  port: node.c2s,
  authority: path.join(data, "tls-authority.crt"),
});

test(
  "the pedantic types of xmpp-parsers read everything that tokio-xmpp is sent",
  async () => {
    expect(await runStrictClient(config())).toEqual([
      ["the server", true],
      ["the account", true],
      ["software", "Zonda"],
      ["its offset", "+00:00"],
      ["nobody", 0],
      ["pushed", "J & <J>"],
      ["contact", "Both"],
      ["heard in order", true],
      ["copied in order", true],
      ["answer", "answer"],
      ["copy of it", "answer"],
      ["pages", [5, 5, 3]],
      ["history ends with", "answer"],
      ["first before last", true],
      ["archived", "Roster"],
      ["another's", "Forbidden"],
      ["her news of him", "Montague"],
      ["bookmark", "Orchard"],
      ["vcard", "Romeo"],
      ["blocked", true],
      ["refused", "tybalt@localhost"],
      ["faults", []],
      ["resumed", true],
      ["heard once", ["while away", "afterwards"]],
      ["heard from him", "here again"],
      ["faults of the rest", []],
    ]);
  },
  COMPILING_MS,
);

test("aioxmpp makes contacts, talks, reads copies and history, and resumes without a complaint", async () => {
  const names = newNames();
  for (const name of names) await addUser(name);
  expect(await runScript("aioxmpp_strict.py", { ...config(), names })).toEqual(AIOXMPP_AT_EASE);
});
