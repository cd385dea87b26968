/** BOSH at a path of the listener for web clients: requests become sessions (XEP-0124). */
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Random } from "../../base/random.ts";
import { randomId } from "../../base/random.ts";
import type { WebPath, WebPeer } from "../../http/web.ts";
import { XmlError } from "../../xml/errors.ts";
import type { Gate } from "../contract.ts";
import type { Origins } from "../origins.ts";
import type { RequestBody } from "./body.ts";
import { parseBody, sidOf, terminal } from "./body.ts";
import { Exchange } from "./exchange.ts";
import { BodyReader } from "./requests.ts";
import type { BoshSettings } from "./transport.ts";
import { BoshTransport } from "./transport.ts";

export interface BoshOptions extends BoshSettings {
  readonly gate: Gate;
  readonly origins: Origins;
  readonly random: Random;
  /** Begins every session id, so that a request for another node's session is known as one. */
  readonly incarnation: string;
}

/** Plain counters, read by the metrics. */
export interface BoshStats {
  readonly sessions: number;
  /** Requests that wait for something to say. */
  readonly held: number;
  /** Requests for sessions that live on another node, or died with one. */
  readonly elsewhere: number;
}

export interface BoshDoor extends WebPath {
  readonly stats: BoshStats;
}

/** What a body has besides its stanzas. */
const WRAPPER_BYTES_MAX = 4_096;
const SID_BYTES = 18;
const NODE_CHARACTERS = 8;
const PREFLIGHT_SECONDS = "86400";

export const openBoshDoor = (options: BoshOptions): BoshDoor => new OpenBoshDoor(options);

class OpenBoshDoor implements BoshDoor {
  readonly #options: BoshOptions;
  readonly #reader: BodyReader;
  readonly #prefix: string;
  readonly #sessions = new Map<string, BoshTransport>();
  #elsewhere = 0;

  constructor(options: BoshOptions) {
    this.#options = options;
    this.#reader = new BodyReader(options.limits.stanzaBytesMax + WRAPPER_BYTES_MAX);
    this.#prefix = `${options.incarnation.slice(0, NODE_CHARACTERS)}.`;
  }

  get stats(): BoshStats {
    let held = 0;
    for (const session of this.#sessions.values()) held += session.heldCount;
    return { sessions: this.#sessions.size, held, elsewhere: this.#elsewhere };
  }

  readonly onRequest = (
    request: IncomingMessage,
    response: ServerResponse,
    peer: WebPeer,
  ): Promise<void> | undefined => {
    if (!this.#allowOrigin(request, response)) return undefined;
    if (request.method === "OPTIONS") {
      response.writeHead(204, {
        "access-control-allow-methods": "POST, OPTIONS",
        "access-control-allow-headers": "Content-Type",
        "access-control-max-age": PREFLIGHT_SECONDS,
      });
      response.end();
      return undefined;
    }
    if (request.method !== "POST") {
      refuse(response, 405, "BOSH clients POST here (XEP-0124)", { allow: "POST, OPTIONS" });
      return undefined;
    }
    return this.#post(request, response, peer);
  };

  #allowOrigin({ headers: { origin } }: IncomingMessage, response: ServerResponse): boolean {
    if (origin === undefined) return true;
    const allowed = this.#options.origins.answer(origin);
    if (allowed === undefined) {
      refuse(response, 403, "pages of this origin may not connect");
      return false;
    }
    response.setHeader("access-control-allow-origin", allowed);
    response.setHeader("vary", "origin");
    return true;
  }

  async #post(request: IncomingMessage, response: ServerResponse, peer: WebPeer): Promise<void> {
    const read = await this.#reader.read(request);
    if (read.kind === "gone") return;
    if (read.kind === "refused") {
      refuse(response, read.status, read.why, { connection: "close" });
      return;
    }
    let body: RequestBody;
    try {
      body = parseBody(read.bytes, this.#options.limits.stanzaBytesMax);
    } catch (error) {
      if (!(error instanceof XmlError)) throw error;
      this.#refuseBody(read.bytes, response, peer);
      return;
    }
    this.#take(body, response, peer);
  }

  /** Whoever holds the session and sends such a thing has ended it (XEP-0124, 17.2). */
  #refuseBody(bytes: Buffer, response: ServerResponse, peer: WebPeer): void {
    const sid = sidOf(bytes);
    const session = sid === undefined ? undefined : this.#find(sid, peer);
    const exchange = new Exchange(response, () => undefined);
    if (session instanceof BoshTransport) session.abort("bad-request", exchange);
    else exchange.reply(terminal("bad-request"));
  }

  #take(body: RequestBody, response: ServerResponse, peer: WebPeer): void {
    const { sid } = body.attributes;
    const session = sid === undefined ? this.#create(body, peer) : this.#find(sid, peer);
    if (typeof session === "string") {
      new Exchange(response, () => undefined).reply(terminal(session));
      return;
    }
    session.take(body, new Exchange(response, () => session.exchangeBroken()));
  }

  /** The session, or the condition to answer with. */
  #find(sid: string, { isSecure }: WebPeer): BoshTransport | string {
    const session = this.#sessions.get(sid);
    if (session === undefined) {
      if (!sid.startsWith(this.#prefix)) this.#elsewhere += 1;
      return "item-not-found";
    }
    // Over a wire that others can read the id would be everybody's.
    return session.isSecure && !isSecure ? "item-not-found" : session;
  }

  #create(body: RequestBody, peer: WebPeer): BoshTransport | string {
    const { gate, random } = this.#options;
    const { rid, attributes, isTerminate } = body;
    if (attributes.to === undefined) return "improper-addressing";
    if (isTerminate || rid >= Number.MAX_SAFE_INTEGER) return "bad-request";
    const refusal = gate.admit(peer.address);
    if (refusal !== undefined) {
      return refusal === "system-shutdown" ? refusal : "policy-violation";
    }
    const sid = `${this.#prefix}${randomId(random, SID_BYTES)}`;
    const session = new BoshTransport(sid, body, peer, this.#options, () => {
      this.#sessions.delete(sid);
    });
    this.#sessions.set(sid, session);
    gate.onTransport(session);
    return session;
  }
}

function refuse(
  response: ServerResponse,
  status: number,
  why: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, { "content-type": "text/plain; charset=utf-8", ...headers });
  response.end(`${why}\n`);
}
