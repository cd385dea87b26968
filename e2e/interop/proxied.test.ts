/** Clients whose TLS ends at a proxy nobody here wrote: HAProxy, as the operator runs it. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { connect } from "node:tls";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import type { KeyPair } from "../../node/config/certificates.ts";
import { issue, makeAuthority } from "../../node/config/certificates.ts";
import { Client } from "../clients/client.ts";
import type { NodeProcess } from "../harness/node-process.ts";
import { runCommand, startNodeProcess } from "../harness/node-process.ts";
import type { HaproxyProcess } from "../harness/peers/haproxy.ts";
import { startHaproxy } from "../harness/peers/haproxy.ts";
import { freePort } from "../harness/ports.ts";

const PASSWORD = "wherefore";

let folder: string;
let authority: KeyPair;
let node: NodeProcess;
let proxy: HaproxyProcess;

const login = async (name: string, ports: readonly number[]): Promise<Client> => {
  const client = await Client.start("slixmpp", {
    address: `${name}@localhost`,
    password: PASSWORD,
    hosts: ports.map((port) => ({ host: "127.0.0.1", port })),
    authority: path.join(folder, "authority.pem"),
    tlsMax: "1.2", // It has no binding for TLS 1.3.
  });
  await client.untilOnline();
  return client;
};

/** Makes a certificate for localhost that says who it is, and writes it with its key. */
async function write(name: string, commonName: string): Promise<void> {
  const pair = await issue(authority, { commonName, names: ["localhost", "own.example"] });
  await writeFile(path.join(folder, `${name}.key`), pair.key);
  await writeFile(path.join(folder, `${name}.crt`), pair.certificate);
}

/** The common name in the certificate that is shown to a client who asks for a domain. */
const shownTo = (servername: string): Promise<string> =>
  new Promise((resolve, reject) => {
    const options = { port: proxy.tlsPort, servername, rejectUnauthorized: false };
    const socket = connect(options, () => {
      resolve(String(socket.getPeerCertificate().subject.CN));
      socket.destroy();
    });
    socket.on("error", reject);
  });

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "zonda-proxied-"));
  authority = await makeAuthority("proxied");
  await writeFile(path.join(folder, "authority.pem"), authority.certificate);
  await write("all", "for all");
  await write("own", "its own");
  const [certificate, key] = ["all.crt", "all.key"].map((name) => path.join(folder, name));
  const to = await freePort();
  const sets = [
    ...[`data=${folder}`, "c2s.port=0", "c2s.host=127.0.0.1", "http.port=0", "log.format=json"],
    ...[`c2s.proxied.port=${to}`, `tls.certificate=${certificate}`, `tls.key=${key}`],
  ];
  node = await startNodeProcess({ sets });
  for (const name of ["romeo", "juliet"]) {
    const words = ["user", "add", `${name}@localhost`, "--set", `data=${folder}`];
    expect(await runCommand(words, `${PASSWORD}\n`)).toMatchObject({ code: 0 });
  }
  proxy = await startHaproxy({
    ...{ folder, to, domains: { "own.example": path.join(folder, "own.crt") } },
    ...{ certificate: certificate as string, key: key as string },
  });
});

afterAll(async () => {
  await proxy?.stop();
  await node?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

test("log in, talk with those who came directly, and resume through the proxy", async () => {
  await using romeo = await login("romeo", [proxy.tlsPort]);
  await using juliet = await login("juliet", [node.c2s]);
  const mechanisms = (client: Client) =>
    client.all("authenticated").map((event) => event.mechanism);
  expect(mechanisms(romeo)).toEqual(["SCRAM-SHA-512"]);
  expect(mechanisms(juliet)).toEqual(["SCRAM-SHA-512-PLUS"]);
  romeo.do({ do: "message", to: "juliet@localhost", id: "1", body: "1" });
  await juliet.until("message 1", ({ bodies }) => bodies.includes("1"));
  romeo.do({ do: "drop" });
  juliet.do({ do: "message", to: "romeo@localhost", id: "2", body: "2" });
  await romeo.until("its session", (client) => client.all("resumed").length === 1);
  await romeo.until("message 2", ({ bodies }) => bodies.includes("2"));
});

test("are shown the certificate of the domain they ask for, as by the node itself", async () => {
  expect(await shownTo("own.example")).toBe("its own");
  expect(await shownTo("localhost")).toBe("for all");
  expect(await shownTo("unknown.example")).toBe("for all");
});

test("are shown a renewed certificate, and who is connected stays so", async () => {
  await using romeo = await login("romeo", [proxy.tlsPort]);
  await write("own", "renewed");
  await vi.waitUntil(async () => (await shownTo("own.example")) === "renewed", 20_000);
  expect(await shownTo("localhost")).toBe("for all");
  romeo.do({ do: "ping" });
  await romeo.until("pong", (client) => client.all("pong").length > 0);
  expect(romeo.all("offline")).toEqual([]);
});
