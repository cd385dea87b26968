/**
 * XEP-0198, incoming: counts the stanzas of one session that were accepted, in order. A stanza
 * accepted before an earlier one counts when that one is accepted too.
 */
import { Waiters } from "../base/waiters.ts";

export class Inbox {
  #received = 0;
  #accepted = 0;
  /** Accepted ahead of an earlier one; made when needed. */
  #ahead: Set<number> | undefined;
  /** What `h` counts from; undefined while acknowledgements are off. */
  #base: number | undefined;
  /** What had been received at the first and the last question that has no answer yet. */
  #owedFirst: number | undefined;
  #owedLast = 0;
  #untilAccepted: Waiters | undefined;

  /** Goes on counting for a session that comes from elsewhere; all it received is accepted. */
  restore(received: number, countedFrom: number): void {
    this.#received = received;
    this.#accepted = received;
    this.#base = countedFrom;
  }

  /** Accepted together with all before them. */
  get accepted(): number {
    return this.#accepted;
  }

  get countedFrom(): number {
    return this.#base ?? this.#received;
  }

  /** A stanza came in. @returns its place, for {@link accept} */
  receive(): number {
    const place = this.#received;
    this.#received += 1;
    return place;
  }

  /** Stanzas that were received, but not accepted together with all before them. */
  get unaccepted(): number {
    return this.#received - this.#accepted;
  }

  /** Starts counting for `h` (XEP-0198, 4: from zero). @param startAt for tests only */
  enable(startAt = 0): void {
    this.#base = this.#received - startAt;
  }

  get isEnabled(): boolean {
    return this.#base !== undefined;
  }

  accept(place: number): void {
    if (place !== this.#accepted) {
      this.#ahead ??= new Set();
      this.#ahead.add(place);
      return;
    }
    this.#accepted += 1;
    while (this.#ahead?.delete(this.#accepted)) this.#accepted += 1;
    if (this.#ahead?.size === 0) this.#ahead = undefined;
    this.#untilAccepted?.reach(this.#accepted);
  }

  /** True once everything that has come in so far is accepted. */
  async whenAccepted(): Promise<boolean> {
    if (this.unaccepted === 0) return true;
    this.#untilAccepted ??= new Waiters();
    return this.#untilAccepted.wait(this.#received);
  }

  /** The `h` that counts what was accepted. */
  get handled(): number {
    return Math.max(0, this.#accepted - (this.#base ?? this.#accepted)) % 2 ** 32;
  }

  /** The client asked for an acknowledgement (`<r/>`). */
  request(): void {
    this.#owedFirst ??= this.#received;
    this.#owedLast = this.#received;
  }

  /** Nobody waits for an answer any more. */
  forgetRequests(): void {
    this.#owedFirst = undefined;
  }

  /**
   * The `h` to answer with, once everything that came before the question is accepted; undefined
   * while nothing is owed or it must wait. One answer serves all questions that it covers.
   */
  takeAnswer(): number | undefined {
    if (this.#base === undefined || this.#owedFirst === undefined) return undefined;
    if (this.#accepted < this.#owedFirst) return undefined;
    this.#owedFirst = this.#accepted < this.#owedLast ? this.#owedLast : undefined;
    return this.handled;
  }
}
