/** XEP-0114: headers, proofs and stanzas that a component may not send. */
import { createHash } from "node:crypto";
import { RawClient } from "../../node/session/testing/raw-client.ts";
import type { BadInput, Doors } from "./contract.ts";
import { stanzaErrorIn, streamErrorIn } from "./told.ts";

const STREAM_NS = "http://etherx.jabber.org/streams";
const header = (to: string, ns = "jabber:component:accept", name = "stream") =>
  `<?xml version='1.0'?><stream:${name} xmlns='${ns}' xmlns:stream='${STREAM_NS}'${to}>`;

async function hear(doors: Doors, say: (client: RawClient) => Promise<string>): Promise<string> {
  const client = await RawClient.connect(doors.components);
  try {
    return await say(client);
  } finally {
    client.destroy();
  }
}

const isTo = ({ component }: Doors) => ` to='${component.domain}'`;

/** The whole stream is what is sent. */
const stream = (name: string, condition: string, make: (doors: Doors) => string): BadInput => ({
  ...{ name, answer: `stream error: ${condition}` },
  send: (doors) =>
    hear(doors, async (client) => {
      client.send(make(doors));
      return streamErrorIn(await client.readToEnd());
    }),
});

/** Logs in first. */
async function connected(doors: Doors, client: RawClient): Promise<void> {
  client.send(header(isTo(doors)));
  const id = /id='([^']+)'/.exec(await client.read(/<stream:stream [^>]*>/))?.[1] ?? "";
  const proof = createHash("sha1")
    .update(id + doors.component.secret)
    .digest("hex");
  client.send(`<handshake>${proof}</handshake>`);
  await client.read("<handshake/>");
}

const later = (name: string, condition: string, make: (doors: Doors) => string): BadInput => ({
  ...{ name, answer: `stream error: ${condition}` },
  send: (doors) =>
    hear(doors, async (client) => {
      await connected(doors, client);
      client.send(make(doors));
      return streamErrorIn(await client.readToEnd());
    }),
});

/** @param make what stands after `from` in a stanza's start tag, and the rest of it */
const stanza = (name: string, kind: string, error: string, rest: string): BadInput => ({
  ...{ name, answer: `${kind} error, ${error}` },
  send: (doors) =>
    hear(doors, async (client) => {
      await connected(doors, client);
      client.send(`<${kind} from='bot@${doors.component.domain}' ${rest}`);
      const end = new RegExp(`<${kind} .*?</${kind}>`, "s");
      return stanzaErrorIn(await client.read(end));
    }),
});

const message = (from: string) => `<message${from} to='romeo@localhost'><body>x</body></message>`;

export const components: readonly BadInput[] = [
  stream("a stream of a client", "invalid-namespace", (doors) =>
    header(isTo(doors), "jabber:client"),
  ),
  stream("a stream of a server", "invalid-namespace", (doors) =>
    header(isTo(doors), "jabber:server"),
  ),
  stream("a header that is no stream", "bad-format", (doors) =>
    header(isTo(doors), "jabber:component:accept", "flow"),
  ),
  stream("a header without a domain", "host-unknown", () => header("")),
  stream("a domain that is no component's", "host-unknown", () => header(" to='localhost'")),
  stream("a domain that is none", "host-unknown", () => header(" to='@'")),
  stream("a header that is no XML", "not-well-formed", () => "hello"),
  stream("a document type", "restricted-xml", () => "<!DOCTYPE stream><x/>"),
  stream(
    "a wrong handshake",
    "not-authorized",
    (doors) => `${header(isTo(doors))}<handshake>${"0".repeat(40)}</handshake>`,
  ),
  stream("an empty handshake", "not-authorized", (doors) => `${header(isTo(doors))}<handshake/>`),
  stream(
    "a handshake in another namespace",
    "not-authorized",
    (doors) => `${header(isTo(doors))}<handshake xmlns='urn:x'>${"0".repeat(40)}</handshake>`,
  ),
  stream(
    "a stanza before the handshake",
    "not-authorized",
    (doors) => header(isTo(doors)) + message(` from='${doors.component.domain}'`),
  ),
  stream(
    "a handshake of 20000 letters",
    "policy-violation",
    (doors) => `${header(isTo(doors))}<handshake>${"0".repeat(20_000)}</handshake>`,
  ),
  later("an element that is no stanza", "unsupported-stanza-type", () => "<letter/>"),
  later(
    "a stanza in another namespace",
    "unsupported-stanza-type",
    () => "<message xmlns='jabber:server'/>",
  ),
  later("a stanza from nobody", "invalid-from", () => message("")),
  later("a stanza from a user of the server", "invalid-from", () =>
    message(" from='romeo@localhost'"),
  ),
  later("a stanza from a domain below its own", "invalid-from", ({ component }) =>
    message(` from='x.${component.domain}'`),
  ),
  later("a stanza from a bad address", "invalid-from", () => message(" from='@'")),
  later("a comment", "restricted-xml", () => "<!-- x -->"),
  later("a stanza that is not well-formed", "not-well-formed", () => "<message></presence>"),
  stanza("a message to nobody", "message", "modify: bad-request", "><body>x</body></message>"),
  stanza(
    ...(["a message to a bad address", "message", "modify: jid-malformed"] as const),
    "to='@'><body>x</body></message>",
  ),
  stanza(
    ...(["a request without a child", "iq", "modify: bad-request"] as const),
    "type='get' id='a' to='localhost'/>",
  ),
  stanza(
    ...(["a request of an unknown type", "iq", "modify: bad-request"] as const),
    "type='ask' id='a' to='localhost'><ping xmlns='urn:xmpp:ping'/></iq>",
  ),
  stanza(
    ...(["presence of an unknown type", "presence", "modify: bad-request"] as const),
    "type='asleep' to='romeo@localhost'/>",
  ),
  stanza(
    ...(["presence with a priority of 128", "presence", "modify: bad-request"] as const),
    "to='romeo@localhost'><priority>128</priority></presence>",
  ),
];
