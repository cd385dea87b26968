import { connect } from "node:net";
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { parseElement } from "../xml/parser.ts";
import { bodyOf, message, until } from "./testing/door-kit.ts";
import { base64, SASL } from "./testing/raw-client.ts";
import type { WebKit } from "./testing/web-kit.ts";
import { openWebKit } from "./testing/web-kit.ts";

const NS = "http://jabber.org/protocol/httpbind";
const EMPTY = `<body xmlns='${NS}'/>`;
const PRESENCE = "<presence xmlns='jabber:client'/>";
const chat = (body: string) => `<message xmlns='jabber:client'><body>${body}</body></message>`;
const ended = (condition: string) =>
  `<body xmlns='${NS}' type='terminate' condition='${condition}'/>`;

async function bound(web: WebKit) {
  const client = web.bosh();
  await client.logIn();
  const session = web.kit.router.bound.at(-1)?.session;
  if (session === undefined) throw new Error("Cannot test: no session was bound");
  return { client, session };
}

test("a client logs in over BOSH, speaks, hears, and leaves", async () => {
  await using web = await openWebKit();
  const client = web.bosh();
  const created = parseElement(Buffer.from(await client.create()));
  expect(created.attrs).toMatchObject({
    xmlns: NS,
    from: "localhost",
    ver: "1.6",
    wait: "60",
    hold: "1",
    requests: "2",
    inactivity: "60",
    maxpause: "120",
    "xmpp:version": "1.0",
    "xmpp:restartlogic": "true",
  });
  expect(created.getChild("features", "http://etherx.jabber.org/streams")?.toString()).toContain(
    "<mechanism>SCRAM-SHA-256</mechanism>",
  );
  expect(created.toString()).not.toContain("starttls");
  const text = base64("\0romeo\0secret");
  const success = await client.post(`<auth xmlns='${SASL}' mechanism='PLAIN'>${text}</auth>`);
  expect(success).toBe(`<body xmlns='${NS}'><success xmlns='${SASL}'/></body>`);
  expect(await client.restart()).toContain("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>");
  const answer = await client.post(
    "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>",
  );
  expect(answer).toContain("<jid>romeo@localhost/");
  const held = client.post();
  await until(() => web.boshStats.held === 1, "it polls");
  web.kit.router.bound[0]?.session.deliver(message("one"));
  web.kit.router.bound[0]?.session.deliver(message("two"));
  expect(await held).toMatch(/^<body [^>]*><message .*one.*<message .*two.*<\/body>$/);
  const poll = client.post();
  await until(() => web.boshStats.held === 1, "it polls again");
  // The request that is held is answered when another one comes.
  const said = client.post(`${chat("three")}${chat("four")}`);
  expect(await poll).toBe(EMPTY);
  await until(() => web.kit.router.stanzas.length === 2, "both arrive");
  const farewell = client.post(PRESENCE, "type='terminate'");
  expect(await said).toBe(`<body xmlns='${NS}' type='terminate'/>`);
  expect(await farewell).toBe(`<body xmlns='${NS}' type='terminate'/>`);
  await until(() => web.kit.router.ended.length === 1, "the session ends");
  expect(web.kit.router.stanzas).toHaveLength(3);
  expect(web.kit.router.ended[0]?.unacknowledged).toEqual([]);
  expect(await client.post()).toBe(ended("item-not-found"));
  expect(web.kit.complaints).toEqual([]);
});

test("what a client sends out of order is read in order, and once", async () => {
  await using web = await openWebKit();
  const { client } = await bound(web);
  const { rid } = client;
  const later = client.at(rid + 2, chat("two"));
  await until(() => web.web.connections >= 2, "it is on the way");
  const sooner = client.at(rid + 1, chat("one"));
  expect(await sooner).toBe(EMPTY);
  const bodies = () =>
    web.kit.router.stanzas.map((stanza) => stanza.element().getChildText("body"));
  expect(bodies()).toEqual(["one", "two"]);
  // Its answer was lost: it is told again, and the message does not count again.
  expect(await client.at(rid + 1, chat("one"))).toBe(EMPTY);
  expect(bodies()).toEqual(["one", "two"]);
  // A request that is still held is asked again on another connection.
  const again = client.at(rid + 2, chat("two"));
  await expect(later).rejects.toThrow();
  web.kit.router.bound[0]?.session.deliver(message("answer"));
  expect(await again).toContain("answer");
  expect(bodies()).toEqual(["one", "two"]);
});

test.each([
  ["a rid far ahead", (rid: number) => rid + 4, "item-not-found"],
  ["a rid long past", (rid: number) => rid - 3, "item-not-found"],
])("%s ends the session with %s", async (_, ridOf, condition) => {
  await using web = await openWebKit();
  const { client } = await bound(web);
  expect(await client.at(ridOf(client.rid))).toBe(ended(condition));
  await until(() => web.kit.router.ended.length === 1, "the session ends");
  expect(await client.post()).toBe(ended("item-not-found"));
});

test("more requests at once than agreed end the session with policy-violation", async () => {
  await using web = await openWebKit();
  const { client } = await bound(web);
  const { promise, resolve } = Promise.withResolvers<void>();
  web.kit.router.accept = () => promise;
  // Enough for the router to be full, so that nothing is read and nothing answered.
  const flood = client.post(chat("x").repeat(64) + PRESENCE);
  await until(() => web.kit.router.stanzas.length === 64, "reading stops");
  const { rid } = client;
  const others = [1, 2].map((ahead) => client.at(rid + ahead, PRESENCE));
  const refused = await client.at(rid + 3, PRESENCE);
  expect([ended("policy-violation"), ended("item-not-found")]).toContain(refused);
  resolve();
  await Promise.all([flood, ...others]);
  await until(() => web.kit.router.ended.length === 1, "the session ends");
});

test.each([
  ["nothing", "", "bad-request"],
  ["no XML", "hello", "bad-request"],
  ["half a body", `<body xmlns='${NS}' rid='1' to='localhost'>`, "bad-request"],
  ["two bodies", `<body xmlns='${NS}' rid='1' to='localhost'/>`.repeat(2), "bad-request"],
  ["another namespace", "<body xmlns='urn:x' rid='1' to='localhost'/>", "bad-request"],
  ["another element", `<x xmlns='${NS}' rid='1' to='localhost'/>`, "bad-request"],
  ["no rid", `<body xmlns='${NS}' to='localhost'/>`, "bad-request"],
  ["a rid that is no number", `<body xmlns='${NS}' rid='x' to='localhost'/>`, "bad-request"],
  ["a rid of zero", `<body xmlns='${NS}' rid='0' to='localhost'/>`, "bad-request"],
  ["too large a rid", `<body xmlns='${NS}' rid='9007199254740992' to='localhost'/>`, "bad-request"],
  ["an entity", `<!DOCTYPE x><body xmlns='${NS}' rid='1' to='localhost'/>`, "bad-request"],
  ["nobody to speak to", `<body xmlns='${NS}' rid='1'/>`, "improper-addressing"],
  ["a domain of others", `<body xmlns='${NS}' rid='1' to='elsewhere'/>`, "host-unknown"],
  ["a session of nobody", `<body xmlns='${NS}' rid='1' sid='x'/>`, "item-not-found"],
])("%s in place of a first body is answered with its condition", async (_, text, condition) => {
  await using web = await openWebKit();
  expect(await web.bosh().raw(text)).toBe(ended(condition));
  await until(() => web.kit.door.stats.connections === 0, "nothing is kept");
});

test.each([
  [
    "a stanza that is not well-formed",
    "<message xmlns='jabber:client'><x:y/></message>",
    "not-well-formed",
  ],
  ["a comment", "<message xmlns='jabber:client'><!-- x --></message>", "bad-request"],
  ["an unknown element", "<x xmlns='urn:x'/>", "unsupported-stanza-type"],
  ["another sender", "<message xmlns='jabber:client' from='juliet@localhost'/>", "invalid-from"],
])("%s from a bound client is refused", async (_, text, condition) => {
  await using web = await openWebKit();
  const { client } = await bound(web);
  const answer = await client.post(text);
  if (condition === "bad-request") {
    expect(answer).toBe(ended(condition));
    await until(() => web.kit.router.ended.length === 1, "the session ends");
    return;
  }
  expect(answer).toContain("type='terminate' condition='remote-stream-error'");
  expect(answer).toContain(
    `<stream:error xmlns:stream='http://etherx.jabber.org/streams'><${condition} `,
  );
  await until(() => web.kit.router.ended.length === 1, "the session ends");
});

test("a stanza without a namespace is taken for a client's, as older ones write it", async () => {
  await using web = await openWebKit();
  const { client } = await bound(web);
  void client.post("<message><body>old</body></message>").catch(() => undefined);
  await until(() => web.kit.router.stanzas.length === 1, "it arrives");
  expect(web.kit.router.stanzas[0]?.ns).toBe("jabber:client");
});

test("large stanzas are refused before login and taken after it", async () => {
  await using web = await openWebKit();
  const early = web.bosh();
  await early.create();
  const answer = await early.post(`<iq xmlns='jabber:client'><x>${"a".repeat(20_000)}</x></iq>`);
  expect(answer).toContain("<policy-violation ");
  const { client } = await bound(web);
  void client.post(chat("a".repeat(200_000))).catch(() => undefined);
  await until(() => web.kit.router.stanzas.length === 1, "it arrives");
});

test("HTTP that is not BOSH is answered as HTTP", async () => {
  await using web = await openWebKit({ origins: ["https://chat.example.org"] });
  const client = web.bosh();
  const status = async (init: RequestInit) => (await client.fetch(init)).status;
  const body = `<body xmlns='${NS}' rid='1' to='localhost'/>`;
  expect(await status({ method: "GET" })).toBe(405);
  expect(await status({ body, headers: { "content-type": "text/html" } })).toBe(415);
  expect(await status({ body, headers: { "content-type": "text/xml; charset=utf-16" } })).toBe(415);
  const xml = { "content-type": "text/xml; charset=UTF-8" };
  expect(await status({ body, headers: { ...xml, "content-encoding": "gzip" } })).toBe(415);
  expect(await status({ body: "x".repeat(300_000), headers: xml })).toBe(413);
  expect(await status({ body, headers: { ...xml, origin: "https://evil.example" } })).toBe(403);
  const origin = "https://chat.example.org";
  const asked = await client.fetch({ method: "OPTIONS", headers: { origin } });
  expect([asked.status, asked.headers.get("access-control-allow-origin")]).toEqual([204, origin]);
  expect(asked.headers.get("access-control-allow-headers")).toBe("Content-Type");
  const taken = await client.fetch({ body, headers: { ...xml, origin } });
  expect([taken.status, taken.headers.get("access-control-allow-origin")]).toEqual([200, origin]);
  expect(taken.headers.get("content-type")).toBe("text/xml; charset=utf-8");
});

const POST = "POST /http-bind HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/xml\r\n";

/** All that is answered until the connection is closed. */
async function answerTo(web: WebKit, text: string): Promise<string> {
  const socket = connect(web.web.port, "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  const closed = new Promise((resolve) => socket.on("close", resolve));
  socket.on("error", () => undefined);
  socket.write(text);
  await closed;
  return answer;
}

test("a body that comes too slowly is cut off", async () => {
  const timeouts = { headersMs: 100, requestMs: 200, checkMs: 20 };
  await using web = await openWebKit({ web: { timeouts } });
  expect(await answerTo(web, `${POST}Content-Length: 500\r\n\r\n<body`)).toContain("408");
  expect(web.kit.complaints).toEqual([]);
});

test("a body larger than it says is cut off", async () => {
  await using web = await openWebKit();
  const chunk = `10000\r\n${"a".repeat(0x10000)}\r\n`;
  const endless = `${POST}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(6)}`;
  expect(await answerTo(web, endless)).toContain("HTTP/1.1 413");
  expect(web.kit.complaints).toEqual([]);
});

test("a request is held for the time agreed, and a client that stays away is gone", async () => {
  const clock = new FakeClock();
  await using web = await openWebKit({
    door: { clock },
    bosh: { waitSecondsMax: 30, inactivitySeconds: 20 },
  });
  const { client } = await bound(web);
  let isAnswered = false;
  const poll = client.post().then((answer) => {
    isAnswered = true;
    return answer;
  });
  await until(() => web.boshStats.held === 1, "it polls");
  await until(() => {
    clock.advance(1_000);
    return isAnswered;
  }, "it is answered when its time is over");
  expect(await poll).toBe(EMPTY);
  await until(() => {
    clock.advance(1_000);
    return web.kit.router.ended.length === 1;
  }, "the session ends");
  expect(await client.post()).toBe(ended("item-not-found"));
});

test("a client may ask for more time before it comes again, within bounds", async () => {
  const clock = new FakeClock();
  await using web = await openWebKit({ door: { clock }, bosh: { inactivitySeconds: 20 } });
  const { client } = await bound(web);
  const poll = client.post();
  const paused = client.post("", "pause='100'");
  expect(await poll).toBe(EMPTY);
  expect(await paused).toBe(EMPTY);
  clock.advance(90_000);
  web.kit.router.bound[0]?.session.deliver(message("meanwhile"));
  expect(await client.post()).toContain("meanwhile");
  expect(await client.post("", "pause='1000'")).toContain("<bad-format ");
  await until(() => web.kit.router.ended.length === 1, "the session ends");
});

test("what a client has not come back after is given back, what it has is not", async () => {
  const clock = new FakeClock();
  await using web = await openWebKit({ door: { clock }, bosh: { inactivitySeconds: 20 } });
  const { client, session } = await bound(web);
  const poll = client.post();
  await until(() => web.boshStats.held === 1, "it polls");
  session.deliver(message("heard"));
  expect(await poll).toContain("heard");
  const next = client.post();
  await until(() => web.boshStats.held === 1, "it polls again");
  session.deliver(message("lost"));
  expect(await next).toContain("lost");
  session.deliver(message("never sent"));
  await until(() => {
    clock.advance(1_000);
    return web.kit.router.ended.length === 1;
  }, "the session ends");
  expect(web.kit.router.ended[0]?.unacknowledged.map(bodyOf)).toEqual(["lost", "never sent"]);
});

test("a session that the server ends says why to the request that is held, and gives back nothing", async () => {
  await using web = await openWebKit();
  const { client, session } = await bound(web);
  const poll = client.post();
  await until(() => web.boshStats.held === 1, "it polls");
  session.deliver(message("last words"));
  session.close("conflict", "Replaced");
  const answer = await poll;
  expect(answer).toContain("condition='remote-stream-error'");
  expect(answer).toMatch(/last words.*<stream:error [^>]*><conflict /);
  await until(() => web.kit.router.ended.length === 1, "the session ends");
  expect(web.kit.router.ended[0]?.unacknowledged).toEqual([]);
});

test("a drain tells BOSH clients that the system shuts down, and lets no new ones in", async () => {
  await using web = await openWebKit();
  const { client } = await bound(web);
  const poll = client.post();
  await until(() => web.boshStats.held === 1, "it polls");
  const drained = web.kit.door.drain({ perSecond: 1_000, deadlineMs: 60_000 });
  expect(await poll).toBe(ended("system-shutdown"));
  expect(await web.bosh().create()).toBe(ended("system-shutdown"));
  await drained;
});

test("a request for a session of another node is told that there is none", async () => {
  await using web = await openWebKit();
  const client = web.bosh();
  client.sid = "another-.abcdefgh";
  expect(await client.post()).toBe(ended("item-not-found"));
  expect(web.boshStats).toEqual({ sessions: 0, held: 0, elsewhere: 1 });
});
