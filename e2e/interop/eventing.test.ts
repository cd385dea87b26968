/** Personal eventing as slixmpp's plugins use it: OMEMO's lists and bundles, avatars, bookmarks. */
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
  data = await mkdtemp(path.join(tmpdir(), "zonda-eventing-"));
  const sets = [`data=${data}`, "c2s.port=0", "c2s.host=127.0.0.1", "http.port=0"];
  node = await startNodeProcess({ sets: [...sets, "log.format=json"] });
  for (const name of ["romeo", "juliet", "tybalt"]) {
    const words = ["user", "add", `${name}@localhost`, "--set", `data=${data}`];
    expect((await runCommand(words, `${PASSWORD}\n`)).code).toBe(0);
  }
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await rm(data, { recursive: true });
});

const steps = () =>
  runScript("slixmpp_eventing.py", {
    domain: "localhost",
    password: PASSWORD,
    host: "127.0.0.1",
    port: node.c2s,
    authority: path.join(data, "tls-authority.crt"),
  });

test("OMEMO, avatars and bookmarks of slixmpp", async () => {
  expect(await steps()).toEqual([
    ["no devices yet", "item-not-found"],
    ["bundle 1", "result"],
    ["devices 1", "result"],
    ["friend hears", [true, "current", ["1"]]],
    ["bundle 2", "result"],
    ["devices 2", "result"],
    ["phone hears of desk", ["1", "2"]],
    [
      "stranger reads bundles",
      [
        ["1", 101],
        ["2", 101],
      ],
    ],
    ["device removed", "result"],
    ["bundles left", ["2"]],
    ["made by default", "result"],
    ["precondition", "conflict precondition-not-met"],
    ["was", "presence"],
    ["configured", "result"],
    ["published", "result"],
    ["deleted", "result"],
    ["picture", "result"],
    ["metadata", "result"],
    ["friend hears of the picture", true],
    ["retrieved", true],
    ["in the vCard", true],
    ["bookmarked", "result"],
    ["desk hears of the bookmark", "room@conference.example.org"],
    ["old list", [["room@conference.example.org", "Room", true, "me"]]],
    ["old list set", "result"],
    ["bookmarks", ["other@conference.example.org"]],
    ["done", true],
  ]);
});
