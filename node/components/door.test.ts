import { createHash } from "node:crypto";
import { afterEach, expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { silentLog } from "../base/log.ts";
import { systemRandom } from "../base/random.ts";
import type { Routes } from "../routes/contract.ts";
import { openMemoryRoutes } from "../routes/memory.ts";
import { CERTIFICATE } from "../session/testing/door-kit.ts";
import { RawClient } from "../session/testing/raw-client.ts";
import type { Envelope } from "../stanza/contract.ts";
import { fromElement } from "../stanza/envelope.ts";
import { TlsContexts } from "../stream/tls.ts";
import { el } from "../xml/element.ts";
import type { ComponentConnection, ComponentEvents } from "./contract.ts";
import type { ComponentDoor } from "./door.ts";
import { openComponentDoor } from "./door.ts";

const DOMAIN = "icq.example.org";
const SECRET = "correct horse";
const LIMITS = {
  handshakeMs: 10_000,
  stanzaBytesMax: 10_000,
  waitingBytesMax: 1_000_000,
  connectionsMax: 3,
};

class Events implements ComponentEvents {
  readonly stanzas: string[] = [];
  readonly counts: number[] = [];
  readonly unsent: Envelope[] = [];
  connection: ComponentConnection | undefined;
  onComponentStanza(
    ...[connection, from, stanza, count]: Parameters<ComponentEvents["onComponentStanza"]>
  ) {
    this.connection = connection;
    this.stanzas.push(`${stanza.ns} ${stanza.name} ${from.full}`);
    this.counts.push(count);
  }
  async onComponentEnded(_: ComponentConnection, unsent: readonly Envelope[]) {
    this.unsent.push(...unsent);
  }
}

let door: ComponentDoor | undefined;
afterEach(async () => door?.[Symbol.asyncDispose]());

async function open(limits: Partial<typeof LIMITS> = {}, tls?: TlsContexts) {
  const clock = new FakeClock();
  const events = new Events();
  const routes: Routes = openMemoryRoutes({} as never);
  door = await openComponentDoor({
    host: "127.0.0.1",
    port: 0,
    tls,
    secrets: new Map([[DOMAIN, SECRET]]),
    limits: { ...LIMITS, ...limits },
    selfIncarnation: "node-1",
    random: systemRandom,
    log: silentLog,
    ...{ routes, events, clock },
  });
  const { port } = door;
  return { door, clock, events, routes, connect: () => RawClient.connect(port) };
}

const header = (to = DOMAIN, ns = "jabber:component:accept") =>
  `<?xml version='1.0'?><stream:stream xmlns='${ns}' ` +
  `xmlns:stream='http://etherx.jabber.org/streams' to='${to}'>`;

const proof = (id: string, secret = SECRET) =>
  createHash("sha1")
    .update(id + secret)
    .digest("hex");

async function greet(client: RawClient): Promise<string> {
  client.send(header());
  const said = await client.read(/<stream:stream [^>]*>/);
  expect(said).toContain("xmlns='jabber:component:accept'");
  expect(said).toContain(`from='${DOMAIN}'`);
  return /id='([^']*)'/.exec(said)?.[1] ?? "";
}

async function logIn(client: RawClient): Promise<void> {
  const id = await greet(client);
  client.send(`<handshake>${proof(id)}</handshake>`);
  await client.read("<handshake/>");
}

const error = (condition: string) =>
  `<stream:error><${condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error></stream:stream>`;

const messageOf = (body: string): Envelope =>
  fromElement(
    el("message", { from: "romeo@example.org/x", to: `juliet@${DOMAIN}` }, el("body", {}, body)),
    0,
  );

test("a component that knows its secret is published before it is told", async () => {
  const { connect, routes, door } = await open();
  const client = await connect();
  await logIn(client);
  const { routes: found } = await routes.read(DOMAIN);
  expect(found).toMatchObject([{ user: DOMAIN, node: "node-1", available: true }]);
  expect(door.table.size).toBe(1);
  client.send("</stream:stream>");
  expect(await client.readToEnd()).toBe("</stream:stream>");
  await expect.poll(async () => (await routes.read(DOMAIN)).routes).toEqual([]);
  expect(door.table.size).toBe(0);
});

test("with TLS from the first byte", async () => {
  const { door } = await open({}, new TlsContexts(CERTIFICATE));
  await logIn(await RawClient.connectTls(door.port));
  expect(door.table.size).toBe(1);
  const plain = await RawClient.connect(door.port);
  plain.send(header());
  expect(await plain.readToEnd()).not.toContain("stream:stream");
});

test("one that goes while it is being published leaves no route", async () => {
  const { connect, routes, door, events } = await open();
  const { promise, resolve } = Promise.withResolvers<void>();
  const bind = routes.bind.bind(routes);
  routes.bind = async (route) => {
    await promise;
    return await bind(route);
  };
  const client = await connect();
  const id = await greet(client);
  client.send(`<handshake>${proof(id)}</handshake>`);
  await expect.poll(() => door.table.size).toBe(1);
  expect(door.table.get(`${DOMAIN}/${id}`)?.deliver(messageOf("held"))).toBe(true);
  client.send("</stream:stream>");
  expect(await client.readToEnd()).toBe("</stream:stream>");
  resolve();
  await expect.poll(() => events.unsent).toHaveLength(1);
  await expect.poll(async () => (await routes.read(DOMAIN)).routes).toEqual([]);
  expect(door.table.size).toBe(0);
});

test("one that cannot be published is told so", async () => {
  const { connect, routes, door } = await open();
  routes.bind = () => Promise.reject(new Error("no routes"));
  const client = await connect();
  const id = await greet(client);
  client.send(`<handshake>${proof(id)}</handshake>`);
  expect(await client.readToEnd()).toBe(error("internal-server-error"));
  await expect.poll(() => door.table.size).toBe(0);
});

test("several connections speak for one domain", async () => {
  const { connect, routes } = await open();
  await logIn(await connect());
  await logIn(await connect());
  expect((await routes.read(DOMAIN)).routes).toHaveLength(2);
});

test.each([
  ["a wrong secret", (id: string) => `<handshake>${proof(id, "wrong")}</handshake>`],
  ["the secret of another stream", () => `<handshake>${proof("other")}</handshake>`],
  ["an empty handshake", () => "<handshake/>"],
  [
    "a handshake of another namespace",
    (id: string) => `<handshake xmlns='x'>${proof(id)}</handshake>`,
  ],
  ["a stanza", () => `<message from='${DOMAIN}' to='romeo@example.org'/>`],
])("%s in place of the handshake is not-authorized", async (_, say) => {
  const { connect, routes, door } = await open();
  const client = await connect();
  client.send(say(await greet(client)));
  expect(await client.readToEnd()).toBe(error("not-authorized"));
  expect(door.stats.handshakesFailed).toBe(1);
  expect((await routes.read(DOMAIN)).routes).toEqual([]);
});

test.each([
  ["an unknown domain", header("other.example.org"), "host-unknown"],
  ["no domain", header(""), "host-unknown"],
  ["the namespace of clients", header(DOMAIN, "jabber:client"), "invalid-namespace"],
  ["the connect method", header(DOMAIN, "jabber:component:connect"), "invalid-namespace"],
  ["no stream", "<message xmlns='jabber:component:accept'/>", "invalid-namespace"],
  ["no XML", "GET / HTTP/1.1\r\n", "not-well-formed"],
])("a header with %s is refused", async (_, said, condition) => {
  const { connect } = await open();
  const client = await connect();
  client.send(said);
  expect(await client.readToEnd()).toMatch(
    new RegExp(`^<\\?xml version='1.0'\\?><stream:stream [^>]*>${error(condition)}$`),
  );
});

test("a component that does not show its proof in time is turned away", async () => {
  const { connect, clock } = await open();
  const client = await connect();
  await greet(client);
  clock.advance(LIMITS.handshakeMs);
  expect(await client.readToEnd()).toBe(error("connection-timeout"));
});

test("one that is logged in has no deadline", async () => {
  const { connect, clock, events } = await open();
  const client = await connect();
  await logIn(client);
  clock.advance(10 * LIMITS.handshakeMs);
  client.send(`<presence from='${DOMAIN}' to='romeo@example.org'/>`);
  await expect.poll(() => events.stanzas).toHaveLength(1);
});

test("its stanzas come in order, in jabber:client, from any address of its domain", async () => {
  const { connect, events } = await open();
  const client = await connect();
  await logIn(client);
  client.send(
    `<message from='${DOMAIN}' to='romeo@example.org'/>` +
      `<presence from='Juliet@${DOMAIN}/x' to='romeo@example.org'/>`,
  );
  await expect
    .poll(() => events.stanzas)
    .toEqual([`jabber:client message ${DOMAIN}`, `jabber:client presence juliet@${DOMAIN}/x`]);
  expect(events.counts).toEqual([1, 2]);
});

test.each([
  ["from another domain", "<message from='romeo@example.org' to='a@b'/>", "invalid-from"],
  ["from a domain below", `<message from='sub.${DOMAIN}' to='a@b'/>`, "invalid-from"],
  ["from nobody", "<message to='a@b'/>", "invalid-from"],
  ["from no address", "<message from='@' to='a@b'/>", "invalid-from"],
  ["no stanza", `<handshake from='${DOMAIN}'/>`, "unsupported-stanza-type"],
  ["of another namespace", `<message xmlns='x' from='${DOMAIN}'/>`, "unsupported-stanza-type"],
  ["too large", `<message from='${DOMAIN}'>${"x".repeat(10_000)}</message>`, "policy-violation"],
  ["malformed", "<message></presence>", "not-well-formed"],
])("a stanza %s ends the stream", async (_, said, condition) => {
  const { connect, events } = await open();
  const client = await connect();
  await logIn(client);
  client.send(said);
  expect(await client.readToEnd()).toBe(error(condition));
  expect(events.stanzas).toEqual([]);
});

test("what is for it is written in its namespace, in order", async () => {
  const { connect, door, routes } = await open();
  const client = await connect();
  await logIn(client);
  const [route] = (await routes.read(DOMAIN)).routes;
  const connection = door.table.get(`${DOMAIN}/${route?.resource}`);
  expect(["a", "b"].map((body) => connection?.deliver(messageOf(body)))).toEqual([true, true]);
  const said = await client.read(/<body>b<\/body><\/message>/);
  expect(said.match(/<message[^>]* xmlns='jabber:component:accept'/g)).toHaveLength(2);
  expect(said.indexOf("<body>a<")).toBeLessThan(said.indexOf("<body>b<"));
});

test("what a component that reads nothing did not get is given back, and it is dropped", async () => {
  const { connect, door, routes, events } = await open();
  const client = await connect();
  await logIn(client);
  client.socket.pause();
  const [route] = (await routes.read(DOMAIN)).routes;
  const connection = door.table.get(`${DOMAIN}/${route?.resource}`);
  const large = "x".repeat(100_000);
  let taken = 0;
  while (connection?.deliver(messageOf(`${taken} ${large}`))) {
    taken += 1;
    if (taken % 5 === 0) await new Promise((resolve) => setImmediate(resolve));
    if (taken > 10_000) throw new Error("Cannot block the connection");
  }
  await expect.poll(() => events.unsent.length).toBeGreaterThan(0);
  const numbers = events.unsent.map((one) => Number(/<body>(\d+) /.exec(`${one.bytes}`)?.[1]));
  expect(numbers).toEqual(numbers.map((_, index) => taken - numbers.length + index));
  await expect.poll(async () => (await routes.read(DOMAIN)).routes).toEqual([]);
  client.socket.destroy();
});

test("more connections than allowed are turned away", async () => {
  const { connect, door } = await open({ connectionsMax: 1 });
  await logIn(await connect());
  const second = await connect();
  expect(await second.readToEnd()).toBe("");
  expect(door.stats.connectionsRefused).toBe(1);
});

test("a door that closes says so, and withdraws what it published", async () => {
  const { connect, door, routes } = await open();
  const client = await connect();
  await logIn(client);
  await door[Symbol.asyncDispose]();
  expect(await client.readToEnd()).toBe(error("system-shutdown"));
  expect((await routes.read(DOMAIN)).routes).toEqual([]);
});
