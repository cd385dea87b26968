/** Reads what a server writes, strictly: a parser that shares no code with the server's own. */
import { Element } from "ltx";
import type { SaxesTagNS } from "saxes";
import { SaxesParser } from "saxes";

const STREAM_NS = "http://etherx.jabber.org/streams";

export interface ReaderEvents {
  /** The opening tag of the stream, without children. */
  onHeader(header: Element): void;
  /** A complete child of the stream. */
  onStanza(stanza: Element): void;
  /** The closing tag of the stream. */
  onEnd(): void;
  /** What came is not well-formed XML; nothing is read after it. */
  onBroken(why: string): void;
}

/** An incremental reader of one XML stream. */
export class StreamReader {
  readonly #parser = new SaxesParser({ xmlns: true });
  readonly #events: ReaderEvents;
  #place: Element | undefined;
  #depth = 0;
  #isBroken = false;

  constructor(events: ReaderEvents) {
    this.#events = events;
    const parser = this.#parser;
    parser.on("opentag", (tag) => this.#open(tag));
    parser.on("closetag", () => this.#close());
    parser.on("text", (text) => this.#text(text));
    parser.on("cdata", (text) => this.#text(text));
    parser.on("error", (error) => this.#break(error.message));
    parser.on("doctype", () => this.#break("a document type declaration"));
    parser.on("comment", () => this.#break("a comment"));
    parser.on("processinginstruction", () => this.#break("a processing instruction"));
  }

  write(text: string): void {
    if (!this.#isBroken) this.#parser.write(text);
  }

  #open(tag: SaxesTagNS): void {
    const attributes = Object.values(tag.attributes).map(({ name, value }) => [name, value]);
    const element = new Element(tag.name, Object.fromEntries(attributes));
    this.#depth += 1;
    if (this.#depth === 1) {
      this.#place = element;
      this.#events.onHeader(element);
      return;
    }
    // A stanza knows its stream, whose namespaces it inherits; the stream does not collect stanzas.
    if (this.#depth === 2) element.parent = this.#place as Element;
    else this.#place?.cnode(element);
    this.#place = element;
  }

  #close(): void {
    const closed = this.#place as Element;
    this.#depth -= 1;
    this.#place = (closed.parent ?? undefined) as Element | undefined;
    if (this.#isBroken) return;
    if (this.#depth === 1) this.#events.onStanza(closed);
    if (this.#depth === 0) this.#events.onEnd();
  }

  #text(text: string): void {
    if (this.#depth > 1) this.#place?.t(text);
    else if (text.trim() !== "") this.#break(`text between stanzas: ${text.slice(0, 80)}`);
  }

  #break(why: string): void {
    if (this.#isBroken) return;
    this.#isBroken = true;
    this.#events.onBroken(why);
  }
}

/**
 * Reads stanzas written in a dialogue, in the namespace of a client's stream.
 * @throws Error "Cannot read XML: ..."
 */
export function readStanzas(text: string): readonly Element[] {
  const stanzas: Element[] = [];
  let fault: string | undefined;
  const reader = new StreamReader({
    onHeader: () => undefined,
    onStanza: (stanza) => stanzas.push(stanza),
    onEnd: () => undefined,
    onBroken: (why) => {
      fault = why;
    },
  });
  reader.write(`<stream:stream xmlns="jabber:client" xmlns:stream="${STREAM_NS}">`);
  reader.write(`${text}</stream:stream>`);
  if (fault !== undefined) throw new Error(`Cannot read XML: ${fault}`);
  return stanzas;
}

/** The children that are elements. */
export const elementsOf = (element: Element): readonly Element[] =>
  element.children.filter((child): child is Element => typeof child !== "string");

/** The text directly in an element. */
export const textOf = (element: Element): string =>
  element.children.filter((child) => typeof child === "string").join("");
