/**
 * Finds the ends of what a server sends, as cheaply as that can be done. It trusts the server: it
 * counts tags, and relies on ">" standing nowhere but at their ends, as servers do write.
 */

const LESS = 60;
const GREATER = 62;
const SLASH = 47;
const QUESTION = 63;
const COLON = 58;
const LETTER_S = 115;

/** Told the place of each stream header, each whole stanza, and the end of the stream. */
export type OnElement = (bytes: Buffer, start: number, end: number) => void;

/** "<stream:stream ...>" and not "<stream:features>" or "<stream:error>". */
const isHeader = (bytes: Buffer, at: number): boolean =>
  bytes[at + 7] === COLON && bytes[at + 8] === LETTER_S && bytes[at + 1] === LETTER_S;

export class LoadFramer {
  #rest: Buffer | undefined;
  /** Where in the rest to go on. */
  #at = 0;
  #depth = 0;

  push(chunk: Buffer, onElement: OnElement): void {
    const bytes = this.#rest === undefined ? chunk : Buffer.concat([this.#rest, chunk]);
    let start = 0;
    let at = this.#rest === undefined ? 0 : this.#at;
    let depth = this.#depth;
    for (;;) {
      const open = bytes.indexOf(LESS, at);
      const close = open === -1 ? -1 : bytes.indexOf(GREATER, open + 1);
      if (close === -1) {
        at = open === -1 ? bytes.length : open;
        if (depth === 0) start = at;
        break;
      }
      at = close + 1;
      if (depth === 0) start = open;
      const second = bytes[open + 1];
      if (second === QUESTION) continue;
      if (second === SLASH) depth = Math.max(0, depth - 1);
      else if (bytes[close - 1] !== SLASH && !(depth === 0 && isHeader(bytes, open))) depth += 1;
      if (depth > 0) continue;
      onElement(bytes, start, at);
      start = at;
    }
    this.#depth = depth;
    this.#at = at - start;
    // A copy: the chunk's memory is used again for the next one.
    this.#rest = start < bytes.length ? Buffer.from(bytes.subarray(start)) : undefined;
  }
}

/** The value of the element's first attribute of that name, which may be a child's; "" without. */
export function attribute(bytes: Buffer, start: number, end: number, name: string): string {
  const at = bytes.indexOf(` ${name}=`, start, "latin1");
  if (at === -1 || at >= end) return "";
  const value = at + name.length + 3;
  return bytes.toString("latin1", value, bytes.indexOf(bytes[value - 1] as number, value));
}
