/**
 * What a session has for its client: held until the client knows its address, written, remembered
 * until it is acknowledged (XEP-0198), and written again on the stream that resumes the session.
 */

import { Waiters } from "../base/waiters.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { ServerStream } from "../stream/stream.ts";
import type { SessionProgress, SessionState } from "./contract.ts";
import { REQUEST } from "./nonzas.ts";
import type { Entry, OutboxLimits } from "./outbox.ts";
import { bytesOf, Outbox, restingEntry } from "./outbox.ts";

/** Written again in one go; the next when the system has taken these. */
const AGAIN_BYTES = 256 * 1024;

interface Unflushed {
  readonly envelope: Envelope;
  /** Given back when `writesOut` never came this far. */
  readonly write: number;
}

interface Held {
  readonly bytes: Buffer;
  readonly envelope: Envelope | undefined;
}

export class Outgoing {
  /** Exists once the client enabled acknowledgements. */
  #outbox: Outbox | undefined;
  /** Every stanza may have to be written again, not only those worth rerouting. */
  #isResumable = false;
  /** How many of the outbox's last stanzas have not been written to the present stream. */
  #unwritten = 0;
  /** The place (see SessionProgress) from which on it is withheld: its shadow does not have it yet. */
  #withheldFrom = Number.POSITIVE_INFINITY;
  #held: Held[] | undefined;
  /** Without acknowledgements: written behind a blocked write, so certainly not sent yet. */
  #unflushed: Unflushed[] | undefined;
  #isOver = false;
  #untilLive: Waiters | undefined;
  #untilWritten: Waiters | undefined;
  #untilAcknowledged: Waiters | undefined;

  get isEnabled(): boolean {
    return this.#outbox !== undefined;
  }

  /** Stanzas that the client was to acknowledge and has not. */
  get unacknowledgedCount(): number {
    return this.#outbox?.size ?? 0;
  }

  get isFull(): boolean {
    return this.#outbox?.isFull ?? false;
  }

  /** Stanzas sent since counting began, modulo 2^32. */
  get sentCount(): number {
    return this.#outbox?.sentCount ?? 0;
  }

  enable(limits: OutboxLimits, isResumable: boolean): void {
    this.#outbox = new Outbox(limits);
    this.#isResumable = isResumable;
  }

  /** Goes on for a session that comes from elsewhere. */
  restore(
    limits: OutboxLimits,
    {
      acknowledged,
      waiting,
      inherited,
    }: Pick<SessionState, "acknowledged" | "waiting" | "inherited">,
  ): void {
    this.#outbox = new Outbox(limits, acknowledged);
    if (inherited !== undefined) this.#outbox.inherit(inherited);
    this.#isResumable = true;
    for (const entry of waiting) this.#outbox.add(restingEntry(entry));
    this.#unwritten = waiting.length;
  }

  /** The client's last `h`, and what it has not acknowledged, in order. */
  get snapshot(): Pick<SessionState, "acknowledged" | "waiting" | "inherited"> {
    const waiting = (this.#outbox?.entries() ?? []).flatMap((entry) => entry ?? []);
    const { acknowledged = 0, inherited } = this.#outbox ?? {};
    return { acknowledged, waiting, inherited };
  }

  get progress(): Omit<SessionProgress, "received"> {
    const {
      acknowledged = 0,
      acknowledgedTotal = 0,
      sentTotal = 0,
      inherited,
    } = this.#outbox ?? {};
    return { acknowledged, acknowledgedTotal, sentTotal, inherited };
  }

  /** See MovableSession. */
  sentAt(place: number): Entry {
    return this.#outbox?.at(place - this.#outbox.acknowledgedTotal);
  }

  /** Keeps a stanza until `release`; false when that are too many. */
  hold(bytes: Buffer, envelope: Envelope | undefined, stanzasMax: number): boolean {
    this.#held ??= [];
    if (this.#held.length >= stanzasMax) return false;
    this.#held.push({ bytes, envelope });
    return true;
  }

  /** The client knows its address: what was held goes out, unless it is to be withheld. */
  release(stream: ServerStream, isWithheld: boolean): void {
    const held = this.#held ?? [];
    this.#held = undefined;
    for (const { bytes, envelope } of held) this.write(stream, bytes, envelope, isWithheld);
    this.#untilLive?.reach(0);
    this.#untilLive = undefined;
  }

  /**
   * The caller has seen that it is not full. False when the stream did not take it.
   * @param isWithheld until `letOut`; only for a session that can be resumed
   */
  write(
    stream: ServerStream,
    bytes: Buffer,
    envelope: Envelope | undefined,
    isWithheld: boolean,
  ): boolean {
    if (this.#isResumable) {
      this.#add(envelope ?? bytes, isWithheld);
      // Unless others are still to be written again, which then goes on by itself.
      if (this.#unwritten === 1) this.writeAgain(stream);
      return true; // Whatever becomes of this stream.
    }
    const isBehind = stream.isBacklogged;
    if (!stream.write(bytes)) return false;
    if (this.#outbox !== undefined) {
      this.#outbox.add(envelope);
      this.ask(stream);
    } else if (isBehind && envelope !== undefined) {
      this.#unflushed ??= [];
      this.#unflushed.push({ envelope, write: stream.transport.writesNeeded });
    }
    return true;
  }

  /** Remembers a stanza for the stream that resumes the session. */
  keep(bytes: Buffer, envelope: Envelope | undefined, isWithheld: boolean): void {
    this.#add(restingEntry(envelope ?? bytes), isWithheld);
  }

  #add(entry: Entry, isWithheld: boolean): void {
    if (isWithheld && this.#withheldFrom === Number.POSITIVE_INFINITY) {
      this.#withheldFrom = this.#outbox?.sentTotal ?? 0;
    }
    this.#outbox?.add(entry);
    this.#unwritten += 1;
  }

  /** See MovableSession. */
  letOut(stream: ServerStream | undefined, until: number): boolean {
    const isAll = until >= (this.#outbox?.sentTotal ?? 0);
    if (isAll) this.#withheldFrom = Number.POSITIVE_INFINITY;
    else this.#withheldFrom = Math.max(this.#withheldFrom, until);
    if (stream !== undefined && this.#unwritten > 0) this.writeAgain(stream);
    return this.#withheldFrom === Number.POSITIVE_INFINITY;
  }

  /** The stream is gone: nothing that it did not acknowledge can be relied on. */
  detach(): void {
    this.#unwritten = this.unacknowledgedCount;
    this.#outbox?.forgetRequest();
    this.#outbox?.rest();
  }

  /** Writes what the present stream has not been given yet, as far as it may have it at once. */
  writeAgain(stream: ServerStream): void {
    const outbox = this.#outbox;
    if (outbox === undefined) return;
    this.#unwritten = Math.min(this.#unwritten, outbox.size);
    const withheld = Math.max(0, outbox.sentTotal - this.#withheldFrom);
    let bytes = 0;
    while (this.#unwritten > withheld && bytes < AGAIN_BYTES) {
      const next = bytesOf(outbox.at(outbox.size - this.#unwritten));
      if (next === undefined || !stream.write(next)) return;
      bytes += next.length;
      this.#unwritten -= 1;
    }
    this.ask(stream);
  }

  /** The system has taken what was written. */
  drained(stream: ServerStream): void {
    const { writesDone, writesOut } = stream.transport;
    const left = this.#unflushed?.filter(({ write }) => write > writesOut) ?? [];
    this.#unflushed = left.length === 0 ? undefined : left;
    this.#untilWritten?.reach(writesDone);
    if (this.#unwritten > 0) this.writeAgain(stream);
  }

  /** Sends `<r/>` unless nothing waits or an answer is owed already. */
  ask(stream: ServerStream): void {
    const outbox = this.#outbox;
    if (outbox?.takeRequest(outbox.size - this.#unwritten)) stream.write(REQUEST);
  }

  /** Asks again a client that was asked long ago. */
  askAgain(stream: ServerStream): void {
    this.#outbox?.forgetRequest();
    this.ask(stream);
  }

  /** Whether `h` counts no more than was sent. */
  fits(h: number): boolean {
    return this.#outbox?.fits(h) ?? false;
  }

  /** Takes the client's `h`, which fits. */
  acknowledge(h: number): void {
    this.#outbox?.acknowledge(h);
    this.#noteAcknowledged();
  }

  /** The same for the first of a stream that resumes the session. */
  resume(h: number): void {
    this.#outbox?.resume(h);
    this.#noteAcknowledged();
  }

  #noteAcknowledged(): void {
    this.#untilAcknowledged?.reach(this.#outbox?.acknowledgedTotal ?? 0);
  }

  get hasUnasked(): boolean {
    return this.#outbox?.hasUnasked ?? false;
  }

  /** See ClientSession. */
  async whenAcknowledged(stream: ServerStream | undefined, isBinding: boolean): Promise<boolean> {
    if (this.#isOver) return false;
    if (isBinding && this.#held !== undefined) {
      this.#untilLive ??= new Waiters();
      return (await this.#untilLive.wait(0)) && this.whenAcknowledged(stream, false);
    }
    if (this.#outbox !== undefined) {
      if (this.#outbox.size === 0) return true;
      this.#untilAcknowledged ??= new Waiters();
      return this.#untilAcknowledged.wait(this.#outbox.sentTotal);
    }
    if (stream === undefined) return false;
    const { writesDone, writesNeeded } = stream.transport;
    if (writesDone >= writesNeeded) return true;
    this.#untilWritten ??= new Waiters();
    return this.#untilWritten.wait(writesNeeded);
  }

  /** The session is over. @returns what its client did not get, in order */
  end(): readonly Envelope[] {
    const held = (this.#held ?? []).flatMap(({ envelope }) => envelope ?? []);
    const unflushed = (this.#unflushed ?? []).map(({ envelope }) => envelope);
    const left = [...unflushed, ...(this.#outbox?.unacknowledged() ?? []), ...held];
    this.#isOver = true;
    this.#held = undefined;
    this.#unflushed = undefined;
    this.#outbox = undefined;
    for (const waiters of [this.#untilLive, this.#untilWritten, this.#untilAcknowledged]) {
      waiters?.end();
    }
    return left;
  }
}
