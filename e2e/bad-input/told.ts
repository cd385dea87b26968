/** What a door answered, in the words of docs/bad-input.md. */
import { request } from "node:http";
import { parse } from "ltx";

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

export interface HttpRequest {
  readonly method: string;
  /** Exactly as given. */
  readonly path: string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string;
}

/** One request on a connection of its own. */
export function ask(port: number, { body = "", ...about }: HttpRequest): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: "127.0.0.1", port, agent: false, ...about }, (response) => {
      let text = "";
      response.setEncoding("utf8");
      response.on("data", (chunk: string) => {
        text += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body: text }));
    });
    sent.on("error", reject);
    sent.end(body);
  });
}

/** "HTTP 404" */
export const statusOf = ({ status }: HttpAnswer): string => `HTTP ${status}`;

/** "stream error: not-authorized", of a text with such an element in it. */
export const streamErrorIn = (text: string): string =>
  `stream error: ${/<stream:error[^>]*><([a-z-]+) /.exec(text)?.[1] ?? `none in ${text}`}`;

/** "iq error, modify: bad-request", of a stanza. */
export function stanzaErrorIn(text: string): string {
  const stanza = parse(text);
  const error = stanza.getChild("error");
  const names = error?.getChildElements().map((child) => child.getName()) ?? [];
  const conditions = names.filter((name) => name !== "text").join(", ");
  return `${stanza.getName()} error, ${error?.attrs.type}: ${conditions}`;
}
