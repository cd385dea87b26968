/** For tests: a proxy before the API server that misbehaves on demand. */

import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import type { Dispatcher } from "undici";
import { Agent, request } from "undici";
import type { TokenAccess } from "../access.ts";

/** What happens to one request instead of, or after, its way to the server. */
export type Fault =
  | { readonly kind: "answer"; readonly status: number; readonly retryAfter?: string }
  /** The request arrives, nobody ever answers. */
  | { readonly kind: "silence" }
  /** The connection is reset before any answer. */
  | { readonly kind: "reset" }
  /** The server does it, but the answer is lost. */
  | { readonly kind: "lostAnswer" }
  /** Another answer in place of the server's. */
  | { readonly kind: "replay"; readonly body: string };

interface OpenWatch {
  readonly response: ServerResponse;
  isFrozen: boolean;
}

export interface Seen {
  readonly method: string;
  readonly path: string;
  readonly isWatch: boolean;
}

export class FaultProxy {
  /** Asked for every request. */
  fault: (seen: Seen) => Fault | undefined = () => undefined;
  /** Every event is sent twice. */
  isDoubling = false;
  readonly requests: Seen[] = [];
  connections = 0;
  readonly #upstream: TokenAccess;
  readonly #pool: Agent;
  readonly #watches = new Set<OpenWatch>();
  readonly #sockets = new Set<Socket>();
  readonly #server = createServer((incoming, response) => {
    this.#serve(incoming, response).catch(() => response.destroy());
  });

  private constructor(upstream: TokenAccess) {
    this.#upstream = upstream;
    this.#pool = new Agent({
      allowH2: false,
      connect: upstream.ca === undefined ? {} : { ca: upstream.ca },
    });
    this.#server.on("connection", (socket: Socket) => {
      this.connections += 1;
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    });
  }

  static async start(upstream: TokenAccess): Promise<FaultProxy> {
    const proxy = new FaultProxy(upstream);
    await new Promise<void>((resolve) => {
      proxy.#server.listen(0, "127.0.0.1", resolve);
    });
    return proxy;
  }

  /** How to reach the server through the proxy. */
  get address(): TokenAccess {
    const { port } = this.#server.address() as AddressInfo;
    return { server: `http://127.0.0.1:${port}`, token: this.#upstream.token };
  }

  get openWatches(): number {
    return this.#watches.size;
  }

  /** Resets the connection of every watch. */
  cutWatches(): void {
    for (const { response } of this.#watches) response.socket?.resetAndDestroy();
  }

  /** Ends every watch in the middle of a line. */
  tearWatches(): void {
    for (const { response } of this.#watches) {
      response.write('{"type":"ADDED","object":{"metadata":{"na', () => response.destroy());
    }
  }

  /** Half-open: the connections stay, nothing more comes. */
  freezeWatches(): void {
    for (const watch of this.#watches) watch.isFrozen = true;
  }

  /** Sends a line of our own into every watch. */
  tellWatches(event: unknown): void {
    for (const { response } of this.#watches) response.write(`${JSON.stringify(event)}\n`);
  }

  async stop(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => {
      this.#server.close(resolve);
    });
    await this.#pool.destroy();
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = incoming.url ?? "/";
    const seen = { method: incoming.method ?? "", path, isWatch: path.includes("watch=1") };
    this.requests.push(seen);
    const fault = this.fault(seen);
    if (fault?.kind === "silence") return;
    if (fault?.kind === "reset") incoming.socket.resetAndDestroy();
    else if (fault?.kind === "answer") answer(response, fault);
    else if (fault?.kind === "replay") response.end(fault.body);
    else await this.#forward(incoming, response, seen, fault?.kind === "lostAnswer");
  }

  async #forward(
    incoming: IncomingMessage,
    response: ServerResponse,
    seen: Seen,
    isLost: boolean,
  ): Promise<void> {
    const gone = new AbortController();
    response.once("close", () => gone.abort());
    const chunks: Buffer[] = [];
    for await (const chunk of incoming) chunks.push(chunk as Buffer);
    const body = Buffer.concat(chunks);
    const { authorization = "", accept = "" } = incoming.headers;
    const type = incoming.headers["content-type"];
    const reply = await request(this.#upstream.server + seen.path, {
      dispatcher: this.#pool,
      method: seen.method as Dispatcher.HttpMethod,
      headers: { authorization, accept, ...(type === undefined ? {} : { "content-type": type }) },
      body: body.length > 0 ? body : null,
      signal: gone.signal,
      bodyTimeout: 0,
    });
    if (isLost) {
      await reply.body.dump();
      incoming.socket.resetAndDestroy();
      return;
    }
    response.writeHead(reply.statusCode, { "content-type": "application/json" });
    response.flushHeaders();
    if (seen.isWatch) await this.#stream(reply, response);
    else response.end(await reply.body.text());
  }

  async #stream(reply: Dispatcher.ResponseData, response: ServerResponse): Promise<void> {
    const watch: OpenWatch = { response, isFrozen: false };
    this.#watches.add(watch);
    let rest = "";
    try {
      for await (const chunk of reply.body.setEncoding("utf8")) {
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) {
          if (watch.isFrozen) continue;
          response.write(`${line}\n`);
          if (this.isDoubling) response.write(`${line}\n`);
        }
      }
    } finally {
      this.#watches.delete(watch);
    }
    if (!watch.isFrozen) response.end();
  }
}

function answer(
  response: ServerResponse,
  { status, retryAfter }: { status: number; retryAfter?: string },
): void {
  const headers = retryAfter === undefined ? {} : { "retry-after": retryAfter };
  response.writeHead(status, { "content-type": "application/json", ...headers });
  const reason = { 410: "Expired", 429: "TooManyRequests" }[status] ?? "InternalError";
  const message = "the proxy says so";
  response.end(
    JSON.stringify({ kind: "Status", status: "Failure", code: status, reason, message }),
  );
}
