/** XEP-0156: where a web client finds WebSocket and BOSH, at /.well-known/host-meta. */
import type { IncomingMessage, ServerResponse } from "node:http";
import { escapeAttribute } from "../xml/write.ts";
import type { WebPath } from "./web.ts";

/** One way to connect. */
export interface AlternativeConnection {
  readonly rel: "urn:xmpp:alt-connections:websocket" | "urn:xmpp:alt-connections:xbosh";
  readonly href: string;
}

const XRD_NS = "http://docs.oasis-open.org/ns/xri/xrd-1.0";

function asXrd(links: readonly AlternativeConnection[]): string {
  const lines = links.map(
    ({ rel, href }) => `  <Link rel='${rel}' href='${escapeAttribute(href)}'/>\n`,
  );
  return `<?xml version='1.0' encoding='utf-8'?>\n<XRD xmlns='${XRD_NS}'>\n${lines.join("")}</XRD>\n`;
}

const asJson = (links: readonly AlternativeConnection[]): string =>
  `${JSON.stringify({ links }, null, 2)}\n`;

/** @param linksFor the ways to the domain that a request's Host names, if it is one */
export const hostMetaPaths = (
  linksFor: (host: string) => readonly AlternativeConnection[],
): Readonly<Record<string, WebPath>> => ({
  "/.well-known/host-meta": page("application/xrd+xml", (host) => asXrd(linksFor(host))),
  "/.well-known/host-meta.json": page("application/json", (host) => asJson(linksFor(host))),
});

const page = (type: string, write: (host: string) => string): WebPath => ({
  onRequest({ method, headers }: IncomingMessage, response: ServerResponse): undefined {
    if (method !== "GET" && method !== "HEAD") {
      response.writeHead(405, { allow: "GET, HEAD" });
      response.end();
      return;
    }
    const body = write((headers.host ?? "").replace(/:\d+$/, "").toLowerCase());
    response.writeHead(200, {
      "content-type": `${type}; charset=utf-8`,
      "content-length": Buffer.byteLength(body),
      // Section 3: any page may read it.
      "access-control-allow-origin": "*",
      "cache-control": "max-age=3600",
    });
    response.end(method === "HEAD" ? undefined : body);
  },
});
