/** The door with real stores and routes behind it, and a client in front that nobody here wrote. */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { setDefaultCACertificates } from "node:tls";
import { client, xml } from "@xmpp/client";
import { expect, test } from "vitest";
import { makeCredentials } from "../auth/credentials.ts";
import { TokenKeeper } from "../auth/tokens.ts";
import { systemClock } from "../base/clock.ts";
import { systemRandom } from "../base/random.ts";
import { openWeb } from "../http/web.ts";
import { openSqliteStores } from "../stores/sqlite/sqlite.ts";
import { Origins } from "../stream/origins.ts";
import { openWebSocketDoor } from "../stream/websocket.ts";
import { AUTHORITY, message, openKit, until } from "./testing/door-kit.ts";

setDefaultCACertificates([AUTHORITY]);

async function openReal() {
  const directory = await mkdtemp(path.join(tmpdir(), "zonda-door-"));
  const stores = await openSqliteStores({ directory });
  await stores.accounts.create("juliet@localhost", await makeCredentials("Röschen"));
  const config = { tls: "required", plaintextAuthOnLoopback: false } as const;
  const tokens = new TokenKeeper({
    store: stores.tokens,
    clock: systemClock,
    random: systemRandom,
    secret: Buffer.from("of the cluster"),
    lifetimeMs: 3_600_000,
    clientsMax: 20,
  });
  const kit = await openKit({ accounts: stores.accounts, config, tokens });
  return {
    kit,
    stores,
    async [Symbol.asyncDispose]() {
      await kit[Symbol.asyncDispose]();
      await stores[Symbol.asyncDispose]();
      await rm(directory, { recursive: true });
    },
  };
}

const startClient = (port: number, password = "Röschen", service = `xmpp://127.0.0.1:${port}`) => {
  // In a variable: the package's types do not know `resource` and `timeout`, its code does.
  const options = {
    service,
    domain: "localhost",
    resource: "balcony",
    timeout: 30_000, // Its own two seconds are short on a busy machine.
    username: "juliet",
    password,
  };
  const xmpp = client(options);
  xmpp.reconnect.stop();
  xmpp.on("error", () => {});
  return xmpp;
};

test("xmpp.js logs in over STARTTLS, speaks, hears, acknowledges and leaves", async () => {
  await using real = await openReal();
  const { door, router } = real.kit;
  const xmpp = startClient(door.port);
  const heard: string[] = [];
  xmpp.on("stanza", (stanza) => void heard.push(stanza.getChildText("body") ?? ""));
  // It knows SASL2 and Bind 2, so "balcony" is a tag.
  const address = `${await xmpp.start()}`;
  expect(address).toMatch(/^juliet@localhost\/balcony\/[\w-]{12}$/);
  const session = door.sessions.get(address);
  expect(session?.deliver(message("good night"))).toBe(true);
  await until(() => heard.includes("good night"), "it hears");
  expect(await session?.whenAcknowledged?.()).toBe(true);
  await xmpp.send(xml("message", { to: "romeo@localhost" }, xml("body", {}, "a thousand times")));
  await until(() => router.stanzas.length === 1, "it speaks");
  await xmpp.stop();
  await until(() => router.ended.length === 1, "it leaves");
  expect(router.ended[0]?.unacknowledged).toEqual([]);
  expect(real.kit.complaints).toEqual([]);
});

test("xmpp.js does the same over WebSocket", async () => {
  await using real = await openReal();
  const { door, router } = real.kit;
  const { gate, limits } = door;
  const origins = new Origins(["*"]);
  await using web = await openWeb({
    host: "127.0.0.1",
    port: 0,
    tls: real.kit.tls,
    trustedProxies: [],
    connectionsMax: 10,
    paths: { "/xmpp-websocket": openWebSocketDoor({ gate, limits, origins }) },
    admit: () => true,
    release() {},
    onFault: (error) => {
      throw error;
    },
  });
  const service = `wss://localhost:${web.port}/xmpp-websocket`;
  const xmpp = startClient(web.port, "Röschen", service);
  const heard: string[] = [];
  xmpp.on("stanza", (stanza) => void heard.push(stanza.getChildText("body") ?? ""));
  const session = door.sessions.get(`${await xmpp.start()}`);
  expect(session?.deliver(message("good night"))).toBe(true);
  await until(() => heard.includes("good night"), "it hears");
  await xmpp.send(xml("message", { to: "romeo@localhost" }, xml("body", {}, "a thousand times")));
  await until(() => router.stanzas.length === 1, "it speaks");
  await xmpp.stop();
  await until(() => router.ended.length === 1, "it leaves");
  expect(real.kit.complaints).toEqual([]);
});

test("xmpp.js comes back with a token, to the same address, until its password changes", async () => {
  await using real = await openReal();
  const { door } = real.kit;
  const xmpp = startClient(door.port);
  const addresses = [`${await xmpp.start()}`];
  await xmpp.stop();
  expect(door.stats).toMatchObject({ tokensGiven: 1, loginsByToken: 0 });
  addresses.push(`${await xmpp.start()}`);
  await xmpp.stop();
  expect(door.stats).toMatchObject({ loginsSucceeded: 2, loginsByToken: 1 });
  expect(addresses[1]).toBe(addresses[0]);
  await real.stores.accounts.setCredentials("juliet@localhost", await makeCredentials("Röschen"));
  await xmpp.start(); // Its token is refused, and it falls back to the password by itself.
  await xmpp.stop();
  expect(door.stats).toMatchObject({ loginsSucceeded: 3, loginsByToken: 1, tokensGiven: 2 });
});

test("xmpp.js is told that its password is wrong", async () => {
  await using real = await openReal();
  const xmpp = startClient(real.kit.door.port, "Roschen");
  await expect(xmpp.start()).rejects.toThrow(/not-authorized/);
  await xmpp.stop();
});
