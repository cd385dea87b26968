/** Streams over WebSocket (RFC 7395): the handshake, and a transport for each that succeeds. */
import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { WebPath, WebPeer } from "../http/web.ts";
import { refuseUpgrade } from "../http/web.ts";
import type { Gate, TransportLimits } from "./contract.ts";
import type { Origins } from "./origins.ts";
import { httpStatusOf } from "./refusals.ts";
import type { Turns } from "./turns.ts";
import { WebSocketTransport } from "./websocket-transport.ts";

/** RFC 7395, 3.1: the subprotocol that a client must ask for. */
const SUBPROTOCOL = "xmpp";
/**
 * How much larger than a stanza the library lets a message be: the transport says so first, in the
 * words of XMPP, as soon as too much of it has come.
 */
const BACKSTOP = 4;
/** Pieces a message may come in; a stanza of the largest size fits with room to spare. */
const FRAGMENTS_MAX = 1_024;

export interface WebSocketOptions {
  readonly gate: Gate;
  readonly limits: TransportLimits;
  readonly origins: Origins;
  /** What its connections share with all others. */
  readonly turns?: Turns | undefined;
}

export function openWebSocketDoor({ gate, limits, origins, turns }: WebSocketOptions): WebPath {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: BACKSTOP * limits.stanzaBytesMax,
    maxFragments: FRAGMENTS_MAX,
    maxBufferedChunks: 16 * FRAGMENTS_MAX,
    handleProtocols: () => SUBPROTOCOL,
  });
  const onUpgrade = (
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    peer: WebPeer,
  ): void => {
    if (!asksForXmpp(request)) {
      refuseUpgrade(socket, "400 Bad Request");
      return;
    }
    if (!origins.allow(request.headers.origin)) {
      refuseUpgrade(socket, "403 Forbidden");
      return;
    }
    const refusal = gate.admit(peer.address);
    if (refusal !== undefined) {
      refuseUpgrade(socket, httpStatusOf(refusal));
      return;
    }
    let isUpgraded = false;
    server.handleUpgrade(request, socket, head, (websocket) => {
      isUpgraded = true;
      gate.onTransport(new WebSocketTransport(websocket, socket, limits, peer, turns));
    });
    // The library has answered a handshake that it did not like.
    if (!isUpgraded) gate.release(peer.address);
  };
  return { onUpgrade };
}

const asksForXmpp = ({ headers }: IncomingMessage): boolean =>
  (headers["sec-websocket-protocol"] ?? "")
    .split(",")
    .some((protocol) => protocol.trim() === SUBPROTOCOL);
