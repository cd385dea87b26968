import { once } from "node:events";
import { connect } from "node:net";
import { expect, test } from "vitest";
import type { WebOptions, WebPeer } from "./web.ts";
import { openWeb } from "./web.ts";

const seen: WebPeer[] = [];

const open = (over: Partial<WebOptions> = {}) =>
  openWeb({
    host: "127.0.0.1",
    port: 0,
    tls: undefined,
    trustedProxies: [],
    connectionsMax: 10,
    paths: {
      "/peer": {
        onRequest(_request, response, peer): undefined {
          seen.push(peer);
          response.end("ok");
        },
      },
      "/broken": {
        onRequest() {
          throw new Error("a bug");
        },
      },
      "/late": { onRequest: () => Promise.reject(new Error("a later bug")) },
    },
    admit: () => true,
    release() {},
    onFault() {},
    ...over,
  });

test.each([
  [[], "192.0.2.1", "127.0.0.1", false],
  [["127.0.0.1"], "192.0.2.1", "192.0.2.1", true],
  [["127.0.0.1"], "spoofed, 192.0.2.1, 198.51.100.7", "198.51.100.7", true],
  [["127.0.0.1", "198.51.100.0/24"], "192.0.2.1, 198.51.100.7", "192.0.2.1", true],
  [["127.0.0.1"], "192.0.2.1:4711", "192.0.2.1", true],
  [["127.0.0.1"], "[2001:db8::1]:4711", "2001:db8::1", true],
  [["127.0.0.1"], "unknown", "127.0.0.1", true],
])(
  "behind the proxies %j, %s is the client %s",
  async (trustedProxies, hops, address, isSecure) => {
    await using web = await open({ trustedProxies });
    const headers = { "x-forwarded-for": hops, "x-forwarded-proto": "https" };
    await fetch(`http://127.0.0.1:${web.port}/peer`, { headers });
    expect(seen.at(-1)).toEqual({ address, isSecure });
  },
);

test("connections beyond the limits are turned away and counted", async () => {
  let isFull = false;
  await using web = await open({ connectionsMax: 1, admit: () => !isFull });
  const first = connect(web.port, "127.0.0.1");
  await once(first, "connect");
  const second = connect(web.port, "127.0.0.1").resume();
  await once(second, "close");
  first.destroy();
  await once(first, "close");
  while (web.connections > 0) await new Promise((resolve) => setImmediate(resolve));
  isFull = true;
  await once(connect(web.port, "127.0.0.1").resume(), "close");
  expect([web.connections, web.refused]).toEqual([0, 2]);
});

test("a bug in a handler ends its request, is told, and nothing else", async () => {
  const faults: unknown[] = [];
  await using web = await open({ onFault: (error) => void faults.push(String(error)) });
  for (const path of ["broken", "late"]) {
    await expect(fetch(`http://127.0.0.1:${web.port}/${path}`)).rejects.toThrow();
  }
  expect(faults).toEqual(["Error: a bug", "Error: a later bug"]);
  expect((await fetch(`http://127.0.0.1:${web.port}/peer`)).status).toBe(200);
  expect((await fetch(`http://127.0.0.1:${web.port}/constructor`)).status).toBe(404);
});

test("a proxy that is no address, and a port in use, are configuration errors", async () => {
  await expect(open({ trustedProxies: ["proxy.example"] })).rejects.toThrow(
    "Cannot use web.trustedProxies: proxy.example is no address or network",
  );
  await using web = await open();
  await expect(open({ port: web.port })).rejects.toThrow(/Cannot listen for web on .*: EADDRINUSE/);
});
