import { expect, test } from "vitest";
import { makeCredentials } from "../auth/credentials.ts";
import { Unavailable } from "../base/errors.ts";
import { FakeClock } from "../base/fake-clock.ts";
import type { RegistrationOutcome } from "./door-context.ts";
import { logIn, openKit, until } from "./testing/door-kit.ts";
import type { RawClient } from "./testing/raw-client.ts";
import { base64, SASL } from "./testing/raw-client.ts";

const failure = (client: RawClient) => client.read(/<failure.*<\/failure>/);
const REGISTER = "jabber:iq:register";

test("a wrong password may be corrected on the same stream, a few times", async () => {
  await using kit = await openKit({ limits: { failedLoginsPerStreamMax: 3 } });
  const client = await kit.connect();
  await client.open();
  client.plain("romeo", "wrong");
  expect(await failure(client)).toContain("<not-authorized/>");
  expect(await client.scram("SCRAM-SHA-1", "romeo", "wrong")).toContain("<not-authorized/>");
  expect(await client.scram("SCRAM-SHA-256", "romeo", "secret")).toContain("<success");

  const stubborn = await kit.connect();
  await stubborn.open();
  for (let turn = 0; turn < 3; turn += 1) {
    stubborn.plain("romeo", "wrong");
    await failure(stubborn);
  }
  expect(await stubborn.readToEnd()).toContain("<policy-violation xmlns");
});

test("an unknown user sees the same steps and the same words as a known one", async () => {
  await using kit = await openKit();
  const seen: { salt: string; iterations: number }[] = [];
  const attempt = async (user: string) => {
    const client = await kit.connect();
    await client.open();
    return client.scram("SCRAM-SHA-256", user, "wrong", {
      onChallenge: (it) => void seen.push(it),
    });
  };
  expect(await attempt("romeo")).toBe(await attempt("nobody"));
  expect(seen[0]?.iterations).toBe(seen[1]?.iterations);
  expect(seen[0]?.salt.length).toBe(seen[1]?.salt.length);
  await attempt("nobody");
  expect(seen[2]?.salt).toBe(seen[1]?.salt);
  expect(kit.accounts.reads).toBe(3);
});

test.each([
  ["an unknown mechanism", `<auth xmlns='${SASL}' mechanism='DIGEST-MD5'/>`, "invalid-mechanism"],
  ["no mechanism", `<auth xmlns='${SASL}'>AA==</auth>`, "invalid-mechanism"],
  [
    "-PLUS without a channel",
    `<auth xmlns='${SASL}' mechanism='SCRAM-SHA-1-PLUS'/>`,
    "invalid-mechanism",
  ],
  ["no base64", `<auth xmlns='${SASL}' mechanism='PLAIN'>!</auth>`, "incorrect-encoding"],
  ["too few fields", `<auth xmlns='${SASL}' mechanism='PLAIN'>AA==</auth>`, "malformed-request"],
  ["an answer to nothing", `<response xmlns='${SASL}'>AA==</response>`, "malformed-request"],
  ["an abort", `<abort xmlns='${SASL}'/>`, "aborted"],
])("SASL answers %s with its condition and the stream goes on", async (_, text, condition) => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  client.send(text);
  expect(await failure(client)).toContain(`<${condition}/>`);
  client.plain("romeo", "secret");
  expect(await client.read(/<success[^>]*>/)).toContain("success");
});

test("without an initial response an empty challenge asks for it", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  client.send(`<auth xmlns='${SASL}' mechanism='PLAIN'/>`);
  expect(await client.read(/<challenge[^>]*><\/challenge>/)).toContain("challenge");
  client.send(`<response xmlns='${SASL}'>${base64("\0romeo\0secret")}</response>`);
  expect(await client.read(/<success[^>]*>/)).toContain("success");
});

test("an attempt can be aborted, and a second one in the middle of it is malformed", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  const begin = () => client.send(`<auth xmlns='${SASL}' mechanism='PLAIN'/>`);
  begin();
  await client.read("</challenge>");
  client.send(`<abort xmlns='${SASL}'/>`);
  expect(await failure(client)).toContain("<aborted/>");
  begin();
  await client.read("</challenge>");
  begin();
  expect(await failure(client)).toContain("<malformed-request/>");
  client.send("<x xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
  expect(await client.readToEnd()).toContain("<unsupported-stanza-type xmlns");
});

test("what is said in the clear behind a login that succeeds is not taken for what comes after it", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  const login = `<auth xmlns='${SASL}' mechanism='PLAIN'>${base64("\0romeo\0secret")}</auth>`;
  client.send(`${login}<iq type='set' id='1'/>`);
  const rest = await client.readToEnd();
  expect(rest).not.toContain("<success");
  expect(rest).toContain("<policy-violation xmlns");
});

test("a store that is away is a failure to retry, and the stream goes on", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  kit.accounts.failure = new Unavailable("store-timeout", "Cannot read credentials");
  client.plain("romeo", "secret");
  expect(await failure(client)).toContain("<temporary-auth-failure/>");
  kit.accounts.failure = undefined;
  client.plain("romeo", "secret");
  expect(await client.read(/<success[^>]*>/)).toContain("success");
});

test("a bug behind a login ends that stream with internal-server-error and nothing else", async () => {
  await using kit = await openKit();
  const client = await kit.connect();
  await client.open();
  kit.accounts.failure = new TypeError("a bug");
  client.plain("romeo", "secret");
  expect(await client.readToEnd()).toContain("<internal-server-error xmlns");
  expect(kit.complaints).toEqual(["negotiation-failed"]);
  kit.accounts.failure = undefined;
  await kit.bound();
});

test("an address that failed too often is told to wait, whatever it sends", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock, config: { failedLoginsPerAddressPerMinute: 2 } });
  const client = await kit.connect();
  await client.open();
  for (let turn = 0; turn < 2; turn += 1) {
    client.plain("romeo", "wrong");
    await failure(client);
  }
  client.plain("romeo", "secret");
  expect(await failure(client)).toContain("<temporary-auth-failure/>");
  expect(kit.accounts.reads).toBe(2);
  clock.advance(29_000);
  const other = await kit.connect();
  await other.open();
  other.plain("romeo", "secret");
  expect(await failure(other)).toContain("<temporary-auth-failure/>");
  clock.advance(1_000);
  other.plain("romeo", "secret");
  expect(await other.read(/<success[^>]*>/)).toContain("success");
});

test("an account that is guessed from many addresses is spared, but not for who knows it", async () => {
  const clock = new FakeClock();
  await using kit = await openKit({ clock, config: { failedLoginsPerAccountPerMinute: 3 } });
  const attempt = async (host: number, user: string, password: string) => {
    const client = await kit.connect(`127.0.0.${host}`);
    await client.open();
    client.plain(user, password);
    return client.read(/<success[^>]*>|<failure.*<\/failure>/s);
  };
  expect(await attempt(9, "romeo", "secret")).toContain("<success");
  for (const user of ["romeo", "nobody"]) {
    for (let host = 2; host < 5; host += 1) {
      expect(await attempt(host, user, "wrong")).toContain("<not-authorized/>");
    }
    const { reads } = kit.accounts;
    expect(await attempt(5, user, "secret")).toContain("<temporary-auth-failure/>");
    expect(kit.accounts.reads).toBe(reads);
  }
  expect(await attempt(9, "romeo", "secret")).toContain("<success");
  clock.advance(20_000);
  expect(await attempt(5, "romeo", "secret")).toContain("<success");
});

async function registering(outcome: RegistrationOutcome) {
  const asked: string[][] = [];
  const kit = await openKit({
    registration: {
      enabled: true,
      async register(user, password, address) {
        asked.push([user, password, address]);
        if (outcome === "created") {
          kit.accounts.users.set(user, await makeCredentials(password, { iterations: 4_096 }));
        }
        return outcome;
      },
    },
  });
  const client = await kit.connect();
  return { kit, client, asked };
}

const fields = (username: string, password: string) =>
  `<iq type='set' id='r'><query xmlns='${REGISTER}'><username>${username}</username>` +
  `<password>${password}</password></query></iq>`;

test("where registration is on, an account is made and logged in to on one stream", async () => {
  const { kit, client, asked } = await registering("created");
  await using _ = kit;
  expect(await client.open()).toContain("http://jabber.org/features/iq-register");
  client.send(`<iq type='get' id='f' to='localhost'><query xmlns='${REGISTER}'/></iq>`);
  expect(await client.read("</iq>")).toContain("<username/><password/>");
  client.send(fields("Juliet", "wherefore &amp; art"));
  expect(await client.read(/<iq[^>]*id='r'[^>]*>/)).toContain("type='result'");
  expect(asked).toEqual([["juliet@localhost", "wherefore & art", "127.0.0.1"]]);
  expect(await client.scram("SCRAM-SHA-256", "juliet", "wherefore & art")).toContain("<success");
});

test.each([
  ["exists", "conflict"],
  ["refused", "not-allowed"],
] as const)("a registration that is %s is answered with %s", async (outcome, condition) => {
  const { kit, client } = await registering(outcome);
  await using _ = kit;
  await client.open();
  client.send(fields("juliet", "secret"));
  expect(await client.read("</iq>")).toContain(`<${condition} xmlns`);
});

test("a registration that the store does not answer is refused for now, and the stream goes on", async () => {
  const register = () => Promise.reject(new Unavailable("store-timeout", "Cannot create: late"));
  await using kit = await openKit({ registration: { enabled: true, register } });
  const client = await kit.connect();
  await client.open();
  client.send(fields("juliet", "secret"));
  const answer = await client.read("</iq>");
  expect(answer).toContain("type='wait'");
  expect(answer).toContain("<resource-constraint xmlns");
  client.send(`<iq type='get' id='f' to='localhost'><query xmlns='${REGISTER}'/></iq>`);
  expect(await client.read("</iq>")).toContain("<username/><password/>");
});

test("a registration without a name or password, or with an impossible name, is not acceptable", async () => {
  const { kit, client, asked } = await registering("created");
  await using _ = kit;
  await client.open();
  for (const [name, password] of [
    ["", "x"],
    ["juliet", ""],
    ["ju liet", "x"],
    ["a@b", "x"],
  ] as const) {
    client.send(fields(name, password));
    expect(await client.read("</iq>")).toContain("<not-acceptable xmlns");
  }
  expect(asked).toEqual([]);
});

const answered = (challenge: string, ocr: string, password = "secret") => {
  const field = (name: string, value: string) =>
    `<field var='${name}'><value>${value}</value></field>`;
  const values = { username: "juliet", password, challenge, ocr };
  const said = Object.entries(values).map(([name, value]) => field(name, value));
  return (
    `<iq type='set' id='r'><query xmlns='${REGISTER}'>` +
    `<x xmlns='jabber:x:data' type='submit'>${said.join("")}</x></query></iq>`
  );
};

/** Registration with challenges whose answer is always the same. */
async function challenging() {
  const asked: string[] = [];
  const waiting = new Set<string>();
  const kit = await openKit({
    registration: {
      enabled: true,
      captchas: {
        make: (address) => {
          if (waiting.size >= 2) return undefined;
          const id = `${address}-${waiting.size}`;
          waiting.add(id);
          return { id, image: Buffer.from("picture"), width: 240, height: 80 };
        },
        solve: (id, answer) => waiting.has(id) && answer === "RIGHT",
      },
      async register(user) {
        asked.push(user);
        return "created";
      },
    },
  });
  const client = await kit.connect();
  await client.open();
  const get = async () => {
    client.send(`<iq type='get' id='f'><query xmlns='${REGISTER}'/></iq>`);
    return client.read("</iq>");
  };
  return { kit, client, asked, get };
}

test("who has to read a picture gets a form with it, and the account for the right letters", async () => {
  const { kit, client, asked, get } = await challenging();
  await using _ = kit;
  const form = await get();
  expect(form).toContain("<field var='challenge' type='hidden'><value>127.0.0.1-0</value>");
  const cid = /<uri type='image\/png'>cid:(?<cid>[^<]+)</.exec(form)?.groups?.cid;
  const picture = Buffer.from("picture").toString("base64");
  expect(form).toContain(`cid='${cid}' type='image/png' max-age='0'>${picture}</data>`);
  client.send(answered("127.0.0.1-0", "RIGHT"));
  expect(await client.read(/<iq[^>]*id='r'[^>]*>/)).toContain("type='result'");
  expect(asked).toEqual(["juliet@localhost"]);
});

test("wrong letters, another challenge or none make no account", async () => {
  const { kit, client, asked, get } = await challenging();
  await using _ = kit;
  await get();
  const faults = [
    answered("127.0.0.1-0", "WRONG"),
    answered("other", "RIGHT"),
    answered("127.0.0.1-0", "RIGHT", ""),
    fields("juliet", "secret"),
  ];
  for (const fault of faults) {
    client.send(fault);
    expect(await client.read("</iq>")).toContain("<not-acceptable xmlns");
  }
  expect(asked).toEqual([]);
});

test("an address that asks for too many challenges gets no more for now", async () => {
  const { kit, get } = await challenging();
  await using _ = kit;
  await get();
  await get();
  const refused = await get();
  expect(refused).toContain("type='wait'");
  expect(refused).toContain("<resource-constraint xmlns");
});

test("registration after login is not this door's business", async () => {
  const { kit, client } = await registering("created");
  await using _ = kit;
  await logIn(client);
  client.send(fields("juliet", "secret"));
  expect(await client.readToEnd()).toContain("<not-authorized xmlns");
});

test("counters tell logins that succeeded from those that failed", async () => {
  await using kit = await openKit();
  const { client } = await kit.bound();
  const other = await kit.connect();
  await other.open();
  other.plain("romeo", "wrong");
  await failure(other);
  expect(kit.door.stats).toMatchObject({ loginsSucceeded: 1, loginsFailed: 1, sessionsBound: 1 });
  client.destroy();
  await until(() => kit.door.stats.sessionsEnded === 1, "the session ends");
});

test("under overload who costs least goes first, and who costs most is told to come back", async () => {
  const limits = { loginPlacesMax: 1, passwordPlacesMax: 1, loginsWaitingMax: 1 };
  await using kit = await openKit({ limits });
  const [first, second, third] = [await kit.connect(), await kit.connect(), await kit.connect()];
  for (const client of [first, second, third]) await client.open();
  const { promise: away, resolve: back } = Promise.withResolvers<void>();
  kit.accounts.wait = away;
  first.plain("romeo", "secret");
  await until(() => kit.accounts.reads === 1, "the first is being served");
  second.plain("romeo", "secret");
  await until(() => kit.door.admission.waiting === 1, "the second waits");
  const login = third.scram("SCRAM-SHA-256", "romeo", "secret");
  expect(await failure(second)).toContain("<temporary-auth-failure/>");
  expect(kit.door.admission.shed("password")).toBe(1);
  back();
  expect(await first.read(/<success[^>]*>/)).toContain("success");
  expect(await login).toContain("<success");
  second.plain("romeo", "secret");
  expect(await second.read(/<success[^>]*>/)).toContain("success");
});

test("who leaves while waiting to log in costs nothing", async () => {
  const limits = { loginPlacesMax: 1, passwordPlacesMax: 1, loginsWaitingMax: 1 };
  await using kit = await openKit({ limits });
  const [first, second] = [await kit.connect(), await kit.connect()];
  for (const client of [first, second]) await client.open();
  const { promise: away, resolve: back } = Promise.withResolvers<void>();
  kit.accounts.wait = away;
  first.plain("romeo", "secret");
  await until(() => kit.accounts.reads === 1, "the first is being served");
  second.plain("romeo", "secret");
  await until(() => kit.door.admission.waiting === 1, "the second waits");
  second.destroy();
  await until(() => kit.door.negotiating === 1, "it has left");
  back();
  await first.read(/<success[^>]*>/);
  await until(() => kit.door.admission.waiting === 0, "nobody waits");
  expect(kit.accounts.reads).toBe(1);
});

test("a node that is behind takes few new connections, and goes on with those it has", async () => {
  let isBehind = false;
  const clock = new FakeClock();
  await using kit = await openKit({ clock, isBehind: () => isBehind });
  const client = await kit.connect();
  await client.open();
  isBehind = true;
  for (let second = 0; second < 2; second++) {
    for (let few = 0; few < 10; few++) await (await kit.connect()).open();
    const late = await kit.connect();
    expect(await late.readToEnd()).toContain("<resource-constraint xmlns");
    clock.advance(1_000);
  }
  client.plain("romeo", "secret");
  expect(await client.read(/<success[^>]*>/)).toContain("success");
  isBehind = false;
  await kit.bound();
});
