import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { TlsContexts } from "../stream/tls.ts";
import { parseElement } from "../xml/parser.ts";
import { CERTIFICATE, message, until } from "./testing/door-kit.ts";
import { base64, SASL } from "./testing/raw-client.ts";
import { OPEN, openWebKit } from "./testing/web-kit.ts";

const STREAM_ERRORS = "urn:ietf:params:xml:ns:xmpp-streams";
const FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";

test("a client logs in over WebSocket, and every message is an element that stands alone", async () => {
  await using web = await openWebKit();
  const client = await web.connect();
  client.send(OPEN);
  const messages = [await client.next(), await client.next()];
  expect(messages[0]).toMatch(
    /^<open xmlns='[^']*framing' from='localhost' id='[^']+' version='1.0' xml:lang='en'\/>$/,
  );
  expect(messages[1]).toContain("<mechanism>SCRAM-SHA-256</mechanism>");
  expect(messages[1]).not.toContain("starttls");
  client.send(`<auth xmlns='${SASL}' mechanism='PLAIN'>${base64("\0romeo\0secret")}</auth>`);
  messages.push(await client.next());
  client.send(OPEN);
  messages.push(await client.next(), await client.next());
  messages.push(await client.bind("orchard"));
  web.kit.router.bound[0]?.session.deliver(message("wherefore"));
  messages.push(await client.next());
  const elements = messages.map((text) => parseElement(Buffer.from(text)));
  expect(
    elements.map(({ name, attrs }) => `${name} ${attrs.xmlns ?? attrs["xmlns:stream"]}`),
  ).toEqual([
    `open ${FRAMING}`,
    "features http://etherx.jabber.org/streams",
    `success ${SASL}`,
    `open ${FRAMING}`,
    "features http://etherx.jabber.org/streams",
    "iq jabber:client",
    "message jabber:client",
  ]);
  client.send("<message xmlns='jabber:client'><body>here</body></message>");
  await until(() => web.kit.router.stanzas.length === 1, "the stanza comes");
  client.send(`<close xmlns='${FRAMING}'/>`);
  expect(await client.next()).toBe(`<close xmlns='${FRAMING}'/>`);
  expect(await client.closed()).toBe(1000);
  await until(() => web.kit.router.ended.length === 1, "the session ends");
  expect(web.kit.complaints).toEqual([]);
});

test.each<[string, string | Buffer, string]>([
  ["a binary message", Buffer.from("<presence xmlns='jabber:client'/>"), "bad-format"],
  [
    "two stanzas in one message",
    "<presence xmlns='jabber:client'/><presence xmlns='jabber:client'/>",
    "not-well-formed",
  ],
  ["half a stanza", "<presence xmlns='jabber:client'>", "not-well-formed"],
  ["a stanza without a namespace", "<presence/>", "invalid-namespace"],
  ["whitespace", " ", "not-well-formed"],
  ["nothing", "", "not-well-formed"],
  ["text around a stanza", " <presence xmlns='jabber:client'/>", "not-well-formed"],
  [
    "an XML declaration",
    "<?xml version='1.0'?><presence xmlns='jabber:client'/>",
    "not-well-formed",
  ],
  ["a comment", "<presence xmlns='jabber:client'><!-- x --></presence>", "restricted-xml"],
  ["another header", OPEN, "bad-format"],
  ["an unknown element", "<x xmlns='urn:x'/>", "unsupported-stanza-type"],
])("%s from a bound client ends its stream with an error", async (_, text, condition) => {
  await using web = await openWebKit();
  const { client } = await web.bound();
  client.send(text);
  expect(await client.next()).toContain(`<${condition} xmlns='${STREAM_ERRORS}'/>`);
  expect(await client.next()).toBe(`<close xmlns='${FRAMING}'/>`);
  expect(await client.closed()).toBe(1000);
  await until(() => web.kit.router.ended.length === 1, "the session ends");
  expect(web.kit.router.stanzas).toEqual([]);
});

test.each([
  [
    "the header of TCP",
    "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'/>",
    "invalid-namespace",
  ],
  ["another element of the framing", `<opened xmlns='${FRAMING}' to='localhost'/>`, "bad-format"],
  ["a header for somebody else", OPEN.replace("localhost", "elsewhere"), "host-unknown"],
  [
    "a header without a version",
    `<open xmlns='${FRAMING}' to='localhost'/>`,
    "unsupported-version",
  ],
])("%s instead of a header is refused", async (_, header, condition) => {
  await using web = await openWebKit();
  const client = await web.connect();
  client.send(header);
  expect(await client.next()).toContain("<open ");
  expect(await client.next()).toContain(`<${condition} `);
  expect(await client.next()).toContain("<close ");
  expect(await client.closed()).toBe(1000);
});

test("before login a large message is refused before it is whole", async () => {
  await using web = await openWebKit();
  const client = await web.connect();
  await client.open();
  client.socket.send("<iq xmlns='jabber:client'>", { fin: false });
  client.socket.send("a".repeat(20_000), { fin: false });
  expect(await client.next()).toContain("<policy-violation ");
});

test("STARTTLS is not to be had over WebSocket", async () => {
  await using web = await openWebKit();
  const client = await web.connect();
  await client.open();
  client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
  expect(await client.next()).toBe("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
  expect(await client.next()).toContain("<close ");
});

/** The status of a handshake with these headers; 101 when it succeeds. */
function handshake(port: number, headers: Record<string, string>, path = "/xmpp-websocket") {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const key = { "Sec-WebSocket-Key": base64("0123456789abcdef"), "Sec-WebSocket-Version": "13" };
  const upgrade = { Connection: "Upgrade", Upgrade: "websocket" };
  const asked = request({ port, path, headers: { ...upgrade, ...key, ...headers } });
  asked.on("upgrade", ({ statusCode }, socket) => {
    socket.destroy();
    resolve(statusCode ?? 0);
  });
  asked.on("response", ({ statusCode }) => resolve(statusCode ?? 0));
  asked.on("error", reject);
  asked.end();
  return promise;
}

test("handshakes that are not for us are refused by status, and count for nothing", async () => {
  await using web = await openWebKit({
    origins: ["https://chat.example.org"],
    door: { config: { connectionsPerAddressMax: 1 } },
  });
  const { port } = web.web;
  const xmpp = { "Sec-WebSocket-Protocol": "xmpp" };
  expect(await handshake(port, {})).toBe(400);
  expect(await handshake(port, { "Sec-WebSocket-Protocol": "mqtt" })).toBe(400);
  expect(await handshake(port, { ...xmpp, Origin: "https://evil.example" })).toBe(403);
  expect(await handshake(port, { ...xmpp, "Sec-WebSocket-Version": "7" })).toBe(400);
  expect(await handshake(port, { ...xmpp, "Sec-WebSocket-Key": "short" })).toBe(400);
  expect(await handshake(port, xmpp, "/elsewhere")).toBe(404);
  const client = await web.connect({ origin: "https://chat.example.org" });
  expect(await handshake(port, xmpp)).toBe(429);
  client.socket.terminate();
  await until(() => web.kit.door.stats.connections === 0, "the client is gone");
  expect(await handshake(port, { ...xmpp, Origin: "HTTPS://chat.example.org" })).toBe(101);
  expect(web.kit.complaints).toEqual([]);
});

test("a frame that breaks WebSocket's own rules ends the connection and the session", async () => {
  await using web = await openWebKit();
  const { client } = await web.bound();
  const { _socket: raw } = client.socket as unknown as { _socket: NodeJS.WritableStream };
  raw.write(Buffer.from([0x81, 0x05, 0x68, 0x65, 0x6c, 0x6c, 0x6f])); // Not masked.
  expect(await client.closed()).toBe(1002);
  await until(() => web.kit.router.ended.length === 1, "the session ends");
});

test("a peer that answers no ping is dropped, and one that does stays", async () => {
  const clock = new FakeClock();
  await using web = await openWebKit({ door: { clock } });
  const { client: alive } = await web.bound("alive");
  const dead = await web.connect({ autoPong: false });
  await dead.logIn();
  await dead.bind("dead");
  let pings = 0;
  alive.socket.on("ping", () => {
    pings += 1;
  });
  for (let sweep = 1; sweep <= 8; sweep += 1) {
    const { bytesIn } = web.kit.door.stats;
    clock.advance(15_000);
    if (sweep >= 4 && sweep < 8) await once(dead.socket, "ping");
    if (sweep === 4) await until(() => web.kit.door.stats.bytesIn > bytesIn, "one answers");
  }
  await until(() => web.kit.router.ended.length === 1, "the dead one is dropped");
  expect(web.kit.router.ended[0]?.session.jid.resource).toBe("dead");
  alive.send("<presence xmlns='jabber:client'/>");
  await until(() => web.kit.router.stanzas.length === 1, "the other one lives");
  expect(pings).toBeGreaterThan(0);
});

test("a peer that does not read is dropped, and what waited is given back", async () => {
  await using web = await openWebKit({ door: { limits: { waitingBytesMax: 200_000 } } });
  const { client, session } = await web.bound();
  client.socket.pause();
  const text = "x".repeat(50_000);
  let sent = 0;
  while (session.deliver(message(text))) {
    sent += 1;
    if (sent > 10_000) throw new Error("Cannot test: everything is taken");
    await new Promise((resolve) => setImmediate(resolve));
  }
  await until(() => web.kit.router.ended.length === 1, "it is dropped");
  expect(web.kit.router.ended[0]?.unacknowledged.length).toBeGreaterThan(0);
});

test("only a trusted proxy says who is behind it, and that the way there is safe", async () => {
  const config = { plaintextAuthOnLoopback: false };
  const headers = { "x-forwarded-for": "192.0.2.7, 10.1.2.3", "x-forwarded-proto": "https" };
  {
    await using web = await openWebKit({
      door: { config },
      web: { trustedProxies: ["127.0.0.1", "10.0.0.0/8"] },
    });
    const client = await web.connect({ headers });
    expect(await client.open()).toContain("<mechanism>PLAIN</mechanism>");
  }
  await using web = await openWebKit({ door: { config } });
  const client = await web.connect({ headers });
  expect(await client.open()).not.toContain("<mechanism>");
  await expect(openWebKit({ web: { trustedProxies: ["10.0.0.0/33"] } })).rejects.toThrow(
    "Cannot use web.trustedProxies: 10.0.0.0/33 is no address or network",
  );
});

test("a drain closes WebSocket streams with system-shutdown, and new ones get 503", async () => {
  await using web = await openWebKit();
  const { client } = await web.bound();
  const drained = web.kit.door.drain({ perSecond: 1_000, deadlineMs: 60_000 });
  expect(await client.next()).toContain("<system-shutdown ");
  expect(await client.next()).toContain("<close ");
  expect(await handshake(web.web.port, { "Sec-WebSocket-Protocol": "xmpp" })).toBe(503);
  client.send(`<close xmlns='${FRAMING}'/>`);
  expect(await client.closed()).toBe(1000);
  await drained;
});

test("who connects and says nothing, in the clear or where TLS is due, is not kept", async () => {
  for (const tls of [undefined, new TlsContexts(CERTIFICATE)]) {
    const timeouts = { headersMs: 200, requestMs: 400, checkMs: 50 };
    await using web = await openWebKit({ web: { tls, timeouts } });
    const silent = connect(web.web.port, "127.0.0.1");
    silent.resume();
    await once(silent, "close");
    await until(() => web.web.connections === 0, "nothing is kept");
  }
});

test("a stanza over the limit after login is refused as soon as too much of it has come", async () => {
  await using web = await openWebKit({ door: { config: { stanzaBytesMax: 20_000 } } });
  const { client } = await web.bound();
  client.socket.send("<message xmlns='jabber:client'><body>", { fin: false });
  client.socket.send("a".repeat(30_000), { fin: false });
  expect(await client.next()).toContain("<policy-violation ");
  expect(await client.next()).toContain("<close ");
  expect(await client.closed()).toBe(1000);
  await until(() => web.kit.router.ended.length === 1, "the session ends");
});

test("a client that only ever pings is not taken for one with a message without end", async () => {
  await using web = await openWebKit();
  const client = await web.connect();
  for (let count = 0; count < 300; count += 1) {
    client.socket.ping("x".repeat(100));
    await once(client.socket, "pong");
  }
  await client.logIn();
  expect(await client.bind("orchard")).toContain("<jid>");
});
