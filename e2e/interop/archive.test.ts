/** Copies and archives as slixmpp's plugins use them. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runScript } from "../clients/script.ts";
import type { NodeProcess } from "../harness/node-process.ts";
import { runCommand, startNodeProcess } from "../harness/node-process.ts";

const PASSWORD = "secret";

let data: string;
let node: NodeProcess;

beforeAll(async () => {
  data = await mkdtemp(path.join(tmpdir(), "zonda-archive-"));
  const sets = [`data=${data}`, "c2s.port=0", "c2s.host=127.0.0.1", "http.port=0"];
  node = await startNodeProcess({ sets: [...sets, "log.format=json"] });
  for (const name of ["romeo", "juliet"]) {
    const words = ["user", "add", `${name}@localhost`, "--set", `data=${data}`];
    expect((await runCommand(words, `${PASSWORD}\n`)).code).toBe(0);
  }
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await rm(data, { recursive: true });
});

test("slixmpp gets copies, and reads back what was sent", async () => {
  const steps = await runScript("slixmpp_archive.py", {
    domain: "localhost",
    password: PASSWORD,
    host: "127.0.0.1",
    port: node.c2s,
    authority: path.join(data, "tls-authority.crt"),
  });
  expect(steps).toEqual([
    ["archive", true],
    ["arrived", true],
    ["sent copies", true],
    ["received copies", true],
    ["answer", ["answer", "answer", "answer"]],
    ["history", true],
    ["history", true],
    ["history", true],
    ["history", true],
    ["reversed", true],
    ["with", true],
    ["with nobody", []],
    [
      "fields",
      ["FORM_TYPE", "after-id", "before-id", "end", "ids", "include-groupchat", "start", "with"],
    ],
    ["metadata", true],
    ["another's", "forbidden"],
    ["unseen", ["unseen", "unseen", 0]],
  ]);
});
