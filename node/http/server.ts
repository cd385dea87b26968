/** One small HTTP server; other rooms' handlers are mounted on it by main.ts. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { promisify } from "node:util";
import { ConfigError } from "../base/errors.ts";

export interface Answer {
  readonly status: number;
  readonly contentType: string;
  readonly body: string;
}

/** GET handlers by path. HEAD is answered the same way without the body. */
export type Pages = Readonly<Record<string, () => Answer | Promise<Answer>>>;

export interface HttpServer extends AsyncDisposable {
  readonly port: number;
}

export const plainText = (status: number, body: string): Answer => ({
  status,
  contentType: "text/plain; charset=utf-8",
  body: `${body}\n`,
});

/** @throws ConfigError when the address cannot be listened on. */
export async function openHttp(
  { host, port }: { host: string; port: number },
  pages: Pages,
): Promise<HttpServer> {
  const server = createServer(
    {
      requestTimeout: 10_000,
      headersTimeout: 5_000,
      maxHeaderSize: 8_192,
      keepAliveTimeout: 5_000,
    },
    (request, response) => void answer(pages, request, response),
  );
  server.maxConnections = 100;
  await listen(server, host, port);
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await promisify(server.close.bind(server))();
    },
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (cause) => {
      reject(
        new ConfigError(`Cannot listen for HTTP on ${host}:${port}: ${cause.message}`, { cause }),
      );
    });
    server.listen(port, host, resolve);
  });
}

async function answer(
  pages: Pages,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const { status, contentType, body } = await page(pages, request);
  response.writeHead(status, {
    "content-type": contentType,
    "content-length": Buffer.byteLength(body),
    "x-content-type-options": "nosniff",
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

async function page(pages: Pages, { method, url }: IncomingMessage): Promise<Answer> {
  if (method !== "GET" && method !== "HEAD") return plainText(405, "only GET is answered here");
  const path = (url ?? "/").split("?", 1)[0] as string;
  const handler = Object.hasOwn(pages, path) ? pages[path] : undefined;
  if (handler === undefined) {
    return plainText(404, `no such page; there are: ${Object.keys(pages).join(" ")}`);
  }
  try {
    return await handler();
  } catch (error) {
    return plainText(500, `Cannot make the page: ${(error as Error).message}`);
  }
}
