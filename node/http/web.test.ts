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

/** What the listener answers to these bytes until it closes the connection. */
async function answerTo(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  socket.on("error", () => undefined);
  socket.write(bytes, "latin1");
  await new Promise((resolve) => socket.on("close", resolve));
  return answer;
}

const POST = "POST /peer HTTP/1.1\r\nHost: a\r\n";

test.each([
  ["no HTTP", "hello\r\n\r\n", "400"],
  ["a TLS handshake", "\x16\x03\x01\x02\x00\x01\x00\x01", "400"],
  ["HTTP without a host", "GET /peer HTTP/1.1\r\n\r\n", "400"],
  ["two lengths", `${POST}Content-Length: 1\r\nContent-Length: 2\r\n\r\nab`, "400"],
  [
    "a length and chunks",
    `${POST}Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    "400",
  ],
  ["a negative length", `${POST}Content-Length: -1\r\n\r\n`, "400"],
  ["a space before a colon", `${POST}Content-Length : 1\r\n\r\na`, "400"],
  ["a line feed alone", "GET /peer HTTP/1.1\nHost: a\n\n", "400"],
  ["headers without end", `${POST}X: ${"a".repeat(20_000)}\r\n\r\n`, "431"],
  ["a tunnel", "CONNECT other:443 HTTP/1.1\r\nHost: other\r\n\r\n", ""],
  [
    "an upgrade to nothing",
    "GET /peer HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n",
    "404",
  ],
])("%s is refused with %s, and nobody else notices", async (_, bytes, status) => {
  const faults: unknown[] = [];
  await using web = await open({ onFault: (error) => void faults.push(error) });
  const before = seen.length;
  const answer = await answerTo(web.port, bytes);
  expect(answer.slice(0, 12)).toBe(status === "" ? "" : `HTTP/1.1 ${status}`);
  expect([seen.length, faults]).toEqual([before, []]);
  expect((await fetch(`http://127.0.0.1:${web.port}/peer`)).status).toBe(200);
});
