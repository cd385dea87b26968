/** XEP-0363: what is asked for, and what is then sent by HTTP. */
import { RawClient } from "../../node/session/testing/raw-client.ts";
import type { BadInput, Doors } from "./contract.ts";
import type { HttpRequest } from "./told.ts";
import { ask, stanzaErrorIn, statusOf } from "./told.ts";

const NS = "urn:xmpp:http:upload:0";
const FILE = "not really a picture";
const SLOT = `filename='photo.png' size='${FILE.length}' content-type='image/png'`;

/** What the server says to a request of a client that has logged in. */
async function requested(doors: Doors, iq: string): Promise<string> {
  const client = await RawClient.connect(doors.c2s);
  try {
    await client.open();
    client.plain(doors.user.name, doors.user.password);
    await client.read(/<success[^>]*>/);
    await client.open();
    await client.bind();
    client.send(iq);
    return await client.read(/<iq [^>]*id='slot'.*?<\/iq>/s);
  } finally {
    client.destroy();
  }
}

const slotRequest = (attributes: string, more = "type='get' to='localhost'") =>
  `<iq id='slot' ${more}><request xmlns='${NS}' ${attributes}/></iq>`;

const slot = (name: string, answer: string, attributes: string, more?: string): BadInput => ({
  ...{ name, answer: `iq error, ${answer}` },
  send: async (doors) => stanzaErrorIn(await requested(doors, slotRequest(attributes, more))),
});

interface Paths {
  readonly put: string;
  readonly get: string;
}

async function newSlot(doors: Doors): Promise<Paths> {
  const answer = await requested(doors, slotRequest(SLOT));
  const [put = "", get = ""] = ["put", "get"].map((which) => {
    const url = new URL(new RegExp(`<${which} url='([^']+)'`).exec(answer)?.[1] as string);
    return url.pathname + url.search;
  });
  return { put, get };
}

const whole = { "content-length": String(FILE.length), "content-type": "image/png" };
const into = (path: string, more: Partial<HttpRequest> = {}): HttpRequest => ({
  ...{ method: "PUT", path, headers: whole, body: FILE },
  ...more,
});

/** One or more requests for a new slot: the answer is that to the last. */
const http = (
  name: string,
  answer: string,
  make: (paths: Paths, other: Paths) => readonly HttpRequest[],
): BadInput => ({
  ...{ name, answer },
  async send(doors) {
    let said = "nothing";
    for (const request of make(await newSlot(doors), await newSlot(doors))) {
      said = statusOf(await ask(doors.web, request));
    }
    return said;
  },
});

const length = (bytes: number) => ({ ...whole, "content-length": String(bytes) });
const tokenOf = ({ put }: Paths) => put.slice(put.indexOf("?"));

export const upload: readonly BadInput[] = [
  slot("a slot without a name", "modify: bad-request", "size='1'"),
  slot("a slot with an empty name", "modify: bad-request", "filename='' size='1'"),
  slot("a slot without a size", "modify: bad-request", "filename='a'"),
  slot("a size of 0", "modify: bad-request", "filename='a' size='0'"),
  slot("a size of -1", "modify: bad-request", "filename='a' size='-1'"),
  slot("a size that is no number", "modify: bad-request", "filename='a' size='large'"),
  slot("a size of 1e3", "modify: bad-request", "filename='a' size='1e3'"),
  slot(
    ...(["a name of 20000 letters", "modify: not-acceptable"] as const),
    `filename='${"a".repeat(20_000)}' size='1'`,
  ),
  slot(
    ...(["a file that is too large", "modify: not-acceptable, file-too-large"] as const),
    "filename='a' size='999999999999'",
  ),
  slot("a slot of type set", "cancel: service-unavailable", SLOT, "type='set' to='localhost'"),
  slot("a slot at one's own account", "cancel: service-unavailable", SLOT, "type='get'"),
  http("a file without a slot's token", "HTTP 403", ({ get }) => [into(get)]),
  http("a file with a token that is none", "HTTP 403", ({ get }) => [into(`${get}?nonsense`)]),
  http("a file with another slot's token", "HTTP 403", ({ get }, other) => [
    into(get + tokenOf(other)),
  ]),
  http("a file that is shorter than was said", "HTTP 400", ({ put }) => [
    into(put, { headers: length(1), body: "x" }),
  ]),
  http("a file that is longer than was said", "HTTP 400", ({ put }) => [
    into(put, { headers: length(2 * FILE.length), body: FILE + FILE }),
  ]),
  http("a file of which no length is told", "HTTP 411", ({ put }) => [
    into(put, { headers: { "transfer-encoding": "chunked" } }),
  ]),
  http("a file of another type than was said", "HTTP 415", ({ put }) => [
    into(put, { headers: { ...whole, "content-type": "text/html" } }),
  ]),
  http("a second file for a slot", "HTTP 409", ({ put }) => [into(put), into(put)]),
  http("a file that is posted", "HTTP 405", ({ put }) => [into(put, { method: "POST" })]),
  http("a file that is deleted by its reader", "HTTP 405", ({ get }) => [
    { method: "DELETE", path: get },
  ]),
  http("a name that the server never gave", "HTTP 404", ({ put }) => [
    into(put.replace("/upload/", "/upload/1")),
  ]),
  http("a name that climbs", "HTTP 404", () => [into("/upload/..%2f..%2fetc%2fpasswd?x")]),
  http("a read of a file that never came", "HTTP 404", ({ get }) => [{ method: "GET", path: get }]),
  http("a part beyond the end of a file", "HTTP 416", ({ put, get }) => [
    into(put),
    { method: "GET", path: get, headers: { range: "bytes=999-" } },
  ]),
];
