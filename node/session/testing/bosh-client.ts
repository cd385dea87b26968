/** A BOSH client that sends exactly what a test tells it to, one HTTP request a body. */
import { base64, SASL } from "./raw-client.ts";

const NS = "http://jabber.org/protocol/httpbind";
const XBOSH = "xmlns:xmpp='urn:xmpp:xbosh'";

export class BoshClient {
  readonly #url: string;
  rid = 1_573_741_820;
  sid = "";

  constructor(port: number) {
    this.#url = `http://127.0.0.1:${port}/http-bind`;
  }

  /** One HTTP request as it is. */
  fetch(init: RequestInit): Promise<Response> {
    return fetch(this.#url, { method: "POST", ...init });
  }

  async raw(body: string, type = "text/xml; charset=utf-8"): Promise<string> {
    const response = await this.fetch({ body, headers: { "content-type": type } });
    return response.text();
  }

  /** A body with the next rid. */
  post(content = "", attributes = ""): Promise<string> {
    this.rid += 1;
    return this.at(this.rid, content, attributes);
  }

  /** A body with this rid. */
  at(rid: number, content = "", attributes = ""): Promise<string> {
    return this.raw(this.bodyAt(rid, content, attributes));
  }

  bodyAt(rid: number, content = "", attributes = ""): string {
    return `<body xmlns='${NS}' sid='${this.sid}' rid='${rid}' ${attributes}>${content}</body>`;
  }

  /** Creates the session; the first response. */
  async create(attributes = "to='localhost' wait='60' hold='1'"): Promise<string> {
    const answer = await this.raw(
      `<body xmlns='${NS}' ${XBOSH} rid='${this.rid}' xmpp:version='1.0' ${attributes}/>`,
    );
    this.sid = / sid='([^']+)'/.exec(answer)?.[1] ?? "";
    return answer;
  }

  async restart(): Promise<string> {
    return this.post("", `to='localhost' xmpp:restart='true' ${XBOSH}`);
  }

  async logIn(resource = "orchard"): Promise<void> {
    await this.create();
    const text = base64("\0romeo\0secret");
    const success = await this.post(`<auth xmlns='${SASL}' mechanism='PLAIN'>${text}</auth>`);
    if (!success.includes("<success")) throw new Error(`Cannot log in: ${success}`);
    await this.restart();
    const bound = await this.post(
      "<iq xmlns='jabber:client' type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>" +
        `<resource>${resource}</resource></bind></iq>`,
    );
    if (!bound.includes("<jid>")) throw new Error(`Cannot bind: ${bound}`);
  }
}
