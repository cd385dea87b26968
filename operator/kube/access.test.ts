import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { systemClock } from "../loop/clock.ts";
import { FakeClock } from "../loop/fake-clock.ts";
import type { Access } from "./access.ts";
import { kubeconfigAccess, podAccess } from "./access.ts";
import { KubeClient } from "./client.ts";
import { Rest } from "./rest.ts";
import { testServer } from "./testing/api-server.ts";
import { FaultProxy } from "./testing/fault-proxy.ts";

let folder = "";
const server = testServer();
const { hostname, port } = new URL(server.server);
const environment = { KUBERNETES_SERVICE_HOST: hostname, KUBERNETES_SERVICE_PORT: port };

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "zonda-access-"));
});
afterAll(() => rm(folder, { recursive: true }));

const write = (name: string, text: string) => writeFile(path.join(folder, name), text);

function client(access: Access): KubeClient {
  const rest = new Rest(access, systemClock, { request() {} }, "zonda-test");
  return new KubeClient(rest, { fieldManager: "zonda-test" });
}

test("in a pod, the mounted files lead to the server, and are read again", async () => {
  const clock = new FakeClock();
  await write("token", `${server.token}\n`);
  await write("ca.crt", server.ca ?? "");
  const access = await podAccess({ clock, environment, folder });
  const kube = client(access);
  expect(await kube.list("v1", "Namespace")).not.toEqual([]);
  const before = await access.credentials();
  await write("token", "replaced");
  expect(await access.credentials()).toBe(before);
  clock.advance(60_001);
  const after = await access.credentials();
  expect(after.headers.authorization).toBe("Bearer replaced");
  expect(after.dispatcher).toBe(before.dispatcher);
  await expect(kube.list("v1", "Namespace")).rejects.toMatchObject({ status: 401 });
  await write("token", server.token);
  await write("ca.crt", `${server.ca}\n${server.ca}`);
  clock.advance(60_001);
  expect((await access.credentials()).dispatcher).not.toBe(before.dispatcher);
  expect(await kube.list("v1", "Namespace")).not.toEqual([]);
  await access.close();
});

test("an address of version 6 is written right, and none at all is refused", async () => {
  await write("token", "x");
  await write("ca.crt", server.ca ?? "");
  const clock = new FakeClock();
  await expect(podAccess({ clock, environment: {}, folder })).rejects.toThrow(
    "Cannot find the API server: not in a pod",
  );
  const six = { KUBERNETES_SERVICE_HOST: "fd00::1", KUBERNETES_SERVICE_PORT: "443" };
  const access = await podAccess({ clock, environment: six, folder });
  expect(access.server).toBe("https://[fd00::1]:443");
  await access.close();
});

test("a server that shows another authority's certificate is not spoken to", async () => {
  await write("token", server.token);
  await write("ca.crt", "");
  const access = await podAccess({ clock: new FakeClock(), environment, folder });
  await expect(client(access).list("v1", "Namespace")).rejects.toMatchObject({
    status: 0,
    reason: "Unreachable",
  });
  await access.close();
});

function kubeconfig(cluster: object): string {
  return JSON.stringify({
    apiVersion: "v1",
    kind: "Config",
    "current-context": "c",
    contexts: [{ name: "c", context: { cluster: "c", user: "u" } }],
    clusters: [{ name: "c", cluster }],
    users: [{ name: "u", user: { token: server.token } }],
  });
}

test("a kubeconfig file leads to the server, by one pool of connections", async () => {
  const ca = Buffer.from(server.ca ?? "").toString("base64");
  const file = path.join(folder, "direct.yaml");
  await write(
    "direct.yaml",
    kubeconfig({ server: server.server, "certificate-authority-data": ca }),
  );
  const direct = await kubeconfigAccess(file, systemClock);
  expect(await client(direct).list("v1", "Namespace")).not.toEqual([]);
  await direct.close();
  const proxy = await FaultProxy.start(server);
  const cluster = { server: proxy.address.server, "insecure-skip-tls-verify": true };
  await write("proxied.yaml", kubeconfig(cluster));
  const proxied = await kubeconfigAccess(path.join(folder, "proxied.yaml"), systemClock);
  const kube = client(proxied);
  for (let count = 0; count < 20; count += 1) await kube.list("v1", "Namespace");
  expect(proxy.connections).toBeLessThanOrEqual(2);
  await proxied.close();
  await proxy.stop();
});
