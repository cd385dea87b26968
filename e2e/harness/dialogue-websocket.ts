/** A dialogue's client over WebSocket (RFC 7395). */
import { once } from "node:events";
import { WebSocket } from "ws";
import type { Wire, WireOptions } from "./dialogue-wire.ts";
import { readAlone, standingAlone } from "./dialogue-wire.ts";

const NS_FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";

export async function openWebSocketWire(options: WireOptions): Promise<Wire> {
  const { domain, port, onArrival, onText } = options;
  const tls = { rejectUnauthorized: false, servername: domain };
  const socket = new WebSocket(`wss://127.0.0.1:${port}/xmpp-websocket`, ["xmpp"], tls);
  socket.on("error", () => undefined); // "close" follows and tells.
  socket.on("message", (data, isBinary) => {
    const text = String(data);
    onText(text);
    try {
      const [element, ...others] = readAlone(text);
      if (element === undefined || others.length > 0 || isBinary) {
        throw new Error("Cannot read a message: it is not one element");
      }
      const isFraming = element.getNS() === NS_FRAMING;
      if (isFraming && element.name === "close") onArrival({ kind: "stream-end" });
      else onArrival({ kind: isFraming ? "header" : "stanza", element });
    } catch (error) {
      onArrival({ kind: "broken", why: (error as Error).message });
    }
  });
  socket.on("close", () => onArrival({ kind: "disconnected" }));
  await once(socket, "open");
  return {
    openStream: () => socket.send(`<open xmlns="${NS_FRAMING}" to="${domain}" version="1.0"/>`),
    send(text) {
      const { stanzas, isEnd } = standingAlone(text);
      for (const stanza of stanzas) socket.send(stanza);
      if (isEnd) socket.send(`<close xmlns="${NS_FRAMING}"/>`);
    },
    cut: () => socket.terminate(),
  };
}
