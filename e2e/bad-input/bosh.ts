/** XEP-0124 and XEP-0206: requests that are none, out of their window, or out of place. */
import { parse } from "ltx";
import type { BadInput, Doors } from "./contract.ts";
import type { HttpRequest } from "./told.ts";
import { ask, statusOf, streamErrorIn } from "./told.ts";

const NS = "http://jabber.org/protocol/httpbind";
const FIRST_RID = 1_000;
const XML = { "content-type": "text/xml; charset=utf-8" };

const wrapped = (attributes: string, content = "") =>
  `<body xmlns='${NS}' xmlns:xmpp='urn:xmpp:xbosh' ${attributes}>${content}</body>`;
const opening = (attributes: string) =>
  wrapped(`wait='60' hold='1' ver='1.6' xmpp:version='1.0' ${attributes}`);

const posted = (body: string, headers: Readonly<Record<string, string>> = XML): HttpRequest => ({
  ...{ method: "POST", path: "/http-bind", headers, body },
});

/** "terminate: item-not-found" */
function endIn(text: string): string {
  const { type, condition } = parse(text).attrs as Record<string, string | undefined>;
  if (type !== "terminate") return `no end: ${text}`;
  const cause = condition === "remote-stream-error" ? `, ${streamErrorIn(text)}` : "";
  return `terminate: ${condition}${cause}`;
}

const http = (name: string, answer: string, request: HttpRequest): BadInput => ({
  ...{ name, answer },
  send: async ({ web }) => statusOf(await ask(web, request)),
});

const body = (name: string, answer: string, text: string): BadInput => ({
  ...{ name, answer },
  send: async ({ web }) => endIn((await ask(web, posted(text))).body),
});

async function newSession({ web }: Doors): Promise<string> {
  const made = await ask(web, posted(opening(`rid='${FIRST_RID}' to='localhost'`)));
  return String(parse(made.body).attrs.sid);
}

/** In a session that has just begun. @param make with its id */
const later = (name: string, answer: string, make: (sid: string) => string): BadInput => ({
  ...{ name, answer },
  send: async (doors) => endIn((await ask(doors.web, posted(make(await newSession(doors))))).body),
});

const next = (sid: string, more: string, content = "") =>
  wrapped(`rid='${FIRST_RID + 1}' sid='${sid}' ${more}`, content);

const error = (condition: string) => `terminate: remote-stream-error, stream error: ${condition}`;

export const bosh: readonly BadInput[] = [
  http("a GET", "HTTP 405", { method: "GET", path: "/http-bind" }),
  http("a PUT", "HTTP 405", { method: "PUT", path: "/http-bind", body: opening("rid='1'") }),
  http("a body that is JSON", "HTTP 415", posted("{}", { "content-type": "application/json" })),
  http(
    "a body in another encoding",
    "HTTP 415",
    posted(opening("rid='1'"), { "content-type": "text/xml; charset=iso-8859-1" }),
  ),
  http("a compressed body", "HTTP 415", posted("x", { ...XML, "content-encoding": "gzip" })),
  http("a body of 2,000,000 bytes", "HTTP 413", posted(" ".repeat(2_000_000))),
  body("an empty body", "terminate: bad-request", ""),
  body("a body that is no XML", "terminate: bad-request", "hello"),
  body("a body that is not whole", "terminate: bad-request", `<body xmlns='${NS}' rid='1'>`),
  body(
    "something behind the body",
    "terminate: bad-request",
    `${opening("rid='1' to='localhost'")}<x/>`,
  ),
  body("a body without a namespace", "terminate: bad-request", "<body rid='1' to='localhost'/>"),
  body("an element that is no body", "terminate: bad-request", `<head xmlns='${NS}' rid='1'/>`),
  body(
    "a comment before the body",
    "terminate: bad-request",
    `<!-- x -->${opening("rid='1' to='localhost'")}`,
  ),
  body("a body without a rid", "terminate: bad-request", opening("to='localhost'")),
  body("a rid of 0", "terminate: bad-request", opening("rid='0' to='localhost'")),
  body("a rid that is no number", "terminate: bad-request", opening("rid='x' to='localhost'")),
  body(
    "a rid beyond 2^53",
    "terminate: bad-request",
    opening("rid='9007199254740992' to='localhost'"),
  ),
  body("a session with nobody", "terminate: improper-addressing", opening("rid='1'")),
  body(
    "a session with a domain that is not here",
    "terminate: host-unknown",
    opening("rid='1' to='elsewhere.example'"),
  ),
  body(
    "a session that ends as it begins",
    "terminate: bad-request",
    opening("rid='1' to='localhost' type='terminate'"),
  ),
  body("a session that is not there", "terminate: item-not-found", wrapped("rid='1' sid='none'")),
  later("a rid ahead of the window", "terminate: item-not-found", (sid) =>
    wrapped(`rid='${FIRST_RID + 100}' sid='${sid}'`),
  ),
  later("a rid from before the session", "terminate: item-not-found", (sid) =>
    wrapped(`rid='${FIRST_RID - 1}' sid='${sid}'`),
  ),
  later("a broken stanza in a session", "terminate: bad-request", (sid) =>
    next(sid, "", "<message><body></message>"),
  ),
  later("a restart out of place", error("bad-format"), (sid) =>
    next(sid, "xmpp:restart='true' to='localhost'"),
  ),
  later("a pause that is too long", error("bad-format"), (sid) => next(sid, "pause='100000'")),
  later("a stanza before login", error("not-authorized"), (sid) =>
    next(sid, "", "<message xmlns='jabber:client' to='localhost'/>"),
  ),
];
