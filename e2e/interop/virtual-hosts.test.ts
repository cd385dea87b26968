/** Many domains on one node, a certificate each, changed while it runs. */
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { request } from "node:https";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import type { TLSSocket } from "node:tls";
import { connect as connectTls } from "node:tls";
import { afterAll, beforeAll, expect, test } from "vitest";
import { stringify } from "yaml";
import { issue, makeAuthority } from "../../node/config/certificates.ts";
import { DialogueClient } from "../harness/dialogue-client.ts";
import type { NodeProcess } from "../harness/node-process.ts";
import { startNodeProcess } from "../harness/node-process.ts";
import { freePort } from "../harness/ports.ts";

const WAIT_MS = 20_000;
const authority = await makeAuthority("test authority");

let folder: string;
let node: NodeProcess;
let directTls: number;

const file = (name: string) => path.join(folder, name);

/** Writes a certificate for each domain, and the configuration that names them. */
async function configure(domains: readonly string[], over: object = {}): Promise<void> {
  const files: Record<string, object> = {};
  for (const domain of domains) {
    const pair = await issue(authority, { commonName: domain, names: [domain] });
    await writeFile(file(`${domain}.crt`), pair.certificate);
    await writeFile(file(`${domain}.key`), pair.key);
    files[domain] = { certificate: file(`${domain}.crt`), key: file(`${domain}.key`) };
  }
  const settings = {
    domains,
    data: file("data"),
    c2s: { host: "127.0.0.1", port: 0, directTls: { port: directTls } },
    web: { host: "127.0.0.1", port: 0 },
    http: { port: 0 },
    tls: { domains: files },
    registration: { enabled: true },
    log: { format: "json" },
    ...over,
  };
  await writeFile(file("zonda.yaml"), stringify(settings));
}

/** Waits for a line of the node's log that says so. It may say the same twice: it watches the file, too. */
async function said(event: string, about: string): Promise<void> {
  const isSaid = () =>
    node.lines.some((one) => one.includes(`"msg":"${event}`) && one.includes(about));
  await expect.poll(isSaid, { message: `a line that says ${event}: ${about}` }).toBe(true);
}

const nameOf = (socket: TLSSocket): string => {
  const name = socket.getPeerCertificate().subject.CN as string;
  socket.destroy();
  return name;
};

async function byServerName(port: number, servername: string | undefined): Promise<string> {
  const socket = connectTls({
    port,
    host: "127.0.0.1",
    rejectUnauthorized: false,
    ...(servername !== undefined && { servername }),
  });
  await once(socket, "secureConnect");
  return nameOf(socket);
}

/** STARTTLS without SNI: only the stream's "to" says whom the client wants. */
async function byStreamTo(domain: string): Promise<string> {
  const socket = connect(node.c2s, "127.0.0.1");
  const until = async (word: string) => {
    let text = "";
    while (!text.includes(word)) text += String((await once(socket, "data"))[0]);
  };
  const names = "xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'";
  socket.write(`<stream:stream ${names} version='1.0' to='${domain}'>`);
  await until("</stream:features>");
  socket.write("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
  await until("<proceed");
  const secure = connectTls({ socket, rejectUnauthorized: false });
  await once(secure, "secureConnect");
  return nameOf(secure);
}

/** A client that has registered and logged in at a domain. */
async function logIn(domain: string): Promise<DialogueClient> {
  const client = new DialogueClient({
    name: domain,
    domain,
    deadlineMs: WAIT_MS,
    hide: () => false,
  });
  await client.dial(directTls, true);
  await client.openStream();
  const login = { username: "romeo", password: "secret" };
  const query = "<username>romeo</username><password>secret</password>";
  client.send(`<iq type="set" id="r"><query xmlns="jabber:iq:register">${query}</query></iq>`);
  expect((await client.receive("stanza")).attrs.type).toBe("result");
  expect(await client.authenticate("SCRAM-SHA-256", login)).toBeUndefined();
  await client.bind("orchard");
  return client;
}

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), "zonda-hosts-"));
  directTls = await freePort();
  await configure(["montague.example", "capulet.example", "münchen.example"]);
  node = await startNodeProcess({ config: file("zonda.yaml"), sets: [] });
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

test("each domain shows its certificate: by SNI, and without it by the stream's own word", async () => {
  const web = node.web as number;
  for (const port of [directTls, web]) {
    expect(await byServerName(port, "montague.example")).toBe("montague.example");
    expect(await byServerName(port, "capulet.example")).toBe("capulet.example");
    expect(await byServerName(port, "xn--mnchen-3ya.example")).toMatch(/nchen/);
  }
  expect(await byStreamTo("montague.example")).toBe("montague.example");
  expect(await byStreamTo("capulet.example")).toBe("capulet.example");
  // Nobody's name, and no name: the node's own certificate, which stands for all of them.
  const [own, none] = [
    await byServerName(directTls, "verona.example"),
    await byServerName(directTls, undefined),
  ];
  expect([own, none]).toEqual(["montague.example", "montague.example"]);
});

test("a client of a domain that asks for host-meta is told the way to that domain", async () => {
  const answer = await new Promise<string>((resolve, reject) => {
    const headers = { host: `capulet.example:${node.web}` };
    const where = { port: node.web, path: "/.well-known/host-meta", headers };
    const asked = request({ ...where, rejectUnauthorized: false }, (response) => {
      let text = "";
      response.on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => resolve(text));
    });
    asked.on("error", reject);
    asked.end();
  });
  expect(answer).toContain(`href='wss://capulet.example:${node.web}/xmpp-websocket'`);
  expect(answer).toContain(`href='https://capulet.example:${node.web}/http-bind'`);
});

test("domains come and go with the file, and their clients with them", async () => {
  const montague = await logIn("montague.example");
  const capulet = await logIn("capulet.example");
  await configure(["montague.example", "verona.example"], { drain: { deadlineSeconds: 7 } });
  await said("cannot change while running", '["drain.deadlineSeconds"]');
  const change = '"added":["verona.example"],"removed":["capulet.example","münchen.example"]';
  await said("configuration taken over", change);
  const farewell = await capulet.receive("stanza");
  expect(farewell.getChild("host-gone")).toBeDefined();
  montague.send('<iq type="get" id="p"><ping xmlns="urn:xmpp:ping"/></iq>');
  expect((await montague.receive("stanza")).attrs).toMatchObject({ id: "p", type: "result" });
  montague.send('<message id="m" to="romeo@capulet.example"><body>?</body></message>');
  const refused = await montague.receive("stanza");
  expect(refused.getChild("error")?.getChild("remote-server-not-found")).toBeDefined();
  const verona = await logIn("verona.example");
  expect(await byStreamTo("verona.example")).toBe("verona.example");
  const late = logIn("capulet.example");
  await expect(late).rejects.toThrow("host-unknown");
  for (const client of [montague, verona]) client.cut();
});

test("a configuration that cannot be used changes nothing, and SIGHUP reads at once", async () => {
  await configure(["montague.example", "verona.example"]);
  await writeFile(file("verona.example.key"), "not a key");
  node.kill("SIGHUP");
  await said("cannot take over the configuration", "verona.example.key is not a PEM file");
  expect(await byServerName(directTls, "verona.example")).toBe("verona.example");
  await writeFile(file("zonda.yaml"), "domains: [a.example]\nc2s: {prot: 1}\n");
  node.kill("SIGHUP");
  await said("cannot take over the configuration", "did you mean c2s.port");
  await configure(["montague.example", "verona.example", "mantua.example"]);
  node.kill("SIGHUP");
  await said("configuration taken over", '"added":["mantua.example"]');
  expect(await byServerName(directTls, "mantua.example")).toBe("mantua.example");
});
