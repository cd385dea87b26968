/** A node as an operator sets it up, with what its users see of it: files, commands, services. */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { RawClient } from "../../node/session/testing/raw-client.ts";
import { runScript } from "../clients/script.ts";
import type { NodeProcess } from "../harness/node-process.ts";
import { runCommand, startNodeProcess } from "../harness/node-process.ts";
import { freePort } from "../harness/ports.ts";

const PASSWORD = "secret";
let data: string;
let node: NodeProcess;

const configuration = (web: number) => `
domains: [localhost]
data: ${data}
c2s: { host: 127.0.0.1, port: 0, tls: offered, plaintextAuthOnLoopback: true }
http: { port: 0 }
log: { format: json }
registration: { enabled: true, captcha: true }
web: { host: 127.0.0.1, port: ${web}, tls: false, url: "http://127.0.0.1:${web}" }
upload: { engine: directory, directory: { freeBytesMin: 0 } }
modules:
  adhoc: { admins: [bard@localhost] }
  contacts: { abuse: ["mailto:abuse@localhost"] }
  externalServices:
    services:
      - { type: turn, host: turn.localhost, port: 3478, transport: udp, secret: shared }
`;

const zonda = (words: readonly string[], input = "") =>
  runCommand([...words, "--set", `data=${data}`], input);

async function login(name: string): Promise<RawClient> {
  const client = await RawClient.connect(node.c2s);
  await client.open();
  client.plain(name, PASSWORD);
  await client.read(/<success[^>]*>/);
  await client.open();
  client.send("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>");
  await client.read("</iq>");
  return client;
}

async function ask(client: RawClient, type: string, payload: string): Promise<string> {
  client.send(`<iq type='${type}' id='q' to='localhost'>${payload}</iq>`);
  return client.read("</iq>");
}

beforeAll(async () => {
  data = await mkdtemp(path.join(tmpdir(), "zonda-personal-"));
  const config = path.join(data, "zonda.yaml");
  await writeFile(config, configuration(await freePort()));
  node = await startNodeProcess({ config, sets: [] });
  for (const name of ["bard", "romeo", "juliet"]) {
    expect(await zonda(["user", "add", `${name}@localhost`], `${PASSWORD}\n`)).toMatchObject({
      code: 0,
    });
  }
});

afterAll(async () => {
  await node[Symbol.asyncDispose]();
  await rm(data, { recursive: true });
});

test("a file is uploaded into its slot and downloaded by somebody else", async () => {
  const romeo = await login("romeo");
  const request = "<request xmlns='urn:xmpp:http:upload:0' filename='a b.txt' size='5'/>";
  const slot = await ask(romeo, "get", request);
  const [, put = "", get = ""] = /<put url='([^']+)'.*<get url='([^']+)'/s.exec(slot) ?? [];
  const stored = await fetch(put, { method: "PUT", body: "hello" });
  expect(stored.status).toBe(201);
  const read = await fetch(get);
  expect([read.status, await read.text()]).toEqual([200, "hello"]);
  expect(read.headers.get("content-disposition")).toBe("attachment");
  expect((await fetch(put, { method: "PUT", body: "other" })).status).toBe(409);
  romeo.destroy();
});

test("the server says where to turn, and how to reach TURN", async () => {
  const romeo = await login("romeo");
  const info = await ask(romeo, "get", "<query xmlns='http://jabber.org/protocol/disco#info'/>");
  expect(info).toContain("mailto:abuse@localhost");
  expect(info).toContain("urn:xmpp:http:upload:0");
  const services = await ask(romeo, "get", "<services xmlns='urn:xmpp:extdisco:2'/>");
  expect(services).toMatch(/host='turn.localhost'.* password='[^']+'/);
  romeo.destroy();
});

test("an administrator disables a user, whom the command line enables again", async () => {
  const [bard, romeo] = [await login("bard"), await login("romeo")];
  const command = (more: string, content = "") =>
    `<command xmlns='http://jabber.org/protocol/commands' ${more}` +
    ` node='http://jabber.org/protocol/admin#disable-user'>${content}</command>`;
  const begun = await ask(bard, "set", command("action='execute'"));
  const [, id = ""] = /sessionid='([^']+)'/.exec(begun) ?? [];
  const field = "<field var='accountjids'><value>romeo@localhost</value></field>";
  const form = `<x xmlns='jabber:x:data' type='submit'>${field}</x>`;
  expect(await ask(bard, "set", command(`sessionid='${id}'`, form))).toContain("completed");
  expect(await romeo.readToEnd()).toContain("<not-authorized");
  await expect(login("romeo")).rejects.toThrow(/not-authorized/);
  expect(await zonda(["user", "enable", "romeo@localhost"])).toMatchObject({ code: 0 });
  (await login("romeo")).destroy();
  bard.destroy();
});

test("blocking, client states, vCards, files and commands of slixmpp", async () => {
  const config = {
    domain: "localhost",
    password: PASSWORD,
    host: "127.0.0.1",
    port: node.c2s,
    authority: path.join(data, "tls-authority.crt"),
  };
  expect(await runScript("slixmpp_personal.py", config)).toEqual([
    ["friends", [true, true]],
    ["nobody blocked", []],
    ["block", "result"],
    ["pushed", ["push", "blocked"]],
    ["gone", true],
    ["refused", ["error", "service-unavailable"]],
    ["not to be reached", ["error", "not-acceptable"]],
    ["blocked", [true]],
    ["unblock", "result"],
    ["back", true],
    ["heard", ["chat", "again"]],
    [
      "the last presence and the message",
      [
        ["presence", "xa"],
        ["chat", "wake up"],
      ],
    ],
    ["vcard", "Romeo Montague"],
    ["stored", "result"],
    ["retrieved", ["room@conference.example.org"]],
    ["last", 0],
    ["file", [201, 200, "hello"]],
    ["too large", "not-acceptable"],
    ["commands", true],
    ["announced", "completed"],
    ["heard by all", ["headline", "Curtain"]],
    ["done", true],
  ]);
});

test("who makes an account has to read a picture", async () => {
  const client = await RawClient.connect(node.c2s);
  await client.open();
  client.send("<iq type='get' id='r'><query xmlns='jabber:iq:register'/></iq>");
  const form = await client.read("</iq>");
  const [, picture = ""] = /<data [^>]*>([^<]+)<\/data>/.exec(form) ?? [];
  expect(Buffer.from(picture, "base64").subarray(1, 4).toString()).toBe("PNG");
  const legacy = "<username>tybalt</username><password>secret</password>";
  client.send(`<iq type='set' id='s'><query xmlns='jabber:iq:register'>${legacy}</query></iq>`);
  expect(await client.read("</iq>")).toContain("not-acceptable");
  client.destroy();
});
