/**
 * XEP-0198, outgoing: what the client has not acknowledged yet, in order. Counters are taken
 * modulo 2^32, as section 4 of the XEP says.
 */
import { ownBytes } from "../base/own-bytes.ts";
import type { Envelope } from "../stanza/contract.ts";
import { kept } from "../stanza/envelope.ts";

/** Stanzas that a client may have got from a node that died before another knew of them. */
const UNKNOWN_MAX = 10_000;
/** Acknowledged entries are cut off when they are this many and half of the array. */
const COMPACT_FROM = 64;

/**
 * A stanza that counts: one that is worth rerouting, the bytes of one that is not, or undefined
 * where nobody can ask for these bytes again.
 */
export type Entry = Envelope | Buffer | undefined;

export interface OutboxLimits {
  readonly stanzasMax: number;
  readonly bytesMax: number;
}

export class Outbox {
  readonly #limits: OutboxLimits;
  #entries: Entry[] = [];
  #head = 0;
  #bytes = 0;
  /** The client's last `h`. */
  #acknowledged: number;
  /** Stanzas acknowledged since counting began; does not wrap around. */
  #acknowledgedTotal = 0;
  #isAsked = false;
  /** See SessionState. */
  #inherited: number | undefined;
  /** Of the waiting stanzas, how many the last `<r/>` asked about. */
  #askedAbout = 0;

  /** @param acknowledged where counting starts; 0 but for a session that comes from elsewhere */
  constructor(limits: OutboxLimits, acknowledged = 0) {
    this.#limits = limits;
    this.#acknowledged = acknowledged;
  }

  /** The client's last `h`. */
  get acknowledged(): number {
    return this.#acknowledged;
  }

  get inherited(): number | undefined {
    return this.#inherited;
  }

  /** What is added from now on is known to nobody but this node. */
  inherit(count: number): void {
    this.#inherited = count;
  }

  /** Stanzas without an acknowledgement. */
  get size(): number {
    return this.#entries.length - this.#head;
  }

  get isFull(): boolean {
    return this.size >= this.#limits.stanzasMax || this.#bytes >= this.#limits.bytesMax;
  }

  /** Stanzas sent since counting began, modulo 2^32. */
  get sentCount(): number {
    return (this.#acknowledged + this.size) >>> 0;
  }

  get acknowledgedTotal(): number {
    return this.#acknowledgedTotal;
  }

  /** What {@link acknowledgedTotal} will be when everything is acknowledged. */
  get sentTotal(): number {
    return this.#acknowledgedTotal + this.size;
  }

  /** Remembers a stanza that was sent. The caller has seen that the outbox is not full. */
  add(entry: Entry): void {
    this.#entries.push(entry);
    this.#bytes += bytesOf(entry)?.length ?? 0;
  }

  /** What waits does so for long. */
  rest(): void {
    this.#entries = this.entries().map(restingEntry);
    this.#head = 0;
  }

  /**
   * Whether to ask for an acknowledgement now. There is at most one open request, so a busy client
   * is asked once a round trip and a quiet one at every stanza.
   * @param written how many of those that wait it has been sent
   */
  takeRequest(written = this.size): boolean {
    if (this.#isAsked || written <= 0) return false;
    this.#isAsked = true;
    this.#askedAbout = written;
    return true;
  }

  /** Whether `h` counts no more than was sent, or may have been by a node that died. */
  fits(h: number): boolean {
    const count = (h - this.#acknowledged) >>> 0;
    return count <= (this.#inherited === undefined ? this.size : this.#inherited + UNKNOWN_MAX);
  }

  /** Takes the `h` of the client that resumes, which fits. */
  resume(h: number): void {
    const inherited = this.#inherited;
    this.#inherited = undefined;
    const count = (h - this.#acknowledged) >>> 0;
    if (inherited === undefined || count <= inherited) {
      this.acknowledge(h);
      return;
    }
    // It has all that came from the dead node, and some that is not known here.
    this.acknowledge((this.#acknowledged + inherited) >>> 0);
    this.#acknowledged = h;
  }

  /**
   * Takes the client's `h`. False when it counts more than was sent (section 4: close with
   * handled-count-too-high).
   */
  acknowledge(h: number): boolean {
    const count = (h - this.#acknowledged) >>> 0;
    if (count > this.size) return false;
    this.#acknowledged = h >>> 0;
    this.#acknowledgedTotal += count;
    for (let index = this.#head; index < this.#head + count; index += 1) {
      this.#bytes -= bytesOf(this.#entries[index])?.length ?? 0;
      this.#entries[index] = undefined;
    }
    this.#head += count;
    if (this.#head === this.#entries.length) {
      this.#entries = [];
      this.#head = 0;
    } else if (this.#head >= COMPACT_FROM && this.#head * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#head);
      this.#head = 0;
    }
    // A client that answers without progress must not keep us in a circle of questions.
    this.#askedAbout = Math.max(0, this.#askedAbout - count);
    this.#isAsked = false;
    return true;
  }

  /** Whether stanzas wait that no request has asked about. */
  get hasUnasked(): boolean {
    return this.size > this.#askedAbout;
  }

  /** The client was asked long ago: the next {@link takeRequest} may ask again. */
  forgetRequest(): void {
    this.#isAsked = false;
  }

  /** The waiting stanza at that place, from 0. */
  at(place: number): Entry {
    return this.#entries[this.#head + place];
  }

  /** All that wait, in order. */
  entries(): readonly Entry[] {
    return this.#entries.slice(this.#head);
  }

  /** What must find another way if the client never comes to acknowledge it. */
  unacknowledged(): Envelope[] {
    return this.entries().flatMap((entry) =>
      entry === undefined || Buffer.isBuffer(entry) ? [] : [entry],
    );
  }
}

export const bytesOf = (entry: Entry): Buffer | undefined =>
  entry === undefined || Buffer.isBuffer(entry) ? entry : entry.bytes;

/** The same for whoever keeps it long. */
export const restingEntry = (entry: Entry): Entry =>
  Buffer.isBuffer(entry) ? ownBytes(entry) : entry && kept(entry);
