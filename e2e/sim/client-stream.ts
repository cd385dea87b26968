/** A client's end of a stream: bytes in, stanzas out. */
import type { ParsedStanza } from "../../node/xml/contract.ts";
import { createFramer } from "../../node/xml/framer.ts";
import { parseStanza, parseStreamOpen } from "../../node/xml/parser.ts";
import type { Wire } from "./wire.ts";

const STANZA_BYTES_MAX = 1_000_000;
/** A server's system notices a client that is gone after this long, if nothing is sent to it. */
const KEEPALIVE_MS = 100_000;

export interface StreamEvents {
  onConnected(): void;
  onStanza(stanza: ParsedStanza): void;
  /** What the server says is no XML stream. */
  onUnreadable(error: Error, chunk: Buffer): void;
  /** Nothing comes any more. */
  onOver(): void;
}

export class ClientStream {
  readonly #wire: Wire;
  readonly #framer = createFramer(STANZA_BYTES_MAX);
  #scope: ReadonlyMap<string, string> = new Map();
  #isOver = false;

  constructor(wire: Wire, events: StreamEvents) {
    this.#wire = wire;
    const over = () => {
      if (this.#isOver) return;
      this.#isOver = true;
      events.onOver();
    };
    const sink = {
      onStreamOpen: (startTag: Buffer) => {
        this.#scope = parseStreamOpen(startTag).scope;
      },
      onStanza: (bytes: Buffer) => {
        if (!this.#isOver) events.onStanza(parseStanza(bytes, this.#scope));
      },
      onStreamClose: () => {
        this.#wire.end();
        over();
      },
    };
    wire.on("connect", () => events.onConnected());
    wire.on("data", (chunk: Buffer) => {
      if (this.#isOver) return;
      try {
        this.#framer.feed(chunk, sink);
      } catch (error) {
        events.onUnreadable(error as Error, chunk);
        this.#wire.break();
        over();
      }
    });
    wire.on("error", () => undefined);
    wire.on("close", over);
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** @param arrived when the node has read it */
  send(text: string, arrived?: () => void): void {
    if (!this.#isOver) this.#wire.write(Buffer.from(text), undefined, arrived);
  }

  /** What comes next is a new header. */
  restart(): void {
    this.#framer.reset();
  }

  /** Does not read what comes for a while. */
  pause(): void {
    this.#wire.pause();
  }

  resume(): void {
    this.#wire.resume();
  }

  /** With a word (RFC 6120, 4.4): the session ends. */
  close(): void {
    this.send("</stream:stream>");
    this.#wire.end();
    this.#isOver = true;
  }

  /** Without a word, noticed by the server as soon as the network tells it. */
  drop(): void {
    this.#isOver = true;
    this.#wire.break();
  }

  /** Without a word, and nothing tells the server. */
  forget(): void {
    this.#isOver = true;
    this.#wire.vanish(KEEPALIVE_MS);
  }
}
