/** Three nodes on real etcd and Cassandra, with clients nobody here wrote. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { RawClient } from "../../node/session/testing/raw-client.ts";
import { Client, type Library } from "../clients/client.ts";
import { Writers } from "../clients/writers.ts";
import { runCommand } from "../harness/node-process.ts";
import type { Cluster } from "../harness/start-cluster.ts";
import { startCluster } from "../harness/start-cluster.ts";

const PASSWORD = "secret";
const MESSAGES = 1_000;

let cluster: Cluster;
const portOf = (node: number): number => cluster.nodes[node]?.c2s as number;

async function addUser(name: string): Promise<string> {
  const address = `${name}@localhost`;
  const command = ["user", "add", address, "--config", cluster.adminConfig];
  const { code, stderr } = await runCommand(command, `${PASSWORD}\n`);
  if (code !== 0 && !stderr.includes("exists")) throw new Error(stderr);
  return address;
}

/** Logs in on the given nodes: the first at first, the others in turn when it is lost. */
async function login(library: Library, name: string, ...nodes: readonly number[]): Promise<Client> {
  const client = await Client.start(library, {
    address: await addUser(name),
    password: PASSWORD,
    hosts: nodes.map((node) => ({ host: "127.0.0.1", port: portOf(node) })),
    authority: cluster.authority as string,
  });
  await client.untilOnline();
  return client;
}

const hasPresence = (of: Client, type: string) => (client: Client) =>
  client
    .all("presence")
    .some((one) => one.sender.startsWith(`${of.address}/`) && one.type === type);

beforeAll(async () => {
  const bounds = ["c2s.failedLoginsPerAccountPerMinute=5", "c2s.sessionsPerUserMax=5"];
  cluster = await startCluster({ nodes: 3, sets: bounds });
});
afterAll(() => cluster.stop());

test("contacts on different nodes see each other and exchange messages once and in order", async () => {
  await using romeo = await login("slixmpp", "romeo", 0);
  await using juliet = await login("xmpp.js", "juliet", 1);
  romeo.do({ do: "subscribe", to: juliet.address });
  await romeo.until("juliet's presence", hasPresence(juliet, "available"));
  await juliet.until("romeo's presence", hasPresence(romeo, "available"));

  const numbers = Array.from({ length: MESSAGES }, (_, index) => String(index));
  for (const id of numbers) {
    romeo.do({ do: "message", to: juliet.address, id, body: `r${id}` });
    juliet.do({ do: "message", to: romeo.address, id, body: `j${id}` });
  }
  await juliet.until("all messages", ({ bodies }) => bodies.length >= MESSAGES);
  await romeo.until("all messages", ({ bodies }) => bodies.length >= MESSAGES);
  expect(juliet.bodies).toEqual(numbers.map((id) => `r${id}`));
  expect(romeo.bodies).toEqual(numbers.map((id) => `j${id}`));
});

/** What the server says to a login with PLAIN. */
async function rawLogin(node: number, name: string, password: string, from = "127.0.0.1") {
  const client = await RawClient.connect(portOf(node), from);
  await client.open();
  client.plain(name, password);
  const answer = await client.read(/<success[^>]*>|<failure.*<\/failure>/s);
  return { client, answer };
}

test("an account that is guessed on one node waits on the others, too", async () => {
  await addUser("benvolio");
  for (let guess = 0; guess < 5; guess += 1) {
    const { client, answer } = await rawLogin(0, "benvolio", "wrong");
    expect(answer).toContain("<not-authorized/>");
    client.destroy();
  }
  let host = 1;
  const onAnother = async () => {
    host += 1; // From where it has logged in before it always may.
    const { client, answer } = await rawLogin(2, "benvolio", PASSWORD, `127.0.0.${host}`);
    client.destroy();
    return answer;
  };
  await expect.poll(onAnother).toContain("<temporary-auth-failure/>");
});

test("a user has so many sessions on all nodes together, and one more when one goes", async () => {
  await addUser("rosaline");
  const bind = async (node: number, resource: string) => {
    const { client, answer } = await rawLogin(node, "rosaline", PASSWORD);
    expect(answer).toContain("<success");
    await client.open();
    return { client, bound: await client.bind(resource) };
  };
  const bound = [];
  for (let index = 0; index < 5; index += 1) bound.push(await bind(index % 3, `r${index}`));
  for (const one of bound) expect(one.bound).toContain("<jid>");
  const extra = await bind(1, "extra");
  expect(extra.bound).toContain("<resource-constraint xmlns");
  bound[0]?.client.send("</stream:stream>");
  await bound[0]?.client.closed();
  const again = async () => {
    const { client, bound: answer } = await bind(1, "extra");
    client.destroy();
    return answer;
  };
  await expect.poll(again).toContain("<jid>");
  for (const { client } of [...bound, extra]) client.destroy();
});

test("a second login with the same account on another node gets the same messages", async () => {
  await using romeo = await login("slixmpp", "romeo", 0);
  await using one = await login("xmpp.js", "juliet", 1);
  await using two = await login("slixmpp", "juliet", 2);
  romeo.do({ do: "message", to: one.address, id: "both", body: "both" });
  await one.until("the message", ({ bodies }) => bodies.includes("both"));
  await two.until("the message", ({ bodies }) => bodies.includes("both"));
});

test("offline messages are kept by the cluster and given out once", async () => {
  const mercutio = await addUser("mercutio");
  {
    await using romeo = await login("slixmpp", "romeo", 0);
    for (const id of ["a", "b", "c"]) romeo.do({ do: "message", to: mercutio, id, body: id });
    await romeo.untilAcknowledged(["a", "b", "c"]);
  }
  await using one = await login("xmpp.js", "mercutio", 1);
  await using two = await login("slixmpp", "mercutio", 2);
  await one.until("offline messages", () => one.bodies.length + two.bodies.length >= 3);
  two.do({ do: "ping" });
  await two.until("pong", (client) => client.all("pong").length > 0);
  expect([...one.bodies, ...two.bodies].sort()).toEqual(["a", "b", "c"]);
});

test("a node that drains loses and repeats nothing while people write", async () => {
  await using romeo = await login("slixmpp", "romeo", 0, 1);
  await using juliet = await login("xmpp.js", "juliet", 2, 1);
  const writers = new Writers([
    { from: romeo, to: juliet, label: "romeo" },
    { from: juliet, to: romeo, label: "juliet" },
  ]);
  await juliet.until("some messages", ({ bodies }) => bodies.length > 40);
  await cluster.nodes[2]?.kill("SIGTERM");
  await juliet.until("her session elsewhere", (one) => one.all("resumed").length > 0);
  await juliet.until("more messages", ({ bodies }) => bodies.length > 120);
  for (const { lost, repeated, swapped } of await writers.stop()) {
    expect({ lost, repeated, swapped }).toEqual({ lost: [], repeated: [], swapped: [] });
  }
  expect(romeo.all("presence").some(({ type }) => type === "unavailable")).toBe(false);
});

test("a node killed with -9 is forgotten within its lease and its client comes back", async () => {
  const fourth = await cluster.addNode();
  const at = cluster.nodes.indexOf(fourth);
  await using romeo = await login("slixmpp", "romeo", 0);
  await using juliet = await login("xmpp.js", "juliet", at, 1);
  await romeo.until("juliet's presence", hasPresence(juliet, "available"));
  await fourth.kill("SIGKILL");
  // Her shadow goes on with her session until she resumes it; nobody sees her go then.
  const isBack = (one: typeof juliet) => one.all("resumed").length + one.all("online").length > 1;
  await juliet.until("her session elsewhere", isBack);
  romeo.do({ do: "message", to: juliet.address, id: "again", body: "again" });
  await juliet.until("the message", ({ bodies }) => bodies.includes("again"));
});
