import { expect, test } from "vitest";
import { hostMetaPaths } from "./host-meta.ts";
import { openWeb } from "./web.ts";

const open = () =>
  openWeb({
    host: "127.0.0.1",
    port: 0,
    tls: undefined,
    trustedProxies: [],
    connectionsMax: 10,
    paths: hostMetaPaths((host) => [
      { rel: "urn:xmpp:alt-connections:websocket", href: `wss://${host}/xmpp-websocket` },
      { rel: "urn:xmpp:alt-connections:xbosh", href: `https://${host}/http-bind?a='<&` },
    ]),
    admit: () => true,
    release() {},
    onFault: (error) => {
      throw error;
    },
  });

test("host-meta names every way to connect, in XML and in JSON, to pages of any origin", async () => {
  await using web = await open();
  const get = (name: string, init?: RequestInit) =>
    fetch(`http://127.0.0.1:${web.port}/.well-known/${name}`, init);
  const xrd = await get("host-meta");
  expect(xrd.headers.get("content-type")).toBe("application/xrd+xml; charset=utf-8");
  expect(xrd.headers.get("access-control-allow-origin")).toBe("*");
  expect(await xrd.text()).toBe(
    "<?xml version='1.0' encoding='utf-8'?>\n<XRD xmlns='http://docs.oasis-open.org/ns/xri/xrd-1.0'>\n" +
      "  <Link rel='urn:xmpp:alt-connections:websocket' href='wss://127.0.0.1/xmpp-websocket'/>\n" +
      "  <Link rel='urn:xmpp:alt-connections:xbosh' href='https://127.0.0.1/http-bind?a=&apos;&lt;&amp;'/>\n" +
      "</XRD>\n",
  );
  const json = await get("host-meta.json");
  expect(json.headers.get("content-type")).toBe("application/json; charset=utf-8");
  expect(await json.json()).toEqual({
    links: [
      { rel: "urn:xmpp:alt-connections:websocket", href: "wss://127.0.0.1/xmpp-websocket" },
      { rel: "urn:xmpp:alt-connections:xbosh", href: "https://127.0.0.1/http-bind?a='<&" },
    ],
  });
  expect((await get("host-meta", { method: "POST" })).status).toBe(405);
  expect(await (await get("host-meta", { method: "HEAD" })).text()).toBe("");
  expect((await get("elsewhere")).status).toBe(404);
});
