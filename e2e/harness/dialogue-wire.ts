/** What carries the stream of a dialogue's client besides TCP, and what is alike in it. */
import { Element } from "ltx";
import type { Arrival } from "./dialogue-inbox.ts";
import { readStanzas, StreamReader } from "./dialogue-reader.ts";

export type Via = "tcp" | "websocket" | "bosh";

export interface WireOptions {
  readonly domain: string;
  /** Of the listener for web clients, with TLS. */
  readonly port: number;
  /** What came, in order; a stanza before it is looked at. */
  onArrival(arrival: Arrival): void;
  onText(text: string): void;
}

/** A client's side of a stream that is no TCP connection. */
export interface Wire {
  /** Sends a header, or what asks for a new stream. */
  openStream(): void;
  /** Sends stanzas, or "</stream:stream>". */
  send(text: string): void;
  cut(): void;
}

const END = "</stream:stream>";

/** What a dialogue sends, each with the namespace that its stream's header would have given it. */
export function standingAlone(text: string): { stanzas: readonly string[]; isEnd: boolean } {
  const isEnd = text.trimEnd().endsWith(END);
  const content = isEnd ? text.trimEnd().slice(0, -END.length) : text;
  const stanzas = readStanzas(content).map((stanza) => {
    const ns = stanza.getNS() as string;
    const { name, attrs, children } = stanza;
    const alone = new Element(name, { xmlns: ns, ...attrs });
    alone.children = children;
    return alone.toString();
  });
  return { stanzas, isEnd };
}

/**
 * Reads elements that must stand alone: nothing around them declares a namespace.
 * @throws Error when they are not well-formed
 */
export function readAlone(text: string): readonly Element[] {
  const elements: Element[] = [];
  let fault: string | undefined;
  const reader = new StreamReader({
    onHeader: () => undefined,
    onStanza: (element) => elements.push(element),
    onEnd: () => undefined,
    onBroken: (why) => {
      fault = why;
    },
  });
  reader.write(`<alone>${text}</alone>`);
  if (fault !== undefined) throw new Error(`Cannot read XML: ${fault}`);
  for (const element of elements) {
    if (!element.getNS()) throw new Error(`Cannot read XML: ${element} has no namespace`);
  }
  return elements;
}
