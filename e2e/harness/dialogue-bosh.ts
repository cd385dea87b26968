/** A dialogue's client over BOSH (XEP-0124, XEP-0206): one request always waits at the server. */
import { Agent, request } from "node:https";
import type { Element } from "ltx";
import { elementsOf } from "./dialogue-reader.ts";
import type { Wire, WireOptions } from "./dialogue-wire.ts";
import { readAlone, standingAlone } from "./dialogue-wire.ts";

const NS = "http://jabber.org/protocol/httpbind";
const NAMES = `xmlns="${NS}" xmlns:xmpp="urn:xmpp:xbosh"`;
const STREAM_NS = "http://etherx.jabber.org/streams";
const REQUESTS_MAX = 2;

export const openBoshWire = async (options: WireOptions): Promise<Wire> => new BoshWire(options);

class BoshWire implements Wire {
  readonly #options: WireOptions;
  readonly #agent = new Agent({ keepAlive: true, rejectUnauthorized: false });
  #rid = 1_000_000;
  #sid: string | undefined;
  #underWay = 0;
  #queue: string[] = [];
  /** After login the server may speak at any time. */
  #isLoggedIn = false;
  /** The features that come next are those of a new stream. */
  #isOpening = false;
  #isOver = false;
  /** Answers that came before one that must be read first. */
  readonly #early = new Map<number, string>();
  #next = this.#rid;

  constructor(options: WireOptions) {
    this.#options = options;
  }

  openStream(): void {
    const { domain } = this.#options;
    this.#isOpening = true;
    if (this.#sid === undefined) {
      this.#post(`to="${domain}" wait="60" hold="1" ver="1.6" xmpp:version="1.0"`, "");
      return;
    }
    this.#isLoggedIn = true;
    this.#post(`sid="${this.#sid}" to="${domain}" xmpp:restart="true"`, "");
  }

  send(text: string): void {
    const { stanzas, isEnd } = standingAlone(text);
    this.#queue.push(...stanzas);
    if (isEnd) this.#post(`sid="${this.#sid}" type="terminate"`, this.#takeQueue());
    else this.#goOn();
  }

  cut(): void {
    this.#isOver = true;
    this.#agent.destroy();
  }

  #takeQueue(): string {
    return this.#queue.splice(0).join("");
  }

  /** Sends what waits, and keeps one request at the server once there is something to hear. */
  #goOn(): void {
    if (this.#isOver || this.#sid === undefined) return;
    const isDue = this.#queue.length > 0 && this.#underWay < REQUESTS_MAX;
    if (isDue || (this.#isLoggedIn && this.#underWay === 0)) {
      this.#post(`sid="${this.#sid}"`, this.#takeQueue());
    }
  }

  #post(attributes: string, content: string): void {
    const rid = this.#rid;
    this.#rid += 1;
    this.#underWay += 1;
    const body = `<body ${NAMES} rid="${rid}" ${attributes}>${content}</body>`;
    const { port, domain } = this.#options;
    const headers = { "content-type": "text/xml; charset=utf-8" };
    const options = { port, host: "127.0.0.1", path: "/http-bind", method: "POST", headers };
    const asked = request({ ...options, agent: this.#agent, servername: domain }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => this.#answered(rid, text));
    });
    asked.on("error", () => this.#end());
    asked.end(body);
  }

  #answered(rid: number, text: string): void {
    this.#early.set(rid, text);
    for (;;) {
      const answer = this.#early.get(this.#next);
      if (answer === undefined || this.#isOver) return;
      this.#early.delete(this.#next);
      this.#next += 1;
      this.#underWay -= 1;
      this.#options.onText(answer);
      this.#read(answer);
      this.#goOn();
    }
  }

  #read(answer: string): void {
    const { onArrival } = this.#options;
    try {
      const [body] = readAlone(answer);
      if (body?.getNS() !== NS) throw new Error("Cannot read an answer: it is not a body");
      const { sid, type, condition } = body.attrs as Record<string, string | undefined>;
      this.#sid ??= sid;
      for (const element of elementsOf(body)) {
        // A header has no form of its own here: features are what comes of one.
        const isFeatures = element.name === "stream:features";
        if (isFeatures && this.#isOpening) onArrival({ kind: "header", element: body });
        if (isFeatures && !this.#isOpening) this.#isLoggedIn = true; // XEP-0388: no new stream.
        if (isFeatures) this.#isOpening = false;
        onArrival({ kind: "stanza", element });
      }
      if (type !== "terminate") return;
      const own = condition === "remote-stream-error" ? undefined : condition;
      if (own !== undefined) onArrival({ kind: "stanza", element: errorOf(own) });
      onArrival({ kind: "stream-end" });
      this.#end();
    } catch (error) {
      onArrival({ kind: "broken", why: (error as Error).message });
    }
  }

  #end(): void {
    if (this.#isOver) return;
    this.cut();
    this.#options.onArrival({ kind: "disconnected" });
  }
}

/** BOSH's own word for an error, as a stream would have said it. */
function errorOf(condition: string): Element {
  const [error] = readAlone(
    `<stream:error xmlns:stream="${STREAM_NS}">` +
      `<${condition} xmlns="urn:ietf:params:xml:ns:xmpp-streams"/></stream:error>`,
  );
  return error as Element;
}
