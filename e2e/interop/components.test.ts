/** XEP-0114 with a component that nobody here wrote: slixmpp's. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { runScript } from "../clients/script.ts";
import { runCommand, startNodeProcess } from "../harness/node-process.ts";
import { freePort } from "../harness/ports.ts";
import { startCluster } from "../harness/start-cluster.ts";

const PASSWORD = "secret";
const COMPONENT = { domain: "echo.localhost", secret: "correct horse" };
const DOMAINS = JSON.stringify({ [COMPONENT.domain]: { secret: COMPONENT.secret } });

const STEPS = [
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
];

interface Ports {
  readonly c2s: number;
  readonly components: number;
}

const run = ({ c2s, components }: Ports, authority: string) =>
  runScript("slixmpp_component.py", {
    domain: "localhost",
    password: PASSWORD,
    host: "127.0.0.1",
    port: c2s,
    authority,
    component: { ...COMPONENT, port: components },
  });

async function addRomeo(words: readonly string[]): Promise<void> {
  const { code } = await runCommand(["user", "add", "romeo@localhost", ...words], `${PASSWORD}\n`);
  expect(code).toBe(0);
}

test("a component of slixmpp and a user of it", async () => {
  const data = await mkdtemp(path.join(tmpdir(), "zonda-components-"));
  onTestFinished(() => rm(data, { recursive: true }));
  const components = await freePort();
  await using node = await startNodeProcess({
    sets: [
      ...[`data=${data}`, "c2s.port=0", "c2s.host=127.0.0.1", "http.port=0", "log.format=json"],
      ...[`components.port=${components}`, `components.domains=${DOMAINS}`],
    ],
  });
  await addRomeo(["--set", `data=${data}`]);
  const ports = { c2s: node.c2s, components };
  expect(await run(ports, path.join(data, "tls-authority.crt"))).toEqual(STEPS);
});

test("the same when the component is connected to another node than the user", async () => {
  const ports = new Map<string, number>();
  const cluster = await startCluster({
    nodes: 3,
    sets: ["components.port=0", `components.domains=${DOMAINS}`],
    onLine(node, line) {
      const port = /"components":(\d+)/.exec(line)?.[1];
      if (port !== undefined) ports.set(node, Number(port));
    },
  });
  try {
    await addRomeo(["--config", cluster.adminConfig]);
    const [first, , last] = cluster.nodes;
    const components = ports.get(last?.name ?? "") ?? 0;
    const authority = cluster.authority as string;
    expect(await run({ c2s: first?.c2s ?? 0, components }, authority)).toEqual(STEPS);
  } finally {
    await cluster.stop();
  }
}, 300_000);
