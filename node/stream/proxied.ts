/** Connections that a proxy hands over: its word first, then the client's. */
import type { BlockList, Socket } from "node:net";
import { isTrusted } from "../http/proxies.ts";
import { readProxyHeader } from "./proxy-header.ts";
import type { Origin } from "./tcp.ts";

/** A proxy speaks at once; its client's first byte needs a round trip at most. */
const PATIENCE_MS = 10_000;
/** The first byte of TLS: a handshake record. */
const HANDSHAKE = 0x16;

export interface Proxied {
  readonly origin: Origin;
  /** TLS comes next, from the first byte. */
  readonly beginsTls: boolean;
}

/** Faults of the socket: it closes by itself, and that is told. */
const ignore = (): void => {};

/**
 * Reads what the proxy says. The socket is then as if the client had connected itself: paused, its
 * first byte not yet read. Undefined when nobody came: the proxy only looked whether we live, or its
 * client said nothing in time.
 * @throws Error what is wrong about the proxy; the socket is dropped
 */
export async function takeFromProxy(
  socket: Socket,
  proxies: BlockList,
): Promise<Proxied | undefined> {
  const proxy = socket.remoteAddress ?? "";
  if (!isTrusted(proxies, proxy)) {
    socket.destroy();
    throw new Error(`${proxy} is none of c2s.proxied.trustedProxies`);
  }
  const { promise, resolve, reject } = Promise.withResolvers<Proxied | undefined>();
  let read: Buffer = Buffer.alloc(0);
  const onData = (chunk: Buffer) => {
    read = read.length === 0 ? chunk : Buffer.concat([read, chunk]);
    const header = readProxyHeader(read);
    if (header === "wrong") {
      reject(new Error(`${proxy} does not speak the PROXY protocol`));
      socket.destroy();
    } else if (header !== undefined && read.length > header.length) {
      socket.pause().setTimeout(0);
      socket.off("data", onData).off("timeout", onTimeout).off("close", onClose);
      socket.off("error", ignore);
      const rest = read.subarray(header.length);
      socket.unshift(rest);
      const { address = proxy, isTls } = header;
      resolve({ origin: { address, isTls }, beginsTls: rest[0] === HANDSHAKE });
    }
  };
  const onTimeout = () => void socket.destroy();
  const onClose = () => resolve(undefined);
  socket.on("data", onData).on("timeout", onTimeout).on("close", onClose).on("error", ignore);
  socket.setTimeout(PATIENCE_MS);
  return await promise;
}
