import { expect, test } from "vitest";
import { openHttp, plainText } from "./server.ts";

test("pages are served by path, others and other methods refused", async () => {
  await using server = await openHttp(
    { host: "127.0.0.1", port: 0 },
    {
      "/healthz": () => plainText(200, "ok"),
      "/broken": () => Promise.reject(new Error("store away")),
    },
  );
  const get = (path: string, init?: RequestInit) =>
    fetch(`http://127.0.0.1:${server.port}${path}`, init);
  expect(await (await get("/healthz?x=1")).text()).toBe("ok\n");
  expect((await get("/healthz", { method: "HEAD" })).status).toBe(200);
  expect((await get("/healthz", { method: "POST" })).status).toBe(405);
  expect((await get("/__proto__")).status).toBe(404);
  const broken = await get("/broken");
  expect([broken.status, await broken.text()]).toEqual([500, "Cannot make the page: store away\n"]);
});

test("a port in use is a configuration error that says so", async () => {
  await using first = await openHttp({ host: "127.0.0.1", port: 0 }, {});
  await expect(openHttp({ host: "127.0.0.1", port: first.port }, {})).rejects.toThrow(
    /Cannot listen for HTTP on 127\.0\.0\.1:\d+: .*EADDRINUSE/,
  );
});
