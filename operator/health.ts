/** The operator's HTTP door: /healthz, /readyz and /metrics, nothing else. */

import type { ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Registry } from "prom-client";

export interface HealthServer {
  readonly port: number;
  close(): Promise<void>;
}

const LIMITS = { requestTimeout: 10_000, headersTimeout: 5_000, maxHeaderSize: 8_192 };
const CONNECTIONS_MAX = 64;

/** @param isReady whether the operator has seen everything it watches */
export async function openHealthServer(
  port: number,
  registry: Registry,
  isReady: () => boolean,
): Promise<HealthServer> {
  const server = createServer(LIMITS, (request, response) => {
    request.resume();
    const path = request.method === "GET" ? request.url?.replace(/\?.*/, "") : undefined;
    switch (path) {
      case "/healthz":
        return answer(response, 200, "ok");
      case "/readyz":
        return isReady() ? answer(response, 200, "ok") : answer(response, 503, "still listing");
      case "/metrics":
        return void metrics(response, registry);
      default:
        return answer(response, 404, "not found");
    }
  });
  server.maxConnections = CONNECTIONS_MAX;
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, resolve);
  });
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function answer(response: ServerResponse, status: number, text: string, type = "text/plain"): void {
  response.writeHead(status, { "content-type": type });
  response.end(text.endsWith("\n") ? text : `${text}\n`);
}

async function metrics(response: ServerResponse, registry: Registry): Promise<void> {
  try {
    answer(response, 200, await registry.metrics(), registry.contentType);
  } catch (error) {
    answer(response, 500, (error as Error).message);
  }
}
