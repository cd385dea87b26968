/** Reads the bodies of HTTP requests within a size each, and a size of all that are being read. */
import type { IncomingMessage } from "node:http";

/** Memory that all bodies being read may take together. */
const READING_BYTES_MAX = 64 * 1024 * 1024;
const FORM = /^(?:text|application)\/xml\s*(?:;\s*charset\s*=\s*"?utf-8"?\s*)?$/i;

export type Read =
  | { readonly kind: "body"; readonly bytes: Buffer }
  /** To be answered with this status; the rest of the request is not read. */
  | { readonly kind: "refused"; readonly status: number; readonly why: string }
  /** The connection broke. */
  | { readonly kind: "gone" };

const refused = (status: number, why: string): Read => ({ kind: "refused", status, why });

export class BodyReader {
  readonly #bytesMax: number;
  readonly #allBytesMax: number;
  #reading = 0;

  /** @param bytesMax of one body */
  constructor(bytesMax: number, allBytesMax = READING_BYTES_MAX) {
    this.#bytesMax = bytesMax;
    this.#allBytesMax = allBytesMax;
  }

  async read(request: IncomingMessage): Promise<Read> {
    const { "content-type": type = "text/xml", "content-encoding": encoding } = request.headers;
    if (!FORM.test(type.trim()) || encoding !== undefined) {
      return refused(415, "bodies are text/xml in UTF-8, not compressed");
    }
    const announced = Number(request.headers["content-length"] ?? 0);
    if (announced > this.#bytesMax) return refused(413, "the body is too large");
    const chunks: Buffer[] = [];
    let length = 0;
    try {
      for await (const chunk of request as AsyncIterable<Buffer>) {
        length += chunk.length;
        this.#reading += chunk.length;
        if (length > this.#bytesMax) return refused(413, "the body is too large");
        if (this.#reading > this.#allBytesMax) return refused(503, "too many bodies at once");
        chunks.push(chunk);
      }
    } catch {
      return { kind: "gone" }; // It broke, or was too slow: HTTP has answered already.
    } finally {
      this.#reading -= length;
    }
    return { kind: "body", bytes: Buffer.concat(chunks) };
  }
}
