/** XEP-0484 at the door: a token is asked for, used, replaced and given up, over real TLS. */
import { createHmac, randomBytes } from "node:crypto";
import type { ConnectionOptions, TLSSocket } from "node:tls";
import { expect, test } from "vitest";
import { MemoryTokens } from "../auth/testing/memory-tokens.ts";
import { TokenKeeper } from "../auth/tokens.ts";
import { systemClock } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import type { Kit } from "./testing/door-kit.ts";
import { openKit } from "./testing/door-kit.ts";
import { base64, HEADER, RawClient, SASL } from "./testing/raw-client.ts";

const FAST = "urn:xmpp:fast:0";
const BIND = "<bind xmlns='urn:xmpp:bind:0'><tag>Phone</tag></bind>";
const AGENT = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87770'/>";
const OTHER_AGENT = "<user-agent id='d4565fa7-4d72-4749-b3d3-740edbf87771'/>";
const DAY_MS = 86_400_000;

interface TokenKit extends AsyncDisposable {
  readonly kit: Kit;
  readonly store: MemoryTokens;
}

async function openWithTokens(lifetimeMs = 21 * DAY_MS): Promise<TokenKit> {
  const store = new MemoryTokens();
  const keeper = new TokenKeeper({
    store,
    clock: systemClock,
    random: { bytes: randomBytes, fraction: () => 0 },
    secret: Buffer.from("of the cluster"),
    lifetimeMs,
    clientsMax: 20,
  });
  const kit = await openKit({ tokens: keeper });
  return { kit, store, [Symbol.asyncDispose]: () => kit[Symbol.asyncDispose]() };
}

async function arrive({ kit }: TokenKit, options: ConnectionOptions = {}): Promise<RawClient> {
  const client = await RawClient.connectTls(kit.door.directTlsPort ?? 0, options);
  await client.open(HEADER.replace("to=", "from='romeo@localhost' to="));
  return client;
}

const requestFor = (mechanism: string) =>
  `<request-token xmlns='${FAST}' mechanism='${mechanism}'/>`;
const tokenIn = (answer: string) =>
  new RegExp(`<token xmlns='${FAST}' expiry='([^']*)' token='([^']*)'/>`).exec(answer) ?? [];

async function getToken(kit: TokenKit, mechanism: string, options?: ConnectionOptions) {
  const client = await arrive(kit, options);
  const answer = await client.plain2("romeo", "secret", AGENT + requestFor(mechanism) + BIND);
  client.destroy();
  const [, expiry = "", token = ""] = tokenIn(answer);
  return { expiry, token };
}

function bindingOf(client: RawClient, mechanism: string): Buffer {
  const socket = client.socket as TLSSocket;
  if (mechanism.endsWith("EXPR")) {
    return socket.exportKeyingMaterial(32, "EXPORTER-Channel-Binding", Buffer.alloc(0));
  }
  return (mechanism.endsWith("UNIQ") && socket.getFinished()) || Buffer.alloc(0);
}

/** Logs in with a token; the answer, after a check that the server has it, too. */
async function use(
  client: RawClient,
  mechanism: string,
  token: string,
  { fast = "", extensions = AGENT + BIND, binding = bindingOf(client, mechanism) } = {},
): Promise<string> {
  const sign = (word: string) => createHmac("sha256", token).update(word).update(binding).digest();
  const message = Buffer.concat([Buffer.from("romeo\0"), sign("Initiator")]).toString("base64");
  client.authenticate(mechanism, message, `<fast xmlns='${FAST}'${fast}/>${extensions}`);
  const answer = await client.read(/<success.*<\/stream:features>|<failure.*<\/failure>/s);
  const proof = `<additional-data>${sign("Responder").toString("base64")}</additional-data>`;
  if (answer.includes("<success") && !answer.includes(proof)) throw new Error("Not our server");
  return answer;
}

test.each<[string, ConnectionOptions]>([
  ["HT-SHA-256-NONE", {}],
  ["HT-SHA-256-EXPR", {}],
  ["HT-SHA-256-UNIQ", { maxVersion: "TLSv1.2" }],
])("%s: a client that has a token logs in and is bound in one step", async (mechanism, options) => {
  await using tokens = await openWithTokens();
  const { token, expiry } = await getToken(tokens, mechanism, options);
  expect(Date.parse(expiry)).toBeGreaterThan(Date.now() + 20 * DAY_MS);
  const reads = tokens.kit.accounts.reads;
  const client = await arrive(tokens, options);
  const answer = await use(client, mechanism, token);
  expect(answer).toContain("<authorization-identifier>romeo@localhost/Phone/");
  expect(tokenIn(answer)).toEqual([]);
  // One partition read: the account is not asked for.
  expect(tokens.kit.accounts.reads).toBe(reads);
  expect(tokens.kit.door.stats).toMatchObject({ loginsByToken: 1, tokensGiven: 1 });
  client.destroy();
});

test("tokens are offered for what the channel has, over TLS alone, and where they are configured", async () => {
  await using tokens = await openWithTokens();
  const client = await RawClient.connectTls(tokens.kit.door.directTlsPort ?? 0);
  expect(await client.open()).toContain(
    `<fast xmlns='${FAST}'><mechanism>HT-SHA-256-EXPR</mechanism>` +
      "<mechanism>HT-SHA-256-ENDP</mechanism><mechanism>HT-SHA-256-NONE</mechanism></fast>",
  );
  client.destroy();
  const plain = await tokens.kit.connect();
  expect(await plain.open()).not.toContain(FAST);
  const answer = await plain.plain2("romeo", "secret", AGENT + requestFor("HT-SHA-256-NONE"));
  expect(answer).toContain("<success");
  expect(tokenIn(answer)).toEqual([]);
  await using without = await openKit();
  const other = await RawClient.connectTls(without.door.directTlsPort ?? 0);
  expect(await other.open()).not.toContain(FAST);
  other.destroy();
});

test.each([
  ["a client that does not say who it is", requestFor("HT-SHA-256-NONE")],
  ["an unknown mechanism", AGENT + requestFor("HT-SHA-512-NONE")],
  ["a mechanism the channel does not have", AGENT + requestFor("HT-SHA-256-UNIQ")],
])("%s logs in and gets no token", async (_, wishes) => {
  await using tokens = await openWithTokens();
  const client = await arrive(tokens);
  const answer = await client.plain2("romeo", "secret", wishes);
  expect(answer).toContain("<success");
  expect(tokenIn(answer)).toEqual([]);
  client.destroy();
});

test("who has not logged in gets no token", async () => {
  await using tokens = await openWithTokens();
  const client = await arrive(tokens);
  const wishes = AGENT + requestFor("HT-SHA-256-NONE");
  expect(await client.plain2("romeo", "wrong", wishes)).toContain("<not-authorized");
  expect(tokens.store.writes).toBe(0);
  client.destroy();
});

test.each<[string, Parameters<typeof use>[3], string]>([
  ["another client", { extensions: OTHER_AGENT }, "not-authorized"],
  ["a client that does not say who it is", { extensions: "" }, "invalid-mechanism"],
  ["another channel", { binding: Buffer.alloc(32) }, "not-authorized"],
  ["a count that is none", { fast: " count='-1'" }, "malformed-request"],
  ["a count of nothing", { fast: " count=''" }, "malformed-request"],
])("a token is refused from %s", async (_, options, condition) => {
  await using tokens = await openWithTokens();
  const { token } = await getToken(tokens, "HT-SHA-256-EXPR");
  const client = await arrive(tokens);
  expect(await use(client, "HT-SHA-256-EXPR", token, options)).toContain(`<${condition} xmlns`);
  // XEP-0484, 5: the client falls back to its password on the same stream.
  expect(await client.plain2("romeo", "secret")).toContain("<success");
  client.destroy();
});

test("a token is not taken by the mechanism alone, nor with another", async () => {
  await using tokens = await openWithTokens();
  const { token } = await getToken(tokens, "HT-SHA-256-NONE");
  const client = await arrive(tokens);
  expect(await use(client, "HT-SHA-256-EXPR", token)).toContain("<not-authorized xmlns");
  client.authenticate("HT-SHA-256-NONE", base64(`romeo\0${"x".repeat(32)}`), AGENT);
  expect(await client.read(/<failure.*<\/failure>/)).toContain("<invalid-mechanism xmlns");
  client.send(`<auth xmlns='${SASL}' mechanism='HT-SHA-256-NONE'>AA==</auth>`);
  expect(await client.read(/<failure.*<\/failure>/)).toContain("<invalid-mechanism");
  client.destroy();
});

test("a token that has expired says so", async () => {
  await using tokens = await openWithTokens(1);
  const { token, expiry } = await getToken(tokens, "HT-SHA-256-NONE");
  while (Date.now() <= Date.parse(expiry)) await new Promise((resolve) => setImmediate(resolve));
  const client = await arrive(tokens);
  expect(await use(client, "HT-SHA-256-NONE", token)).toContain("<credentials-expired xmlns");
  client.destroy();
});

test("a client that leaves for good invalidates its token", async () => {
  await using tokens = await openWithTokens();
  const { token } = await getToken(tokens, "HT-SHA-256-NONE");
  const client = await arrive(tokens);
  expect(await use(client, "HT-SHA-256-NONE", token, { fast: " invalidate='true'" })).toContain(
    "<success",
  );
  const again = await arrive(tokens);
  expect(await use(again, "HT-SHA-256-NONE", token)).toContain("<not-authorized");
  for (const one of [client, again]) one.destroy();
});

test("an invalidation that cannot be stored fails the login; a token that cannot be given does not", async () => {
  await using tokens = await openWithTokens();
  const { token } = await getToken(tokens, "HT-SHA-256-NONE");
  tokens.store.writeFailure = new Unavailable("store-timeout", "Cannot write");
  for (const extensions of [AGENT, AGENT + BIND]) {
    const client = await arrive(tokens);
    const invalidating = { fast: " invalidate='1'", extensions };
    expect(await use(client, "HT-SHA-256-NONE", token, invalidating)).toContain(
      "<temporary-auth-failure",
    );
    expect(await client.plain2("romeo", "secret", AGENT + requestFor("HT-SHA-256-NONE"))).toMatch(
      /<success[^>]*>(?!.*<token)/s,
    );
    client.destroy();
  }
});

test("a store that is away is a failure to retry", async () => {
  await using tokens = await openWithTokens();
  const { token } = await getToken(tokens, "HT-SHA-256-NONE");
  tokens.store.readFailure = new Unavailable("store-timeout", "Cannot read");
  const client = await arrive(tokens);
  expect(await use(client, "HT-SHA-256-NONE", token)).toContain("<temporary-auth-failure");
  client.destroy();
});

test("header, token login and first stanzas may come at once", async () => {
  await using tokens = await openWithTokens();
  const { token } = await getToken(tokens, "HT-SHA-256-NONE");
  const client = await RawClient.connectTls(tokens.kit.door.directTlsPort ?? 0);
  const hash = createHmac("sha256", token).update("Initiator").digest();
  const message = Buffer.concat([Buffer.from("romeo\0"), hash]).toString("base64");
  client.send(HEADER.replace("to=", "from='romeo@localhost' to="));
  client.authenticate("HT-SHA-256-NONE", message, `<fast xmlns='${FAST}'/>${AGENT}${BIND}`);
  client.send("<presence/>");
  await client.read(/<success.*<\/stream:features>/s);
  expect(tokens.kit.door.sessions.size).toBe(1);
  client.destroy();
});
