/**
 * XEP-0198, outgoing: what the client has not acknowledged yet, in order. Counters are taken
 * modulo 2^32, as section 4 of the XEP says.
 */
import type { Envelope } from "../stanza/contract.ts";

/** Acknowledged entries are cut off when they are this many and half of the array. */
const COMPACT_FROM = 64;

export class Outbox {
  readonly #stanzasMax: number;
  /** Undefined stands for a stanza that counts but is not worth rerouting. */
  #entries: (Envelope | undefined)[] = [];
  #head = 0;
  /** The client's last `h`. */
  #acknowledged: number;
  /** Stanzas acknowledged since counting began; does not wrap around. */
  #acknowledgedTotal = 0;
  #isAsked = false;
  /** Of the waiting stanzas, how many the last `<r/>` asked about. */
  #askedAbout = 0;

  /** @param acknowledged where counting starts; 0 except in tests of the wrap-around */
  constructor(stanzasMax: number, acknowledged = 0) {
    this.#stanzasMax = stanzasMax;
    this.#acknowledged = acknowledged;
  }

  /** Stanzas without an acknowledgement. */
  get size(): number {
    return this.#entries.length - this.#head;
  }

  get isFull(): boolean {
    return this.size >= this.#stanzasMax;
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
  add(envelope: Envelope | undefined): void {
    this.#entries.push(envelope);
  }

  /**
   * Whether to ask for an acknowledgement now. There is at most one open request, so a busy client
   * is asked once a round trip and a quiet one at every stanza.
   */
  takeRequest(): boolean {
    if (this.#isAsked || this.size === 0) return false;
    this.#isAsked = true;
    this.#askedAbout = this.size;
    return true;
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
    this.#entries.fill(undefined, this.#head, this.#head + count);
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

  /** What must find another way if the client never comes to acknowledge it. */
  unacknowledged(): Envelope[] {
    const waiting: Envelope[] = [];
    for (let index = this.#head; index < this.#entries.length; index += 1) {
      const envelope = this.#entries[index];
      if (envelope !== undefined) waiting.push(envelope);
    }
    return waiting;
  }
}
