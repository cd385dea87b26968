/** XEP-0198 of one session: what is counted, remembered and answered, both ways. */
import type { ServerStream } from "../stream/stream.ts";
import type { SessionProgress, SessionState } from "./contract.ts";
import type { Door } from "./door-context.ts";
import { Inbox } from "./inbox.ts";
import { acksFailed, answer, countTooHigh, enabled, readCount } from "./nonzas.ts";
import type { OutboxLimits } from "./outbox.ts";
import { Outgoing } from "./outgoing.ts";
import { grantedSeconds } from "./resumption.ts";

/** How long after its first answer a client that is back may still be sending again what it sent before. */
const SENT_AGAIN_MS = 10_000;

const boundsOf = ({ config, limits }: Door): OutboxLimits => ({
  stanzasMax: config.outboxStanzasMax,
  bytesMax: limits.outboxBytesMax,
});

export class Acks {
  readonly inbox = new Inbox();
  readonly outgoing = new Outgoing();
  /** How long its client may stay away; 0: it cannot resume. */
  windowMs = 0;
  /** See ClientSession. */
  mayRepeat = false;
  /** When its present stream first brought an `<a/>`. */
  #answeredMs: number | undefined;

  /** From now on both ends count (section 3). @returns what to answer to `<enable/>` */
  enable(door: Door, id: string, attributes: Readonly<Record<string, unknown>>): Buffer {
    if (this.outgoing.isEnabled) return acksFailed("unexpected-request");
    const maxSeconds = grantedSeconds(attributes, door.config.resumeSeconds);
    if (maxSeconds === undefined) return acksFailed("bad-request");
    this.inbox.enable();
    this.windowMs = maxSeconds * 1_000;
    this.outgoing.enable(boundsOf(door), maxSeconds > 0);
    return enabled(maxSeconds > 0 ? { id, maxSeconds } : undefined);
  }

  /** Becomes what another node had. */
  restore(door: Door, state: SessionState): void {
    this.windowMs = state.windowMs;
    this.mayRepeat = state.mayRepeat;
    this.inbox.restore(state.received, state.countedFrom);
    this.outgoing.restore(boundsOf(door), state);
  }

  /** Undefined when nothing is counted any more. */
  get progress(): SessionProgress | undefined {
    const { inbox, outgoing } = this;
    if (!outgoing.isEnabled) return undefined;
    return { received: inbox.accepted, ...outgoing.progress };
  }

  /** What another node needs of it. */
  get snapshot() {
    const { inbox, outgoing, windowMs, mayRepeat } = this;
    const { accepted: received, countedFrom } = inbox;
    return { windowMs, mayRepeat, received, countedFrom, ...outgoing.snapshot };
  }

  /** Its stream is gone. */
  detach(): void {
    this.outgoing.detach();
    this.inbox.forgetRequests();
    this.#answeredMs = undefined;
  }

  /**
   * All that came before an `<a/>` has been taken. A client sends again what it has to at once when it is back, and
   * answers us only then: so much later there is none of it on its way behind an answer.
   */
  noteAnswer(nowMs: number): void {
    if (!this.mayRepeat) return;
    this.#answeredMs ??= nowMs;
    if (nowMs - this.#answeredMs >= SENT_AGAIN_MS) this.mayRepeat = false;
  }

  /** Takes the `h` of an `<a/>`. False when it was not valid: the stream is closed then. */
  takeCount(stream: ServerStream, text: string | undefined): boolean {
    const { outgoing } = this;
    const h = readCount(text);
    if (h === undefined) {
      stream.close({ condition: "bad-format" });
      return false;
    }
    if (!outgoing.fits(h)) {
      const application = countTooHigh(h, outgoing.sentCount);
      stream.close({ condition: "undefined-condition", application });
      return false;
    }
    outgoing.acknowledge(h);
    return true;
  }

  /** Answers `<r/>` as far as what it asks about is accepted, and known to the shadow. */
  answerRequests(
    stream: ServerStream,
    session: { whenSafe(): Promise<boolean> | undefined },
  ): void {
    const h = this.inbox.takeAnswer();
    if (h === undefined) return;
    const safe = session.whenSafe();
    if (safe === undefined) stream.write(answer(h));
    else void safe.then((isOurs) => isOurs && stream.write(answer(h)));
  }
}
