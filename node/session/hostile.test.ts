import { expect, test } from "vitest";
import { FakeClock } from "../base/fake-clock.ts";
import { logIn, openKit, until } from "./testing/door-kit.ts";
import { HEADER, RawClient } from "./testing/raw-client.ts";

test("a stanza over the limit before login, and a larger one after it, ends the stream", async () => {
  await using kit = await openKit({ config: { stanzaBytesMax: 50_000 } });
  const early = await kit.connect();
  await early.open();
  early.send(`<iq type='set'><x xmlns='urn:x'>${"a".repeat(10_000)}`);
  expect(await early.readToEnd()).toContain("<policy-violation xmlns");

  const { client } = await kit.bound();
  client.send(`<message><body>${"a".repeat(40_000)}</body></message>`);
  await until(() => kit.router.stanzas.length === 1, "the smaller one arrives");
  client.send(`<message><body>${"a".repeat(50_000)}</body></message>`);
  expect(await client.readToEnd()).toContain("<policy-violation xmlns");
  expect(kit.router.stanzas).toHaveLength(1);
});

test("who does not bind in time is disconnected, however busy it looks", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock, config: { negotiationSeconds: 30 } });
  const silent = await kit.connect();
  const slow = await kit.connect();
  const half = await RawClient.connect(kit.door.directTlsPort ?? 0); // No handshake ever comes.
  await logIn(slow);
  await until(() => kit.door.negotiating === 3, "three negotiate");
  clock.advance(15_000);
  const late = await kit.connect();
  await until(() => kit.door.negotiating === 4, "a fourth begins");
  slow.send("<iq type='set' id=");
  clock.advance(14_999);
  expect(kit.door.negotiating).toBe(4);
  clock.advance(1);
  expect(await silent.readToEnd()).toContain("<connection-timeout xmlns");
  expect(await slow.readToEnd()).toContain("<connection-timeout xmlns");
  expect(kit.door.negotiating).toBe(1);
  clock.advance(2_000); // Whoever does not even shake hands is dropped after the linger.
  await half.closed();
  await logIn(late);
  await late.bind();
  clock.advance(60_000);
  expect(kit.door.sessions.size).toBe(1);
});

test("a peer that never closes its side is dropped", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock });
  const client = await kit.connect();
  await client.open();
  client.socket.removeAllListeners("end");
  client.socket.allowHalfOpen = true;
  client.send("<x/>");
  await client.read("</stream:stream>");
  expect(kit.door.stats.connections).toBe(1);
  await until(() => {
    clock.advance(2_000);
    return kit.door.stats.connections === 0;
  }, "the connection is dropped");
});

test("connections beyond the limit are told so, and room comes back", async () => {
  await using kit = await openKit({ config: { connectionsMax: 2 } });
  const first = await kit.connect();
  const second = await kit.connect();
  await Promise.all([first.open(), second.open()]);
  const third = await kit.connect();
  expect(await third.readToEnd()).toContain("<resource-constraint xmlns");
  first.destroy();
  await until(() => kit.door.stats.connections === 1, "one leaves");
  const fourth = await kit.connect();
  expect(await fourth.open()).toContain("<stream:features>");
});

test("one address cannot take all connections", async () => {
  await using kit = await openKit({ config: { connectionsPerAddressMax: 1 } });
  const first = await kit.connect();
  await first.open();
  const second = await kit.connect();
  expect(await second.readToEnd()).toContain("<policy-violation xmlns");
  const other = await RawClient.connect(kit.door.port, "127.0.0.2");
  expect(await other.open()).toContain("<stream:features>");
  other.destroy();
  first.destroy();
  await until(() => kit.door.stats.connections === 0, "all leave");
  expect(await (await kit.connect()).open()).toContain("<stream:features>");
});

test("junk where TLS is expected, and connections that break at once, disturb nobody", async () => {
  await using kit = await openKit();
  const { client } = await kit.bound();
  for (const junk of [
    "GET / HTTP/1.1\r\n\r\n",
    "\x16\x03\x01\xff\xff",
    HEADER,
    "\0".repeat(70_000),
  ]) {
    const bad = await RawClient.connect(kit.door.directTlsPort ?? 0);
    bad.send(junk);
    bad.socket.end();
    await bad.closed();
  }
  for (let turn = 0; turn < 20; turn += 1) {
    const gone = await RawClient.connect(kit.door.port);
    if ("resetAndDestroy" in gone.socket) gone.socket.resetAndDestroy();
  }
  await until(() => kit.door.stats.connections === 1, "only one is left");
  client.send("<message/>");
  await until(() => kit.router.stanzas.length === 1, "it still speaks");
  expect(kit.complaints).toEqual([]);
});

test.each([
  ["a comment", "<message><!-- x --></message>", "restricted-xml"],
  ["a processing instruction", "<?php x?>", "restricted-xml"],
  ["an entity", "<message><body>&nbsp;</body></message>", "restricted-xml"],
  ["an undeclared prefix", "<message><x:y/></message>", "not-well-formed"],
  ["text between stanzas", "<message/>hello", "not-well-formed"],
  [
    "half a character",
    Buffer.from([...Buffer.from("<message><body>"), 0xc3, ...Buffer.from("</body></message>")]),
    "unsupported-encoding",
  ],
  ["an unknown element", "<x xmlns='urn:x'/>", "unsupported-stanza-type"],
  ["a stanza of another namespace", "<message xmlns='jabber:server'/>", "unsupported-stanza-type"],
  ["another sender", "<message from='juliet@localhost'/>", "invalid-from"],
  ["another resource as sender", "<message from='romeo@localhost/other'/>", "invalid-from"],
  ["a sender that is no address", "<message from='@'/>", "invalid-from"],
  ["levels without end", "<a>".repeat(10_000), "policy-violation"],
])("%s from a bound client ends its stream with an error", async (_, text, condition) => {
  await using kit = await openKit();
  const { client } = await kit.bound();
  client.send(text);
  const rest = await client.readToEnd();
  expect(rest).toContain(`<${condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>`);
  expect(rest.endsWith("</stream:stream>")).toBe(true);
  await until(() => kit.router.ended.length === 1, "the session ends");
  expect(kit.door.sessions.size).toBe(0);
});

test("its own bare or full address, however written, is a client's right sender", async () => {
  await using kit = await openKit();
  const { client } = await kit.bound();
  client.send(
    "<message from='romeo@localhost'/><message from='ROMEO@localhost/orchard'/>" +
      "<message from='romeo@localhost/orchard'/>",
  );
  await until(() => kit.router.stanzas.length === 3, "all three arrive");
});

test("a domain that is not served any more ends its streams and sessions, and no others", async () => {
  const domains = new Set(["localhost", "example.org"]);
  await using kit = await openKit({ domains });
  const { client } = await kit.bound();
  const early = await kit.connect();
  await early.open();
  const other = await kit.connect();
  await other.open(HEADER.replace("to='localhost'", "to='example.org'"));
  domains.delete("localhost");
  kit.door.closeDomain("localhost");
  expect(await early.readToEnd()).toContain("<host-gone xmlns");
  expect(await client.read(/<\/stream:stream>/)).toContain("<host-gone xmlns");
  client.send("</stream:stream>");
  await until(() => kit.router.ended.length === 1, "the session ends");
  expect([kit.door.sessions.size, kit.door.negotiating]).toEqual([0, 1]);
  const late = await kit.connect();
  late.send(HEADER);
  expect(await late.readToEnd()).toContain("<host-unknown xmlns");
  other.send("<x/>");
  expect(await other.readToEnd()).toContain("<unsupported-stanza-type xmlns");
});

test("a session that its client could have resumed ends with its domain, too", async () => {
  await using kit = await openKit({ config: { resumeSeconds: 60 } });
  const { client } = await kit.bound();
  client.send("<enable xmlns='urn:xmpp:sm:3' resume='true'/>");
  await client.read(/<enabled [^>]*resume='true'[^>]*>/);
  client.destroy();
  await until(() => kit.door.detached === 1, "it waits for its client");
  kit.door.closeDomain("localhost");
  await until(() => kit.router.ended.length === 1, "it ends");
  expect([kit.door.sessions.size, kit.door.detached]).toEqual([0, 0]);
});
