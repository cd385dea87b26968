/** RFC 7395: handshakes that are none, and frames that are no element or out of place. */
import { once } from "node:events";
import { request } from "node:http";
import { WebSocket } from "ws";
import type { BadInput, Doors } from "./contract.ts";
import { streamErrorIn } from "./told.ts";

const PATH = "/xmpp-websocket";
const FRAMING = "urn:ietf:params:xml:ns:xmpp-framing";
const OPEN = `<open xmlns='${FRAMING}' to='localhost' version='1.0'/>`;
const PRESENCE = "<presence xmlns='jabber:client'/>";

const UPGRADE = {
  ...{ Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": "13" },
  ...{ "Sec-WebSocket-Key": "MDEyMzQ1Njc4OWFiY2RlZg==", "Sec-WebSocket-Protocol": "xmpp" },
};

/** @param change of the headers of a handshake that is right; undefined leaves one out */
const handshake = (
  name: string,
  answer: string,
  change: Readonly<Record<string, string | undefined>>,
): BadInput => ({
  ...{ name, answer },
  send({ web }) {
    const { promise, resolve, reject } = Promise.withResolvers<string>();
    const all = Object.entries({ ...UPGRADE, ...change });
    const headers = Object.fromEntries(all.filter(([, value]) => value !== undefined));
    const asked = request({ host: "127.0.0.1", port: web, path: PATH, agent: false, headers });
    asked.on("response", ({ statusCode }) => resolve(`HTTP ${statusCode}`));
    asked.on("upgrade", (_, socket) => {
      socket.destroy();
      resolve("HTTP 101");
    });
    asked.on("error", reject);
    asked.end();
    return promise;
  },
});

/** What the server says until it closes the connection, and the status that it closes it with. */
async function saidTo({ web }: Doors, say: (socket: WebSocket) => void): Promise<string> {
  const socket = new WebSocket(`ws://127.0.0.1:${web}${PATH}`, "xmpp");
  let said = "";
  socket.on("message", (data) => {
    said += String(data);
  });
  await once(socket, "open");
  say(socket);
  const [status] = (await once(socket, "close")) as [number];
  if (status !== 1000) return `closed with ${status}`;
  // The prefix is declared by each message that uses it.
  return streamErrorIn(said);
}

const framed = (name: string, condition: string, message: string | Buffer): BadInput => ({
  ...{ name, answer: `stream error: ${condition}` },
  send: (doors) => saidTo(doors, (socket) => socket.send(message)),
});

/** After a header that is right. */
const opened = (name: string, condition: string, ...messages: (string | Buffer)[]): BadInput => ({
  ...{ name, answer: `stream error: ${condition}` },
  send: (doors) =>
    saidTo(doors, (socket) => {
      for (const message of [OPEN, ...messages]) socket.send(message);
    }),
});

/** Octets of a frame as they are. */
const raw = (name: string, answer: string, octets: readonly number[]): BadInput => ({
  ...{ name, answer },
  send: (doors) =>
    saidTo(doors, (socket) => {
      const { _socket: below } = socket as unknown as { _socket: NodeJS.WritableStream };
      below.write(Buffer.from(octets));
    }),
});

export const websocket: readonly BadInput[] = [
  handshake("a handshake without a subprotocol", "HTTP 400", {
    "Sec-WebSocket-Protocol": undefined,
  }),
  handshake("a handshake for another subprotocol", "HTTP 400", {
    "Sec-WebSocket-Protocol": "mqtt",
  }),
  handshake("a handshake of an old version", "HTTP 400", { "Sec-WebSocket-Version": "7" }),
  handshake("a handshake with a short key", "HTTP 400", { "Sec-WebSocket-Key": "short" }),
  handshake("a handshake without a key", "HTTP 400", { "Sec-WebSocket-Key": undefined }),
  handshake("a request that upgrades nothing", "HTTP 404", {
    ...{ Connection: undefined, Upgrade: undefined },
  }),
  framed(
    "the header of a stream over TCP",
    "invalid-namespace",
    "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' to='localhost' version='1.0'/>",
  ),
  framed("a header in another namespace", "invalid-namespace", OPEN.replace(FRAMING, "urn:x")),
  framed("a header that is no open", "bad-format", OPEN.replace("open", "opened")),
  framed(
    "a header for a domain that is not here",
    "host-unknown",
    OPEN.replace("localhost", "elsewhere.example"),
  ),
  framed("a header without a version", "unsupported-version", OPEN.replace(" version='1.0'", "")),
  framed("a header that is not closed", "not-well-formed", OPEN.replace("/>", ">")),
  framed("a header as a binary message", "bad-format", Buffer.from(OPEN)),
  framed("a stanza instead of a header", "invalid-namespace", PRESENCE),
  opened("a stanza before login", "not-authorized", PRESENCE),
  opened("a second header", "bad-format", OPEN),
  opened("an empty message", "not-well-formed", ""),
  opened("a message of white space", "not-well-formed", " "),
  opened("two elements in one message", "not-well-formed", PRESENCE + PRESENCE),
  opened("half an element", "not-well-formed", "<presence xmlns='jabber:client'>"),
  opened("an XML declaration", "not-well-formed", `<?xml version='1.0'?>${PRESENCE}`),
  opened("a document type", "not-well-formed", `<!DOCTYPE presence>${PRESENCE}`),
  opened(
    "a comment in an element",
    "restricted-xml",
    "<presence xmlns='jabber:client'><!-- x --></presence>",
  ),
  opened("a message of 20000 letters before login", "policy-violation", "a".repeat(20_000)),
  raw("a frame that is not masked", "closed with 1002", [0x81, 0x01, 0x20]),
  raw("a frame of a reserved kind", "closed with 1002", [0x83, 0x80, 0, 0, 0, 0]),
  raw("text that is not UTF-8", "closed with 1007", [0x81, 0x81, 0, 0, 0, 0, 0xff]),
];
