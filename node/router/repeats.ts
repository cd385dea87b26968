/**
 * What this node has handed over lately, so that a frame sent again (the answer was lost) or a
 * message rerouted from another resource is not handed over twice.
 */
import type { Origin } from "./origin.ts";

export interface HandedOver {
  /** Id of the session that got it. */
  readonly session: string;
  /** The session ended before its client acknowledged it, so it was passed on. */
  readonly isPassedOn: boolean;
  /** What it got is a copy: the message itself is another resource's. */
  readonly isCopy: boolean;
  /** The other resource lost the message, so that the copy stands for it. */
  readonly isOwed: boolean;
}

/**
 * Two generations: when the younger is full, the older is forgotten. Between `entriesMax` and twice
 * as many deliveries are remembered, which is the bound within which repeats are cut.
 */
export class Repeats {
  readonly #entriesMax: number;
  #young = new Map<string, HandedOver>();
  #old = new Map<string, HandedOver>();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Who got this stanza at this full address, if anybody did. */
  find(origin: Origin, fullJid: string): HandedOver | undefined {
    if (this.#young.size === 0 && this.#old.size === 0) return undefined;
    const key = keyOf(origin, fullJid);
    return this.#young.get(key) ?? this.#old.get(key);
  }

  remember(origin: Origin, fullJid: string, session: string, isCopy = false): void {
    this.#put(keyOf(origin, fullJid), { session, isPassedOn: false, isCopy, isOwed: false });
  }

  markPassedOn(origin: Origin, fullJid: string, session: string): void {
    this.#mark(origin, fullJid, session, { isPassedOn: true });
  }

  /** It is not known any more whether that session got it. */
  forget(origin: Origin, fullJid: string, session: string): void {
    if (this.find(origin, fullJid)?.session !== session) return;
    const key = keyOf(origin, fullJid);
    this.#young.delete(key);
    this.#old.delete(key);
  }

  markOwed(origin: Origin, fullJid: string, session: string): void {
    this.#mark(origin, fullJid, session, { isOwed: true });
  }

  #mark(origin: Origin, fullJid: string, session: string, change: Partial<HandedOver>): void {
    const entry = this.find(origin, fullJid);
    if (entry?.session === session) this.#put(keyOf(origin, fullJid), { ...entry, ...change });
  }

  #put(key: string, entry: HandedOver): void {
    if (this.#young.size >= this.#entriesMax) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    this.#young.set(key, entry);
  }
}

const keyOf = (origin: Origin, fullJid: string) => `${origin.session} ${origin.count} ${fullJid}`;
