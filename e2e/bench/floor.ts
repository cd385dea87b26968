/**
 * The floor: a bare Node process that answers the load as if it were a server. It parses nothing,
 * stores nothing and believes everybody; nothing written for Node can be cheaper.
 */
import { readFileSync } from "node:fs";
import type { Socket } from "node:net";
import { createServer } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { readApart } from "../../node/sockets/read-apart.ts";
import { ROSTER } from "./population.ts";

const HEADER =
  "<?xml version='1.0'?><stream:stream from='localhost' id='f' version='1.0' xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>";
const MECHANISMS = `${HEADER}<stream:features><mechanisms xmlns='urn:ietf:params:xml:ns:xmpp-sasl'><mechanism>SCRAM-SHA-1</mechanism></mechanisms></stream:features>`;
const BIND = `${HEADER}<stream:features><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></stream:features>`;
const CHALLENGE = Buffer.from("r=any,s=c2FsdA==,i=4096").toString("base64");
const items = Array.from(
  { length: ROSTER },
  (_, at) =>
    `<item jid='o${at}@localhost' name='o${at}' subscription='both'><group>friends</group></item>`,
).join("");

const users = new Map<string, Socket>();

interface State {
  user: string;
  isLoggedIn: boolean;
}

const idIn = (text: string): string => / id='([^']*)'/.exec(text)?.[1] ?? "";

/** One answer to everything the client has written at once. */
function answer(socket: Socket, state: State, chunk: Buffer): void {
  const text = chunk.toString("latin1");
  if (text.startsWith("<message")) {
    for (const message of text.split(/(?=<message )/)) {
      const to = message.slice(13, message.indexOf("@", 13));
      users.get(to)?.write(message, "latin1");
    }
  }
  if (text.includes("<?xml")) socket.write(state.isLoggedIn ? BIND : MECHANISMS);
  if (text.startsWith("<auth")) {
    const first = Buffer.from(/>([^<]*)</.exec(text)?.[1] ?? "", "base64").toString();
    state.user = /n=([^,]*)/.exec(first.slice(3))?.[1] ?? "";
    socket.write(`<challenge xmlns='urn:ietf:params:xml:ns:xmpp-sasl'>${CHALLENGE}</challenge>`);
  }
  if (text.startsWith("<response")) {
    state.isLoggedIn = true;
    users.set(state.user, socket);
    socket.write("<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>");
  }
  if (text.includes(" id='b'")) socket.write("<iq type='result' id='b'/>");
  if (text.includes(" id='r'")) {
    socket.write(`<iq type='result' id='r'><query xmlns='jabber:iq:roster'>${items}</query></iq>`);
  }
  if (text.includes(" id='o'")) socket.write("<iq type='result' id='o'/>");
  if (text.includes(" id='k")) socket.write(`<iq type='result' id='${idIn(text)}'/>`);
  if (text.includes("</stream")) socket.end("</stream:stream>");
}

function serve(socket: Socket): void {
  readApart(socket);
  const state: State = { user: "", isLoggedIn: false };
  socket.on("data", (chunk: Buffer) => answer(socket, state, chunk));
  socket.on("error", () => socket.destroy());
  socket.on("close", () => users.get(state.user) === socket && users.delete(state.user));
}

const [plainPort = 0, tlsPort = 0] = process.argv.slice(2, 4).map(Number);
const [certificate = "", key = ""] = process.argv.slice(4);
const listen = { host: "127.0.0.1", backlog: 4_096 };
const keys = { cert: readFileSync(certificate), key: readFileSync(key), ecdhCurve: "X25519" };
createServer({ noDelay: true }, serve).listen({ ...listen, port: plainPort });
createTlsServer({ ...keys, noDelay: true }, serve).listen({ ...listen, port: tlsPort });
