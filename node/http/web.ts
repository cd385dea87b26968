/**
 * The listener for what clients do over HTTP: requests and WebSocket handshakes, by exact path,
 * over TLS with each domain's certificate, or plain behind a proxy that does TLS itself.
 */
import type { IncomingMessage, Server, ServerResponse } from "node:http";
import { createServer as createHttpServer } from "node:http";
import type { BlockList, Socket } from "node:net";
import { isIP } from "node:net";
import type { Duplex } from "node:stream";
import type { TLSSocketOptions } from "node:tls";
import { TLSSocket } from "node:tls";
import { listenTogether } from "../sockets/listening.ts";
import { readApart } from "../sockets/read-apart.ts";
import { isTrusted, proxyList } from "./proxies.ts";

/** Who is at the other end, behind all proxies that are trusted. */
export interface WebPeer {
  readonly address: string;
  /** Whether nobody between the peer and us, or a trusted proxy, can read along. */
  readonly isSecure: boolean;
}

/** What stands at one path. */
export interface WebPath {
  /** Time to the end of a request's body where it is not everybody's. */
  readonly bodyMs?: number;
  onRequest?(
    request: IncomingMessage,
    response: ServerResponse,
    peer: WebPeer,
  ): Promise<void> | undefined;
  onUpgrade?(request: IncomingMessage, socket: Duplex, head: Buffer, peer: WebPeer): void;
}

/** See stream/tls.ts. */
export interface WebTls {
  readonly inForce: {
    optionsFor(domain: undefined): Pick<TLSSocketOptions, "secureContext" | "SNICallback">;
  };
}

/** Bounds that no configuration changes; tests hand in smaller ones. */
export interface WebTimeouts {
  /** From connecting, or from the answer before, to the end of a request's headers. */
  readonly headersMs: number;
  /** To the end of its body. */
  readonly requestMs: number;
  /** How often the two are looked at. */
  readonly checkMs: number;
}

export interface WebOptions {
  readonly host: string;
  readonly port: number;
  /** Undefined: plain HTTP. */
  readonly tls: WebTls | undefined;
  /** Addresses and networks (10.0.0.0/8) whose X-Forwarded-For and -Proto are believed. */
  readonly trustedProxies: readonly string[];
  readonly connectionsMax: number;
  readonly timeouts?: WebTimeouts;
  readonly paths: Readonly<Record<string, WebPath>>;
  /** Counts an address in; false when it has too many connections. Not asked about proxies. */
  admit(address: string): boolean;
  release(address: string): void;
  /** A bug of ours came up in a handler, or the system could not hand over a connection. */
  onFault(error: unknown): void;
}

export interface WebServer extends AsyncDisposable {
  readonly port: number;
  /** Connections open now, and those that found no room. */
  readonly connections: number;
  readonly refused: number;
}

const TIMEOUTS: WebTimeouts = { headersMs: 10_000, requestMs: 20_000, checkMs: 2_000 };
/** Longer than the pauses of a client that polls without pause. */
const KEEP_ALIVE_MS = 30_000;
const HEADER_BYTES_MAX = 8_192;

/** @throws ConfigError for a proxy that is no address, or when the port cannot be listened on */
export async function openWeb(options: WebOptions): Promise<WebServer> {
  const proxies = proxyList("web.trustedProxies", options.trustedProxies);
  const http = openHandlers(options, proxies);
  const sockets = new Set<Socket>();
  let refused = 0;
  const onSocket = (socket: Socket): void => {
    const address = socket.remoteAddress ?? "";
    socket.on("error", () => socket.destroy());
    const isProxy = isTrusted(proxies, address);
    if (sockets.size >= options.connectionsMax || !(isProxy || options.admit(address))) {
      refused += 1;
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on("close", () => {
      sockets.delete(socket);
      if (!isProxy) options.release(address);
    });
    http.emit("connection", options.tls === undefined ? socket : secured(socket, options.tls));
  };
  const { host, port, onFault: onAcceptError } = options;
  const listening = await listenTogether({ host, port, whom: "web", onSocket, onAcceptError });
  return {
    port: listening.port,
    get connections() {
      return sockets.size;
    },
    get refused() {
      return refused;
    },
    async [Symbol.asyncDispose]() {
      const closed = listening.close();
      http.close();
      for (const socket of sockets) socket.destroy();
      await closed;
    },
  };
}

function secured(socket: Socket, tls: WebTls): TLSSocket {
  const secure = new TLSSocket(socket, {
    isServer: true,
    ...tls.inForce.optionsFor(undefined),
    ALPNProtocols: ["http/1.1"],
  });
  readApart(secure);
  secure.on("error", () => secure.destroy());
  return secure;
}

function openHandlers(options: WebOptions, proxies: BlockList): Server {
  const { paths } = options;
  const pathOf = ({ url = "/" }: IncomingMessage): WebPath | undefined => {
    const path = url.split("?", 1)[0] as string;
    if (Object.hasOwn(paths, path)) return paths[path];
    // A path that ends with a slash stands for everything below it.
    const folder = path.slice(0, path.indexOf("/", 1) + 1);
    return Object.hasOwn(paths, folder) ? paths[folder] : undefined;
  };
  const { headersMs, requestMs, checkMs } = options.timeouts ?? TIMEOUTS;
  const longestMs = Math.max(requestMs, ...Object.values(paths).map((one) => one.bodyMs ?? 0));
  const http = createHttpServer(
    {
      headersTimeout: headersMs,
      requestTimeout: longestMs,
      connectionsCheckingInterval: checkMs,
      keepAliveTimeout: KEEP_ALIVE_MS,
      maxHeaderSize: HEADER_BYTES_MAX,
    },
    (request, response) => {
      const onFault = (error: unknown) => {
        options.onFault(error);
        response.destroy();
      };
      try {
        const found = pathOf(request);
        const onRequest = found?.onRequest;
        const bodyMs = found?.bodyMs ?? requestMs;
        if (bodyMs < longestMs) limitBody(request, response, bodyMs);
        if (onRequest === undefined) sendText(response, 404, "nothing is here");
        else onRequest(request, response, peerOf(request, proxies))?.catch(onFault);
      } catch (error) {
        onFault(error);
      }
    },
  );
  http.on("upgrade", (request: IncomingMessage, socket: Duplex, head: Buffer) => {
    socket.on("error", () => socket.destroy());
    try {
      const onUpgrade = pathOf(request)?.onUpgrade;
      if (onUpgrade === undefined) refuseUpgrade(socket, "404 Not Found");
      else onUpgrade(request, socket, head, peerOf(request, proxies));
    } catch (error) {
      options.onFault(error);
      socket.destroy();
    }
  });
  // It is handed its connections and never listens; this is what makes it watch their timeouts.
  http.emit("listening");
  return http;
}

/** Ends a request whose body takes longer, as Node does it where one time is everybody's. */
function limitBody(request: IncomingMessage, response: ServerResponse, bodyMs: number): void {
  if (request.complete) return;
  const timer = setTimeout(() => {
    if (response.headersSent) request.destroy();
    else response.writeHead(408, { connection: "close" }).end(() => request.destroy());
  }, bodyMs);
  timer.unref();
  const stop = () => clearTimeout(timer);
  request.once("end", stop).once("close", stop);
}

function sendText(response: ServerResponse, status: number, text: string): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8" });
  response.end(`${text}\n`);
}

/** @param status code and reason, as HTTP writes them */
export function refuseUpgrade(socket: Duplex, status: string): void {
  socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`);
}

const headerOf = ({ headers }: IncomingMessage, name: string): string => {
  const value = headers[name];
  return (Array.isArray(value) ? value.join(",") : value) ?? "";
};

/** Some proxies write 192.0.2.1:4711 and [2001:db8::1]:4711. */
const WITH_PORT = /^(?:\[([^\]]*)\]|([\d.]+))(?::\d+)?$/;

/** The nearest address that no trusted proxy stands for. */
function peerOf(request: IncomingMessage, proxies: BlockList): WebPeer {
  const { socket } = request;
  const own = socket.remoteAddress ?? "";
  const isTls = socket instanceof TLSSocket;
  if (!isTrusted(proxies, own)) return { address: own, isSecure: isTls };
  const hops = headerOf(request, "x-forwarded-for")
    .split(",")
    .map((hop) => hop.trim().replace(WITH_PORT, "$1$2"))
    .filter((hop) => isIP(hop) !== 0);
  const address = hops.findLast((hop) => !isTrusted(proxies, hop)) ?? hops[0] ?? own;
  const proto = headerOf(request, "x-forwarded-proto").split(",").at(-1)?.trim();
  return { address, isSecure: proto === undefined || proto === "" ? isTls : proto === "https" };
}
