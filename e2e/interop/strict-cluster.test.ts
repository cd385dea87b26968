/**
 * aioxmpp, as in strict-clients.test.ts, each of its sessions on another node of a cluster. The node of one of
 * them is killed, and it resumes elsewhere.
 */
import { afterAll, beforeAll, expect, test } from "vitest";
import { RawClient } from "../../node/session/testing/raw-client.ts";
import { AIOXMPP_AT_EASE, newNames, runScript } from "../clients/script.ts";
import { startBalancer } from "../harness/balancer.ts";
import type { ClusterNode } from "../harness/cluster-node.ts";
import type { Cluster } from "../harness/start-cluster.ts";
import { startCluster } from "../harness/start-cluster.ts";

const PASSWORD = "secret";

let cluster: Cluster;
const serving = () => cluster.nodes.filter((node) => node.isRunning());

beforeAll(async () => {
  cluster = await startCluster({ nodes: 4 });
});
afterAll(() => cluster.stop());

async function register(name: string): Promise<void> {
  const client = await RawClient.connect((cluster.nodes[0] as ClusterNode).c2s);
  await client.open();
  const fields = `<username>${name}</username><password>${PASSWORD}</password>`;
  client.send(`<iq type='set' id='new'><query xmlns='jabber:iq:register'>${fields}</query></iq>`);
  expect(await client.read(/<iq [^>]*>/)).toContain("type='result'");
  client.destroy();
}

/** What is said of each step when the node of whoever logs in first is killed. */
async function killed(script: string): Promise<unknown> {
  const names = newNames();
  for (const name of names) await register(name);
  const ports = () => serving().map(({ c2s }) => c2s);
  await using balancer = await startBalancer(ports);
  const first = serving()[1] as ClusterNode; // Its turn begins there.
  const config = {
    ...{ domain: "localhost", password: PASSWORD, host: "127.0.0.1", port: balancer.port },
    ...{ authority: cluster.authority as string, names, waits: true },
  };
  return await runScript(script, config, async (step) => {
    if (step === "faults") await first.kill("SIGKILL");
  });
}

test("aioxmpp has no complaint, and resumes on another node", async () => {
  expect(await killed("aioxmpp_strict.py")).toEqual(AIOXMPP_AT_EASE);
}, 300_000);
