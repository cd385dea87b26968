import { expect, test } from "vitest";
import { Unavailable } from "../base/errors.ts";
import { issue, makeAuthority } from "../config/certificates.ts";
import type { Route, RouteSet } from "../routes/contract.ts";
import { CERTIFICATE, logIn, openKit, testRoutes, until } from "./testing/door-kit.ts";
import { base64, HEADER, RawClient, SASL } from "./testing/raw-client.ts";

const STREAM_END = "</stream:stream>";
const BIND = "<iq type='set' id='x'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>";
const ACKS = "urn:xmpp:sm:3";

test("a client secures its stream, logs in with SCRAM, binds and is told its address", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  expect(await client.open()).toContain("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'>");
  await client.startTls();
  const features = await client.open();
  expect(features).not.toContain("starttls");
  expect(features).toContain("<mechanism>SCRAM-SHA-256-PLUS</mechanism>");
  expect(await client.scram("SCRAM-SHA-256", "romeo", "secret")).toContain("<success");
  expect(await client.open()).toContain("<bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>");
  expect(await client.bind("orchard")).toContain("<jid>romeo@localhost/orchard</jid>");
  expect(kit.door.sessions.get("romeo@localhost/orchard")?.route.node).toBe("this-node");
  expect(kit.door.negotiating).toBe(0);
});

test("a header says who we are, echoes the client and is not the same twice", async () => {
  await using kit = await openKit();
  const ids = new Set<string | undefined>();
  for (let turn = 0; turn < 2; turn += 1) {
    const client = await kit.connect();
    const header = HEADER.replace("to='localhost'", "to='LOCALHOST' from='r&amp;j@localhost/x'");
    client.send(header.replace("r&amp;j", "romeo"));
    const answer = await client.read(/<stream:stream[^>]*>/);
    expect(answer).toContain("from='localhost'");
    expect(answer).toContain("to='romeo@localhost'");
    expect(answer).toContain("version='1.0'");
    expect(answer).toContain("xml:lang='en'");
    ids.add(/ id='([^']{12,})'/.exec(answer)?.[1]);
  }
  expect(ids.size).toBe(2);
});

test.each([
  ["a domain that is not ours", HEADER.replace("'localhost'", "'example.net'"), "host-unknown"],
  ["no domain", HEADER.replace(" to='localhost'", ""), "host-unknown"],
  ["a user instead of a domain", HEADER.replace("to='l", "to='romeo@l"), "host-unknown"],
  ["no version", HEADER.replace(" version='1.0' to", " to"), "unsupported-version"],
  ["an old version", HEADER.replace("'1.0' to", "'0.9' to"), "unsupported-version"],
  ["servers' namespace", HEADER.replace("jabber:client", "jabber:server"), "invalid-namespace"],
  ["another stream namespace", HEADER.replace("etherx", "other"), "invalid-namespace"],
  ["another root element", HEADER.replace("<stream:stream", "<stream:river"), "bad-format"],
  ["text before the stream", `GET / HTTP/1.1\r\n${HEADER}`, "not-well-formed"],
  ["a DTD", `<!DOCTYPE x>${HEADER}`, "restricted-xml"],
])("a header with %s gets our header, the error and the end", async (_, header, condition) => {
  await using kit = await openKit();
  const client = await kit.connect();
  client.send(header);
  const all = await client.readToEnd();
  expect(all).toMatch(/^<\?xml version='1.0'\?><stream:stream [^>]* from='localhost'/);
  expect(all).toContain(`<${condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>`);
  expect(all.endsWith(`</stream:error>${STREAM_END}`)).toBe(true);
});

test.each([
  ["a message", "<message to='a@localhost'/>", "not-authorized"],
  ["bind", BIND, "not-authorized"],
  ["an unknown element", "<x xmlns='urn:x'/>", "unsupported-stanza-type"],
  ["a stanza of another namespace", "<iq xmlns='jabber:server'/>", "unsupported-stanza-type"],
  ["broken XML", "<iq></message>", "not-well-formed"],
  [
    "registration, when it is off",
    "<iq type='get'><query xmlns='jabber:iq:register'/></iq>",
    "not-authorized",
  ],
])("%s before login ends the stream", async (_, text, condition) => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  client.send(text);
  const rest = await client.readToEnd();
  expect(rest).toContain(`<${condition} xmlns`);
  expect(rest.endsWith(STREAM_END)).toBe(true);
});

test.each([
  ["a message", "<message to='a@localhost'/>", "not-authorized"],
  [
    "another request than bind",
    "<iq type='get' id='1'><ping xmlns='urn:xmpp:ping'/></iq>",
    "not-authorized",
  ],
  [
    "a second login",
    `<auth xmlns='${SASL}' mechanism='PLAIN'>AA==</auth>`,
    "unsupported-stanza-type",
  ],
  ["a bind request of the wrong type", BIND.replace("set", "get"), "not-authorized"],
])("%s between login and bind ends the stream", async (_, text, condition) => {
  await using kit = await openKit();
  const client = await kit.connect();
  await logIn(client);
  client.send(text);
  expect(await client.readToEnd()).toContain(`<${condition} xmlns`);
});

test("STARTTLS twice, and STARTTLS after login, is a failure and the end", async () => {
  await using kit = await openKit();
  const twice = await kit.connect();
  await twice.open();
  await twice.startTls();
  await twice.open();
  twice.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
  const failure = `<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>${STREAM_END}`;
  expect(await twice.readToEnd()).toBe(failure);
  const late = await kit.connect();
  await logIn(late);
  late.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
  expect(await late.readToEnd()).toBe(failure);
});

test("what a client sends behind STARTTLS in the clear is never obeyed", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  const login = base64("\0romeo\0secret");
  client.send(
    `<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>` +
      `<auth xmlns='${SASL}' mechanism='PLAIN'>${login}</auth><iq type='get'`,
  );
  await client.read(/<proceed[^>]*>/);
  await client.secure();
  const features = await client.open();
  expect(features).toMatch(/^<\?xml/);
  expect(features).not.toContain("success");
  expect(kit.accounts.reads).toBe(0);
});

test("plaintext after <proceed/> is not a handshake: the connection ends without an answer", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  client.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
  await client.read(/<proceed[^>]*>/);
  client.send(HEADER);
  expect(await client.readToEnd()).not.toContain("<");
  await until(() => kit.door.stats.connections === 0, "the connection is forgotten");
});

test("where TLS is required nothing but STARTTLS is offered and logging in is refused", async () => {
  await using kit = await openKit({ config: { tls: "required", plaintextAuthOnLoopback: false } });
  const client = await kit.connect();
  const features = await client.open();
  expect(features).toContain("<required/>");
  expect(features).not.toContain("mechanism");
  client.plain("romeo", "secret");
  expect(await client.read(/<failure.*<\/failure>/)).toContain("<encryption-required/>");
  expect(kit.accounts.reads).toBe(0);
});

test("TLS that is only offered still protects passwords where loopback is no exception", async () => {
  await using kit = await openKit({ config: { plaintextAuthOnLoopback: false } });
  const client = await kit.connect();
  expect(await client.open()).not.toContain("mechanism");
  client.plain("romeo", "secret");
  expect(await client.read(/<failure.*<\/failure>/)).toContain("<encryption-required/>");
});

test("direct TLS speaks XMPP from the first byte and knows its ALPN name", async () => {
  await using kit = await openKit({ config: { tls: "required", plaintextAuthOnLoopback: false } });
  const client = await RawClient.connectTls(kit.door.directTlsPort ?? 0, {
    ALPNProtocols: ["xmpp-client"],
  });
  expect("alpnProtocol" in client.socket && client.socket.alpnProtocol).toBe("xmpp-client");
  expect(await client.open()).toContain("<mechanism>PLAIN</mechanism>");
  client.plain("romeo", "secret");
  expect(await client.read(/<success[^>]*>/)).toContain("success");
  const other = RawClient.connectTls(kit.door.directTlsPort ?? 0, { ALPNProtocols: ["h2"] });
  await expect(other).rejects.toThrow(/alert/i);
  client.destroy();
});

test("-PLUS binds the login to the channel, and to no other", async () => {
  await using kit = await openKit();
  const client = await RawClient.connectTls(kit.door.directTlsPort ?? 0);
  expect(await client.open()).toContain("<channel-binding type='tls-exporter'/>");
  const { socket } = client;
  if (!("exportKeyingMaterial" in socket)) throw new Error("Cannot test: no TLS");
  const exported = socket.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", Buffer.alloc(0));
  const gs2 = "p=tls-exporter,,";
  const wrong = { gs2, channelBinding: Buffer.alloc(32) };
  expect(await client.scram("SCRAM-SHA-256-PLUS", "romeo", "secret", wrong)).toContain(
    "<not-authorized/>",
  );
  const right = { gs2, channelBinding: exported };
  expect(await client.scram("SCRAM-SHA-1-PLUS", "romeo", "secret", right)).toContain("<success");
  client.destroy();
});

test("a new certificate is shown to new connections while old ones go on", async () => {
  await using kit = await openKit();
  const port = kit.door.directTlsPort ?? 0;
  const subject = (client: RawClient) =>
    "getPeerCertificate" in client.socket ? client.socket.getPeerCertificate().subject.CN : "";
  const before = await RawClient.connectTls(port);
  expect(subject(before)).toBe("localhost");
  const renewed = await issue(await makeAuthority("other"), {
    commonName: "renewed",
    names: ["localhost"],
  });
  kit.door.setSecureContext({ ...CERTIFICATE, byDomain: { localhost: renewed } });
  const after = await RawClient.connectTls(port);
  expect(subject(after)).toBe("renewed");
  expect(await before.open()).toContain("<mechanism>");
  expect(() => kit.door.setSecureContext({ certificate: "x", key: "y" })).toThrow();
  const still = await RawClient.connectTls(port);
  expect(subject(still)).toBe("renewed");
  for (const client of [before, after, still]) client.destroy();
});

test("a client that sends one byte at a time gets as far as any other", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  const slowly = (text: string) => {
    for (const byte of Buffer.from(text)) client.send(Buffer.from([byte]));
  };
  slowly(HEADER);
  await client.read("</stream:features>");
  slowly(`<auth xmlns='${SASL}' mechanism='PLAIN'>${base64("\0romeo\0secret")}</auth>`);
  await client.read(/<success[^>]*>/);
  slowly(HEADER);
  await client.read("</stream:features>");
  slowly(BIND);
  expect(await client.read(/<iq.*<\/iq>/)).toContain("<jid>romeo@localhost/");
});

test("everything up to bind may come in one piece after login, in order", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  client.plain("romeo", "secret");
  await client.read(/<success[^>]*>/);
  const session =
    "<iq type='set' id='s'><session xmlns='urn:ietf:params:xml:ns:xmpp-session'/></iq>";
  client.send(`${HEADER}${BIND}${session}<presence/><message to='a@localhost'/>`);
  const answers = await client.read(/id='s'[^>]*>/);
  expect(answers.indexOf("<jid>")).toBeLessThan(answers.indexOf("id='s'"));
  await until(() => kit.router.stanzas.length === 2, "presence and message arrive");
  expect(kit.router.stanzas.map(({ name }) => name)).toEqual(["presence", "message"]);
});

test("a resource is prepared, made up when none is wished, and refused when it cannot be", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await logIn(client);
  expect(await client.bind("\u0001".replace("\u0001", "&#x200E;\u00AD"))).toContain("<bad-request");
  expect(await client.bind("  ")).toContain("<jid>romeo@localhost/  </jid>");
  const other = await kit.connect();
  await logIn(other);
  expect(await other.bind()).toMatch(/<jid>romeo@localhost\/[\w-]{12,}<\/jid>/);
});

test("bind is refused while the routes are away, and may be tried again", async () => {
  const real = testRoutes();
  let isAway = true;
  const routes = {
    bind: (route: Route) =>
      isAway
        ? Promise.reject(new Unavailable("routes-timeout", "Cannot bind: no answer"))
        : real.bind(route),
    unbind: (route: Route) => real.unbind(route),
    read: (user: string) => real.read(user),
    takeOver: (route: Route, seen: RouteSet) => real.takeOver(route, seen),
    nodes: real.nodes,
    holdsLease: true,
  };
  await using kit = await openKit({ routes });
  const client = await kit.connect();
  await logIn(client);
  const refused = await client.bind("orchard");
  expect(refused).toContain("<error type='wait'><resource-constraint");
  expect(kit.door.sessions.size).toBe(0);
  isAway = false;
  expect(await client.bind("orchard")).toContain("<jid>romeo@localhost/orchard</jid>");
});

test("acknowledgements cannot be enabled, nor a stream resumed, before bind", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await logIn(client);
  client.send(`<enable xmlns='${ACKS}'/>`);
  expect(await client.read(/<failed.*<\/failed>/)).toContain("<unexpected-request");
  client.send(`<resume xmlns='${ACKS}' previd='x' h='0'/>`);
  expect(await client.read(/<failed.*<\/failed>/)).toContain("<item-not-found");
  expect(await client.bind()).toContain("<jid>");
});

test("a new header after login must name the same domain", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  client.plain("romeo", "secret");
  await client.read(/<success[^>]*>/);
  client.send(HEADER.replace("'localhost'", "'example.org'"));
  expect(await client.readToEnd()).toContain("<host-unknown xmlns");
});

test("a client that ends its stream is answered in kind", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  client.send(STREAM_END);
  expect(await client.readToEnd()).toBe(STREAM_END);
  await until(() => kit.door.stats.connections === 0, "the connection is forgotten");
  expect(kit.door.negotiating).toBe(0);
});
