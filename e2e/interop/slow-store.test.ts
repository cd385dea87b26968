/** Two nodes whose Cassandra is stopped in its tracks: who is online goes on talking. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { RawClient } from "../../node/session/testing/raw-client.ts";
import { metricOf } from "../harness/metrics.ts";
import { runCommand } from "../harness/node-process.ts";
import type { Cluster } from "../harness/start-cluster.ts";
import { startCluster } from "../harness/start-cluster.ts";

const PASSWORD = "secret";
/** More than the failures after which a store is not asked any more. */
const READERS = 12;
const QUERY = "<query xmlns='urn:xmpp:mam:2'><set xmlns='http://jabber.org/protocol/rsm'/></query>";

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startCluster({ nodes: 2 });
  for (const name of ["romeo", "juliet", "nurse"]) {
    const command = ["user", "add", `${name}@localhost`, "--config", cluster.adminConfig];
    expect((await runCommand(command, `${PASSWORD}\n`)).code).toBe(0);
  }
});
afterAll(() => cluster.stop());

const nodeAt = (index: number) => cluster.nodes[index] as Cluster["nodes"][number];

async function logIn(node: number, name: string, resource = "phone"): Promise<RawClient> {
  const client = await RawClient.connect(nodeAt(node).c2s);
  await client.open();
  client.plain(name, PASSWORD);
  await client.read("<success");
  await client.open();
  await client.bind(resource);
  client.send("<presence/>");
  await client.read(`from='${name}@localhost/${resource}'`);
  return client;
}

async function query(client: RawClient, id: string): Promise<string> {
  client.send(`<iq type='set' id='${id}'>${QUERY}</iq>`);
  return client.read(RegExp(`<iq[^>]*id='${id}'.*?</iq>`, "s"));
}

const historyMetric = (name: string) => metricOf(nodeAt(0).http, `zonda_store_history_${name}`);

test("messages flow while history is refused, and history has all of them afterwards", async () => {
  const romeo = await logIn(0, "romeo");
  const juliet = await logIn(1, "juliet");
  const nurse = await logIn(1, "nurse");
  const readers = await Promise.all(
    Array.from({ length: READERS }, (_, index) => logIn(0, "romeo", `reader${index}`)),
  );
  const said: string[] = [];
  const say = async (name = "juliet", listener = juliet) => {
    const body = `word ${said.length}`;
    said.push(body);
    romeo.send(`<message to='${name}@localhost' type='chat'><body>${body}</body></message>`);
    await listener.read(`<body>${body}</body>`);
  };
  await say();
  expect(await query(romeo, "before")).toContain("<fin");

  cluster.cassandra.pause();
  try {
    await say();
    // Each waits for its own deadline; after so many the store is not asked for history any more.
    const answers = await Promise.all(readers.map((reader) => query(reader, "during")));
    for (const answer of answers) expect(answer).toMatch(/<error type='wait'>/);
    expect(await historyMetric("suspensions_total")).toBeGreaterThan(0);
    for (let count = 0; count < 50; count += 1) await say();
    // Nobody here knows yet whether she blocks or archives him: that is waited for once.

    await say("nurse", nurse);

    await say("nurse", nurse);

    const stranger = await RawClient.connect(nodeAt(0).c2s);
    await stranger.open();
    stranger.plain("romeo", PASSWORD);
    expect(await stranger.read(/<failure.*<\/failure>/s)).toContain("temporary-auth-failure");
    stranger.destroy();
    await say();
  } finally {
    cluster.cassandra.resume();
  }

  const bodies = async () => {
    const page = await query(romeo, "after");
    return [...page.matchAll(/<body>([^<]*)<\/body>/g)].map(([, body]) => body);
  };
  await expect.poll(bodies, { interval: 500 }).toEqual(said);
  expect(await historyMetric("suspended")).toBe(0);
  for (const client of [romeo, juliet, nurse, ...readers]) client.destroy();
});
