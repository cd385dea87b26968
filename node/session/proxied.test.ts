import { expect, test } from "vitest";
import { CONFIG, openKit } from "./testing/door-kit.ts";
import { HEADER, RawClient } from "./testing/raw-client.ts";

const FROM_7 = "PROXY TCP4 192.0.2.7 127.0.0.1 4661 5222\r\n";
/** Version 2: 192.0.2.7, who speaks TLS with the proxy. */
const OVER_TLS = Buffer.from(
  "0d0a0d0a000d0a515549540a21110014" + "c00002077f00000112351466" + "2000050100000000",
  "hex",
);
const config = {
  ...CONFIG,
  tls: "required",
  proxied: { port: 0, trustedProxies: ["127.0.0.1"] },
} as const;
const connect = (kit: { door: { proxiedPort: number | undefined } }, localAddress?: string) =>
  RawClient.connect(kit.door.proxiedPort ?? 0, localAddress);

test("without TLS at the proxy, a client is asked for TLS, and can log in by it", async () => {
  await using kit = await openKit({ config });
  const client = await connect(kit);
  client.send(FROM_7);
  expect(await client.open()).toContain("<required/>");
  await client.startTls();
  expect(await client.open()).toContain("SCRAM-SHA-256-PLUS");
});

test("TLS that ended at the proxy protects the stream; nothing can be bound to it", async () => {
  await using kit = await openKit({ config });
  const client = await connect(kit);
  client.send(Buffer.concat([OVER_TLS, Buffer.from(HEADER)]));
  const features = await client.read("</stream:features>");
  expect(features).not.toContain("starttls");
  expect(features).toContain("<mechanism>SCRAM-SHA-256</mechanism>");
  expect(features).not.toContain("-PLUS");
  expect(await client.scram("SCRAM-SHA-256", "romeo", "secret")).toContain("<success");
});

test("TLS from the first byte goes through the proxy to us", async () => {
  await using kit = await openKit({ config });
  const client = await connect(kit);
  client.send(FROM_7);
  await client.secure();
  expect(await client.open()).toContain("SCRAM-SHA-256-PLUS");
});

test("limits count the client's address, not the proxy's", async () => {
  await using kit = await openKit({ config: { ...config, connectionsPerAddressMax: 1 } });
  const first = await connect(kit);
  first.send(FROM_7);
  await first.open();
  const second = await connect(kit);
  second.send(FROM_7 + HEADER);
  expect(await second.readToEnd()).toContain("policy-violation");
  const other = await connect(kit);
  other.send(FROM_7.replace("192.0.2.7", "192.0.2.8"));
  expect(await other.open()).toContain("starttls");
});

test("bytes of a client that arrive one by one are all read", async () => {
  await using kit = await openKit({ config });
  const client = await connect(kit);
  for (const byte of FROM_7 + HEADER) {
    client.send(byte);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(await client.read("</stream:features>")).toContain("<required/>");
});

test.each([
  ["from an address that is not trusted", "127.0.0.2", FROM_7 + HEADER],
  ["without a proxy's word", "127.0.0.1", HEADER],
])("a connection %s is dropped, and nothing is said", async (_, localAddress, words) => {
  await using kit = await openKit({ config });
  const client = await connect(kit, localAddress);
  client.send(words);
  expect(await client.readToEnd()).toBe("");
});

test("a proxy that only looks whether we live leaves nothing behind", async () => {
  await using kit = await openKit({ config });
  const client = await connect(kit);
  client.send("PROXY UNKNOWN\r\n");
  client.socket.end();
  expect(await client.readToEnd()).toBe("");
  expect(kit.door.stats.connectionsRefused).toBe(0);
});
