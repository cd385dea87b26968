/** Every bad input at a door that is no client's stream is answered as docs/bad-input.md says. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { NodeProcess } from "../harness/node-process.ts";
import { runCommand, startNodeProcess } from "../harness/node-process.ts";
import { freePort } from "../harness/ports.ts";
import type { Doors } from "./contract.ts";
import { AT_OTHER_DOORS } from "./index.ts";

const component = { domain: "bots.localhost", secret: "a secret of the test" };
const user = { name: "romeo", password: "secret" };

let data: string;
let node: NodeProcess;
let doors: Doors;

beforeAll(async () => {
  data = await mkdtemp(path.join(tmpdir(), "zonda-bad-input-"));
  const [web, components] = [await freePort(), await freePort()];
  const words = ["user", "add", `${user.name}@localhost`, "--set", `data=${data}`];
  expect((await runCommand(words, `${user.password}\n`)).code).toBe(0);
  node = await startNodeProcess({
    config: path.join(import.meta.dirname, "..", "load", "node.yaml"),
    sets: [
      ...[`data=${data}`, "c2s.port=0", "log.format=json", "upload.engine=directory"],
      ...[`web.port=${web}`, "web.host=127.0.0.1", "web.tls=false", "web.url=http://127.0.0.1"],
      ...[`components.port=${components}`, "components.host=127.0.0.1"],
      ...["upload.userFilesMax=1000", "c2s.sessionsPerUserMax=100"],
      "registration.captcha=true",
    ],
    environment: {
      ZONDA_COMPONENTS_DOMAINS: JSON.stringify({
        [component.domain]: { secret: component.secret },
      }),
    },
  });
  doors = { c2s: node.c2s, web, components, component, user };
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await rm(data, { recursive: true });
});

describe.each(Object.entries(AT_OTHER_DOORS))("%s", (_feature, inputs) => {
  test.each(inputs.map((one) => [one.name, one.answer, one] as const))(
    "%s: %s",
    async (_name, answer, { send }) => {
      expect(await send(doors)).toBe(answer);
    },
  );
});
