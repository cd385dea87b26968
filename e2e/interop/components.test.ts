/** XEP-0114 with a component that nobody here wrote: slixmpp's. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { runScript } from "../clients/script.ts";
import type { NodeProcess } from "../harness/node-process.ts";
import { runCommand, startNodeProcess } from "../harness/node-process.ts";
import { freePort } from "../harness/ports.ts";

const PASSWORD = "secret";
const COMPONENT = { domain: "echo.localhost", secret: "correct horse" };

let data: string;
let port: number;
let node: NodeProcess;

beforeAll(async () => {
  data = await mkdtemp(path.join(tmpdir(), "zonda-components-"));
  port = await freePort();
  const domains = JSON.stringify({ [COMPONENT.domain]: { secret: COMPONENT.secret } });
  node = await startNodeProcess({
    sets: [
      ...[`data=${data}`, "c2s.port=0", "c2s.host=127.0.0.1", "http.port=0", "log.format=json"],
      ...[`components.port=${port}`, `components.domains=${domains}`],
    ],
  });
  const words = ["user", "add", "romeo@localhost", "--set", `data=${data}`];
  expect((await runCommand(words, `${PASSWORD}\n`)).code).toBe(0);
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await rm(data, { recursive: true });
});

test("a component of slixmpp and a user of it", async () => {
  const steps = await runScript("slixmpp_component.py", {
    domain: "localhost",
    password: PASSWORD,
    host: "127.0.0.1",
    port: node.c2s,
    authority: path.join(data, "tls-authority.crt"),
    component: { ...COMPONENT, port },
  });
  expect(steps).toEqual([
    ["wrong secret", "not-authorized"],
    ["nobody there", ["wait", "remote-server-timeout"]],
    ["echoed in order", true],
    ["listed", [COMPONENT.domain]],
    ["described", true],
    ["user pings it", "result"],
    ["it pings the server", "result"],
    ["sees it", [`bot@${COMPONENT.domain}`, "available"]],
    ["reads a roster", "forbidden"],
    ["done", true],
  ]);
}, 120_000);
