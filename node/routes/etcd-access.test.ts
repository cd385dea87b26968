/** Ways to reach etcd: over TLS, and where one of its members is away. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { etcdProgram } from "../../e2e/harness/etcd.ts";
import { freePort } from "../../e2e/harness/ports.ts";
import { startProcess } from "../../e2e/harness/process.ts";
import { isListening } from "../../e2e/harness/wait.ts";
import type { KeyPair } from "../config/certificates.ts";
import { issue, makeAuthority } from "../config/certificates.ts";
import { sharedEndpoint, TestCluster, until } from "./testing/etcd.ts";
import { makeRoute } from "./testing/records.ts";

/** An etcd that asks for client certificates. */
async function startSecureEtcd(authority: KeyPair): Promise<string> {
  const folder = await mkdtemp(path.join(tmpdir(), "zonda-etcd-tls-"));
  const server = await issue(authority, { commonName: "etcd", names: ["127.0.0.1", "localhost"] });
  const files = {
    "ca.pem": authority.certificate,
    "cert.pem": server.certificate,
    "key.pem": server.key,
  };
  for (const [name, pem] of Object.entries(files)) await writeFile(path.join(folder, name), pem);
  const [client, peer] = [await freePort(), await freePort()];
  const listen = `https://127.0.0.1:${client}`;
  const running = await startProcess({
    name: "etcd",
    command: await etcdProgram(),
    args: [
      `--data-dir=${folder}/data`,
      `--listen-client-urls=${listen}`,
      `--advertise-client-urls=${listen}`,
      `--listen-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-advertise-peer-urls=http://127.0.0.1:${peer}`,
      `--initial-cluster=default=http://127.0.0.1:${peer}`,
      `--trusted-ca-file=${folder}/ca.pem`,
      `--cert-file=${folder}/cert.pem`,
      `--key-file=${folder}/key.pem`,
      "--client-cert-auth",
    ],
    log: path.join(folder, "etcd.log"),
  });
  onTestFinished(async () => {
    await running.stop();
    await rm(folder, { recursive: true, force: true });
  });
  await until(() => isListening("127.0.0.1", client));
  return `https://localhost:${client}`;
}

test("etcd is reached over TLS with a client certificate, and not without", async () => {
  const authority = await makeAuthority("authority of etcd");
  const endpoint = await startSecureEtcd(authority);
  const { certificate, key } = await issue(authority, { commonName: "zonda", names: ["zonda"] });
  const tls = { authority: authority.certificate, certificate, key };
  const cluster = new TestCluster({ endpoints: [endpoint], tls });
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  await until(() => one.routes.nodes.has("two"));
  const route = makeRoute({ node: "one" });
  await one.routes.bind(route);
  expect((await two.routes.read(route.user)).routes).toEqual([route]);
  const bare = new TestCluster({
    endpoints: [endpoint],
    tls: { authority: authority.certificate },
    requestTimeoutMs: 500,
  });
  await expect(bare.start("bare")).rejects.toMatchObject({ name: "Unavailable" });
  bare.client.close();
  const { certificate: stranger } = await makeAuthority("another authority");
  const deceived = new TestCluster({
    endpoints: [endpoint],
    tls: { ...tls, authority: stranger },
    requestTimeoutMs: 500,
  });
  await expect(deceived.start("deceived")).rejects.toMatchObject({ name: "Unavailable" });
  deceived.client.close();
  await cluster.end();
});

test.each(["https://127.0.0.1:2379", "https://[::1]:2379"])(
  "%s is refused: TLS to etcd needs a host name",
  (endpoint) => {
    const open = () => new TestCluster({ endpoints: [endpoint] });
    expect(open).toThrow("needs a host name instead of an address");
  },
);

test("one member that cannot be reached keeps nobody from working", async () => {
  const cluster = new TestCluster({ endpoints: ["http://127.0.0.1:1", sharedEndpoint()] });
  onTestFinished(() => cluster.end());
  const [one, two] = [await cluster.start("one"), await cluster.start("two")];
  await until(() => one.routes.nodes.has("two"));
  const many = Array.from({ length: 50 }, (_, n) => makeRoute({ node: "one", resource: `r${n}` }));
  for (const route of many) await one.routes.bind(route);
  expect((await two.routes.read("juliet@example.com")).routes).toHaveLength(50);
  expect(one.diary.lines).toEqual(["up two"]);
});

test("more than may wait is refused at once; what was accepted is done", async () => {
  const cluster = new TestCluster({ endpoints: [sharedEndpoint()], requestTimeoutMs: 20_000 });
  onTestFinished(() => cluster.end());
  const { routes } = await cluster.start();
  const users = Array.from({ length: 20_100 }, (_, n) => `user${n}@example.com`);
  const results = await Promise.allSettled(users.map((user) => routes.read(user)));
  const refused = results.filter(({ status }) => status === "rejected");
  expect(refused).toHaveLength(100);
  expect(refused[0]).toMatchObject({ reason: { code: "routes-overload" } });
});
