/**
 * What this node has handed over lately, so that a frame sent again (the answer was lost) or a
 * message rerouted from another resource is not handed over twice.
 */
import type { Origin } from "../stanza/origin.ts";

export interface HandedOver {
  /** The full address it was given to. */
  readonly full: string;
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
  /** By stanza and user: of each of the user's addresses one, and few users have several. */
  #young = new Map<string, readonly HandedOver[]>();
  #old = new Map<string, readonly HandedOver[]>();

  constructor(entriesMax: number) {
    this.#entriesMax = entriesMax;
  }

  get size(): number {
    return this.#young.size + this.#old.size;
  }

  /** Who got this stanza at this full address, if anybody did. */
  find(origin: Origin, full: string): HandedOver | undefined {
    if (this.size === 0) return undefined;
    return this.#all(keyOf(origin, userOf(full))).find((entry) => entry.full === full);
  }

  /** Who of the user's has it, or had it and acknowledged it, at whatever address. */
  findOwner(origin: Origin, user: string): HandedOver | undefined {
    const all = this.#all(keyOf(origin, user));
    return all.find(({ isPassedOn, isCopy, isOwed }) => !isPassedOn && (!isCopy || isOwed));
  }

  remember(origin: Origin, full: string, session: string, isCopy = false): void {
    this.#put(origin, { full, session, isPassedOn: false, isCopy, isOwed: false });
  }

  markPassedOn(origin: Origin, full: string, session: string): void {
    this.#mark(origin, full, session, { isPassedOn: true });
  }

  /** It is not known any more whether that session got it. */
  forget(origin: Origin, full: string, session: string): void {
    if (this.find(origin, full)?.session !== session) return;
    const key = keyOf(origin, userOf(full));
    const left = this.#all(key).filter((entry) => entry.full !== full);
    this.#old.delete(key);
    if (left.length > 0) this.#young.set(key, left);
    else this.#young.delete(key);
  }

  markOwed(origin: Origin, full: string, session: string): void {
    this.#mark(origin, full, session, { isOwed: true });
  }

  #mark(origin: Origin, full: string, session: string, change: Partial<HandedOver>): void {
    const entry = this.find(origin, full);
    if (entry?.session === session) this.#put(origin, { ...entry, ...change });
  }

  #put(origin: Origin, entry: HandedOver): void {
    const key = keyOf(origin, userOf(entry.full));
    const known = this.#all(key);
    if (this.#young.size >= this.#entriesMax) {
      this.#old = this.#young;
      this.#young = new Map();
    }
    // Of nearly every message there is nothing yet.
    const others = known.length === 0 ? known : known.filter(({ full }) => full !== entry.full);
    this.#young.set(key, others.length === 0 ? [entry] : [...others, entry]);
  }

  #all(key: string): readonly HandedOver[] {
    return this.#young.get(key) ?? this.#old.get(key) ?? NONE;
  }
}

const NONE: readonly HandedOver[] = [];

const keyOf = (origin: Origin, user: string) => `${origin.session} ${origin.count} ${user}`;
const userOf = (full: string) => full.slice(0, full.indexOf("/"));
