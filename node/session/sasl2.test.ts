/** XEP-0388 and XEP-0386: one round trip from the features to a bound session. */
import { expect, test } from "vitest";
import { makeCredentials } from "../auth/credentials.ts";
import { Unavailable } from "../base/errors.ts";
import { el } from "../xml/element.ts";
import type { ClientSession } from "./contract.ts";
import type { Kit } from "./testing/door-kit.ts";
import { message, openKit, testRoutes, until } from "./testing/door-kit.ts";
import type { RawClient } from "./testing/raw-client.ts";
import { base64, HEADER, SASL, SASL2 } from "./testing/raw-client.ts";

const BIND2 = "urn:xmpp:bind:0";
const AGENT = "d4565fa7-4d72-4749-b3d3-740edbf87770";
const agent = (id = AGENT) =>
  `<user-agent id='${id}'><software>Balcony</software><device>x</device></user-agent>`;
const bind = (content = "") => `<bind xmlns='${BIND2}'>${content}</bind>`;
const CARBONS = "urn:example:carbons";

const identifier = (answer: string) =>
  /<authorization-identifier>([^<]*)<\/authorization-identifier>/.exec(answer)?.[1];
const failure = (client: RawClient) => client.read(/<failure.*<\/failure>/);
const PLAIN_ROMEO = base64("\0romeo\0secret");

test("the features say what a client can have at once, after TLS alone", async () => {
  await using kit = await openKit({ config: { plaintextAuthOnLoopback: false } });
  const client = await kit.connect();
  expect(await client.open()).not.toContain(SASL2);
  await client.startTls();
  const features = await client.open();
  const [authentication = ""] = /<authentication.*<\/authentication>/.exec(features) ?? [];
  expect(authentication).toContain(`<authentication xmlns='${SASL2}'><mechanism>`);
  expect(authentication).toContain("<mechanism>SCRAM-SHA-512-PLUS</mechanism>");
  expect(authentication).toContain(
    `<inline><bind xmlns='${BIND2}'><inline><feature var='urn:xmpp:sm:3'/></inline></bind>` +
      "<sm xmlns='urn:xmpp:sm:3'/></inline>",
  );
});

test.each(["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"])(
  "%s logs in without a new header, and the features follow at once",
  async (mechanism) => {
    await using kit = await openKit();
    const client = await kit.connect();
    await client.open();
    const answer = await client.scram2(mechanism, "romeo", "secret");
    expect(answer).toMatch(/^<success xmlns='urn:xmpp:sasl:2'><additional-data>[^<]+<\/add/);
    expect(identifier(answer)).toBe("romeo@localhost");
    expect(answer).toContain(
      "</success><stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/>",
    );
    expect(await client.bind("orchard")).toContain("<jid>romeo@localhost/orchard</jid>");
  },
);

test("PLAIN has no data to add to its success", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  expect(await client.plain2("romeo", "secret")).toMatch(
    /^<success xmlns='urn:xmpp:sasl:2'><authorization-identifier>romeo@localhost</,
  );
});

test("a mechanism without an initial response is asked for it", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  client.authenticate("PLAIN", undefined);
  expect(await client.read(/<challenge[^>]*>.*<\/challenge>/)).toContain(`xmlns='${SASL2}'`);
  client.send(`<response xmlns='${SASL2}'>${PLAIN_ROMEO}</response>`);
  expect(identifier(await client.read(/<success.*<\/success>/))).toBe("romeo@localhost");
});

test("a resource is bound along with the login, acknowledgements are on, and it is live", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  const wishes = `${agent()}${bind("<tag>Balcony</tag><enable xmlns='urn:xmpp:sm:3'/>")}`;
  const answer = await client.scram2("SCRAM-SHA-256", "romeo", "secret", { extensions: wishes });
  const address = identifier(answer);
  expect(address).toMatch(/^romeo@localhost\/Balcony\/[\w-]{12}$/);
  expect(answer).toContain(`<bound xmlns='${BIND2}'><enabled xmlns='urn:xmpp:sm:3'`);
  const [, features = ""] = answer.split("</success>");
  expect(features).not.toContain("urn:ietf:params:xml:ns:xmpp-bind");
  expect(features).not.toContain("urn:xmpp:sm:3");
  const { session } = kit.router.bound[0] ?? {};
  expect(session?.jid.full).toBe(address);
  session?.deliver(message("good night"));
  await client.read(/good night.*<r xmlns='urn:xmpp:sm:3'\/>/);
  client.send("<a xmlns='urn:xmpp:sm:3' h='1'/><presence/>");
  await until(() => kit.router.stanzas.length === 1, "presence");
  client.send("</stream:stream>");
  await until(() => kit.router.ended.length === 1, "the end");
  expect(kit.router.ended[0]?.unacknowledged).toEqual([]);
});

test("a client that says who it is has one address, and replaces itself", async () => {
  await using kit = await openKit();
  const login = async (extensions: string) => {
    const client = await kit.connect();
    await client.open();
    const answer = await client.plain2("romeo", "secret", extensions);
    return { client, address: identifier(answer) ?? "" };
  };
  const first = await login(`${agent()}${bind("<tag>Balcony</tag>")}`);
  const again = await login(`${agent(AGENT.toUpperCase())}${bind("<tag>Balcony</tag>")}`);
  expect(again.address).toBe(first.address);
  expect(first.address).not.toContain(AGENT.slice(0, 8));
  expect(await first.client.readToEnd()).toContain("<conflict");
  const others = [
    await login(`${agent()}${bind("<tag>Garden</tag>")}`),
    await login(`${agent()}${bind()}`),
    await login(`${agent("d4565fa7-4d72-4749-b3d3-740edbf87771")}${bind("<tag>Balcony</tag>")}`),
    await login(`${agent("guessable")}${bind("<tag>Balcony</tag>")}`),
    await login(`${agent("guessable")}${bind("<tag>Balcony</tag>")}`),
    await login(bind("<tag>Balcony</tag>")),
  ];
  const addresses = [again, ...others].map(({ address }) => address);
  expect(new Set(addresses).size).toBe(addresses.length);
  expect(kit.door.sessions.size).toBe(addresses.length);
});

test.each([
  ["is not allowed in addresses", "a&#x2028;b"],
  ["is longer than an address may be", "x".repeat(1_020)],
])("a tag that %s is left out", async (_, tag) => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  const answer = await client.plain2("romeo", "secret", bind(`<tag>${tag}</tag>`));
  expect(identifier(answer)).toMatch(/^romeo@localhost\/[\w-]{16}$/);
});

test("modules enable what they registered; what nobody knows is passed over", async () => {
  const asked: string[] = [];
  const enable = (session: ClientSession, request: { name: string }) => {
    asked.push(`${session.jid.bare} ${request.name}`);
    return el("on", { xmlns: CARBONS });
  };
  await using kit = await openKit({ inline: [{ ns: CARBONS, enable }] });
  const client = await kit.connect();
  expect(await client.open()).toContain(`<feature var='${CARBONS}'/>`);
  const features = `<enable xmlns='${CARBONS}'/><enable xmlns='urn:example:unknown'/>`;
  const answer = await client.plain2("romeo", "secret", bind(features));
  expect(answer).toContain(`<bound xmlns='${BIND2}'><on xmlns='${CARBONS}'/></bound>`);
  expect(asked).toEqual(["romeo@localhost enable"]);
});

test("modules tell a bound client what they can say, after all is enabled; the login does not depend on it", async () => {
  const order: string[] = [];
  const enable = () => {
    order.push("enabled");
    return undefined;
  };
  const describe = ({ jid }: ClientSession) => {
    order.push("described");
    return el("metadata", { xmlns: "urn:example:archive", of: jid.bare });
  };
  await using kit = await openKit({
    inline: [{ ns: CARBONS, enable }],
    boundNotes: [
      { describe },
      { describe: async () => undefined },
      { describe: () => Promise.reject(new Unavailable("store-timeout", "Cannot read")) },
    ],
  });
  const client = await kit.connect();
  await client.open();
  const answer = await client.plain2("romeo", "secret", bind(`<enable xmlns='${CARBONS}'/>`));
  expect(answer).toMatch(/<bound [^>]*><metadata [^>]*of='romeo@localhost'[^>]*\/><\/bound>/);
  expect(order).toEqual(["enabled", "described"]);
  const unbound = await kit.connect();
  await unbound.open();
  expect(await unbound.plain2("romeo", "secret")).not.toContain("metadata");
});

test("what cannot be enabled undoes the bind, and the client may try again", async () => {
  let isAway = true;
  const enable = async () => {
    if (isAway) throw new Unavailable("store-timeout", "Cannot read");
    return undefined;
  };
  await using kit = await openKit({ inline: [{ ns: CARBONS, enable }] });
  const client = await kit.connect();
  await client.open();
  const wish = bind(`<enable xmlns='${CARBONS}'/>`);
  expect(await client.plain2("romeo", "secret", wish)).toContain("<temporary-auth-failure");
  await until(() => kit.router.ended.length === 1, "the undone session");
  expect(kit.door.sessions.size).toBe(0);
  isAway = false;
  expect(await client.plain2("romeo", "secret", wish)).toContain("<success");
  expect(kit.door.sessions.size).toBe(1);
});

test("routes that cannot be committed are a failure to retry, and nothing is bound", async () => {
  const bindRoute = () => Promise.reject(new Unavailable("routes-timeout", "Cannot bind"));
  await using kit = await openKit({ routes: { ...testRoutes(), bind: bindRoute } });
  const client = await kit.connect();
  await client.open();
  expect(await client.plain2("romeo", "secret", bind())).toContain("<temporary-auth-failure");
  expect(kit.router.bound).toEqual([]);
});

test("a client that says everything at once is served in order", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  client.send(
    `${HEADER}<authenticate xmlns='${SASL2}' mechanism='PLAIN'><initial-response>${PLAIN_ROMEO}` +
      `</initial-response>${bind()}</authenticate><presence/><message to='a@b'><body>1</body></message>`,
  );
  await client.read(/<success.*<\/stream:features>/s);
  await until(() => kit.router.stanzas.length === 2, "what came behind the login");
  expect(kit.router.stanzas.map(({ name }) => name)).toEqual(["presence", "message"]);
});

test("a client that binds the old way behind a login at once is served in order", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  client.send(
    `${HEADER}<authenticate xmlns='${SASL2}' mechanism='PLAIN'><initial-response>${PLAIN_ROMEO}` +
      "</initial-response></authenticate>" +
      "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq><presence/>",
  );
  expect(await client.read(/<iq[^>]*id='b'.*<\/iq>/s)).toContain("<jid>romeo@localhost/");
  await until(() => kit.router.stanzas.length === 1, "presence");
});

test("what comes behind a login that fails is not done", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  client.send(
    `<authenticate xmlns='${SASL2}' mechanism='PLAIN'><initial-response>` +
      `${base64("\0romeo\0wrong")}</initial-response>${bind()}</authenticate><presence/>`,
  );
  const end = await client.readToEnd();
  expect(end).toContain(`<failure xmlns='${SASL2}'><not-authorized xmlns='${SASL}'/>`);
  expect(end).toContain("<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>");
  expect(kit.router.bound).toEqual([]);
});

const start = (mechanism: string, content = "") =>
  `<authenticate xmlns='${SASL2}'${mechanism}>${content}</authenticate>`;

test.each([
  ["an unknown mechanism", start(" mechanism='DIGEST-MD5'"), "invalid-mechanism"],
  ["no mechanism", start(""), "invalid-mechanism"],
  ["-PLUS without a channel", start(" mechanism='SCRAM-SHA-1-PLUS'"), "invalid-mechanism"],
  [
    "no base64",
    start(" mechanism='PLAIN'", "<initial-response>!</initial-response>"),
    "incorrect-encoding",
  ],
  [
    "base64 that is cut off",
    start(" mechanism='PLAIN'", `<initial-response>${PLAIN_ROMEO.slice(0, -1)}</initial-response>`),
    "incorrect-encoding",
  ],
  [
    "an empty initial response",
    start(" mechanism='PLAIN'", "<initial-response/>"),
    "malformed-request",
  ],
  [
    "the sign RFC 6120 has for an empty one",
    start(" mechanism='PLAIN'", "<initial-response>=</initial-response>"),
    "incorrect-encoding",
  ],
  ["an answer to nothing", `<response xmlns='${SASL2}'>AA==</response>`, "malformed-request"],
  ["an abort", `<abort xmlns='${SASL2}'/>`, "aborted"],
])("%s fails with its own condition, and the client may go on", async (_, stanza, condition) => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  client.send(stanza);
  expect(await failure(client)).toBe(
    `<failure xmlns='${SASL2}'><${condition} xmlns='${SASL}'/></failure>`,
  );
  expect(await client.plain2("romeo", "secret")).toContain("<success");
});

const FIRST = base64("n,,n=romeo,r=fyko+d2lbbFgONRv9qkxdawL");

test.each([
  ["a second start", start(" mechanism='PLAIN'")],
  ["a start of the other profile", `<auth xmlns='${SASL}' mechanism='PLAIN'>${PLAIN_ROMEO}</auth>`],
  ["an answer of the other profile", `<response xmlns='${SASL}'>AA==</response>`],
  ["an abort", `<abort xmlns='${SASL2}'/>`],
])("%s in the middle ends the attempt, which then is over", async (_, stanza) => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  client.authenticate("SCRAM-SHA-1", FIRST, bind());
  await client.read(/<challenge.*<\/challenge>/);
  client.send(stanza);
  await failure(client);
  client.send(`<response xmlns='${SASL2}'>AA==</response>`);
  expect(await failure(client)).toContain("<malformed-request");
  expect(await client.plain2("romeo", "secret")).toContain("<success");
  expect(kit.router.bound).toEqual([]); // The wishes of an attempt that failed are forgotten.
});

test("two starts at once: the first is answered, the second ends the stream", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  const once = start(" mechanism='PLAIN'", `<initial-response>${PLAIN_ROMEO}</initial-response>`);
  client.send(once + once);
  const end = await client.readToEnd();
  expect(end).toContain("<success");
  expect(end).toContain("<unsupported-stanza-type");
});

test("who claims an address in the header cannot log in to another", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open(HEADER.replace("to=", "from='juliet@localhost' to="));
  expect(await client.plain2("romeo", "secret", bind())).toContain("<invalid-authzid");
  expect(kit.router.bound).toEqual([]);
  const own = await kit.connect();
  await own.open(HEADER.replace("to=", "from='Romeo@LOCALHOST/x' to="));
  expect(await own.plain2("romeo", "secret")).toContain("<success");
});

test("a request larger than a client may send before login ends the stream", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  const huge = "A".repeat(10_000_000);
  client.send(`<authenticate xmlns='${SASL2}' mechanism='PLAIN'><initial-response>${huge}`);
  expect(await client.readToEnd()).toContain("<policy-violation");
});

test("too many failed logins end the stream, of either profile together", async () => {
  await using kit = await openKit({ limits: { failedLoginsPerStreamMax: 3 } });
  const client = await kit.connect();
  await client.open();
  client.plain("romeo", "wrong");
  await failure(client);
  await client.plain2("romeo", "wrong");
  client.authenticate("PLAIN", base64("\0romeo\0wrong"));
  expect(await client.readToEnd()).toContain("<policy-violation xmlns");
});

test("a guest is bound along with its login, too", async () => {
  await using kit = await openKit({ anonymousDomains: ["example.org"] });
  const client = await kit.connect();
  await client.open(HEADER.replace("to='localhost'", "to='example.org' from='x@example.org'"));
  client.authenticate("ANONYMOUS", "", bind("<tag>Guest</tag>"));
  const answer = await client.read(/<success.*<\/stream:features>/s);
  expect(identifier(answer)).toMatch(/^[0-9a-f]{32}@example\.org\/Guest\/[\w-]{16}$/);
});

const ACKS = "urn:xmpp:sm:3";

/** A session with two stanzas that its client never got, and whose stream broke. */
async function leftBehind(kit: Kit) {
  const client = await kit.connect();
  await client.open();
  const enable = `<enable xmlns='${ACKS}' resume='true'/>`;
  const answer = await client.plain2("romeo", "secret", agent() + bind(enable));
  const [, id = ""] = /<enabled [^>]*id='([^']*)'/.exec(answer) ?? [];
  const session = kit.router.bound.at(-1)?.session;
  client.send("<presence/>");
  await until(() => kit.router.stanzas.length === 1, "presence");
  client.destroy();
  await until(() => session?.isDetached === true, "detached");
  for (const body of ["one", "two"]) session?.deliver(message(body));
  return { id, address: session?.jid.full ?? "" };
}

const resume = (previd: string, h = 0) => `<resume xmlns='${ACKS}' previd='${previd}' h='${h}'/>`;

test("a session is resumed along with the login, and the wish to bind is passed over", async () => {
  await using kit = await openKit();
  const { id, address } = await leftBehind(kit);
  const client = await kit.connect();
  await client.open();
  const answer = await client.scram2("SCRAM-SHA-256", "romeo", "secret", {
    extensions: agent() + bind() + resume(id),
  });
  expect(identifier(answer)).toBe(address);
  expect(answer).toContain(`<resumed xmlns='${ACKS}' previd='${id}' h='1'/></success>`);
  expect(answer).not.toContain("<bound");
  await client.read(/one.*two/s);
  client.send(`<message id='m'/><r xmlns='${ACKS}'/>`);
  expect(await client.read(/<a [^>]*>/)).toContain("h='2'");
  expect(kit.router.bound).toHaveLength(1);
  expect(kit.router.ended).toEqual([]);
});

test("everything at once: header, login, resumption and new stanzas", async () => {
  await using kit = await openKit();
  const { id } = await leftBehind(kit);
  const client = await kit.connect();
  client.send(
    `${HEADER}<authenticate xmlns='${SASL2}' mechanism='PLAIN'><initial-response>${PLAIN_ROMEO}` +
      `</initial-response>${resume(id)}</authenticate><message id='new'/><r xmlns='${ACKS}'/>`,
  );
  expect(await client.read(/<success.*one.*two.*<a [^>]*>/s)).toMatch(/<resumed .*h='2'\/>$/s);
});

test.each([
  ["a session nobody has", "nothing", "<item-not-found"],
  ["no session", "", "<bad-request"],
])("who cannot resume %s is told why, and bound", async (_, previd, condition) => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  const answer = await client.plain2("romeo", "secret", resume(previd) + bind());
  expect(answer).toMatch(RegExp(`<failed xmlns='${ACKS}'>${condition}[^>]*></failed><bound`));
  expect(identifier(answer)).toMatch(/^romeo@localhost\/./);
  const other = await kit.connect();
  await other.open();
  const unbound = await other.plain2("romeo", "secret", resume(previd));
  expect(unbound).toContain(`${condition} `);
  expect(identifier(unbound)).toBe("romeo@localhost");
  expect(await other.bind("orchard")).toContain("romeo@localhost/orchard");
});

test("nobody resumes another user's session", async () => {
  await using kit = await openKit();
  const { id } = await leftBehind(kit);
  kit.accounts.users.set(
    "juliet@localhost",
    await makeCredentials("secret", { iterations: 4_096 }),
  );
  const client = await kit.connect();
  await client.open();
  const answer = await client.plain2("juliet", "secret", resume(id) + bind());
  expect(answer).toContain("<item-not-found");
  expect(identifier(answer)).toContain("juliet@localhost/");
});

test("a resumption behind a wrong password is not done", async () => {
  await using kit = await openKit();
  const { id } = await leftBehind(kit);
  const client = await kit.connect();
  await client.open();
  expect(await client.plain2("romeo", "wrong", resume(id))).toContain("<not-authorized");
  expect(kit.router.bound[0]?.session.isDetached).toBe(true);
});
