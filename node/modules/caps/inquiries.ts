/**
 * Questions to clients about themselves: one at a time for each hash, however many clients said it.
 * Who does not answer in time, or not what the hash says, is not asked again; the next one is.
 */
import type { Clock, Timer } from "../../base/clock.ts";
import type { Element } from "../../xml/element.ts";
import type { ClientSession } from "../contract.ts";

/** What a client says about itself in its presence. */
export interface Said {
  /** Names the hash for everybody, or one client where there is no hash to go by. */
  readonly key: string;
  /** The disco node to ask. */
  readonly node: string;
  readonly hash: string;
  readonly ver: string;
}

export interface InquiryEvents {
  ask(session: ClientSession, id: string, said: Said): boolean;
  /** Whether that settles the question for all who said the same. */
  answered(
    session: ClientSession,
    said: Said,
    query: Element | undefined,
    all: ReadonlySet<ClientSession>,
  ): boolean;
}

interface Inquiry {
  readonly said: Said;
  /** Everybody who said it since the question was opened. */
  readonly all: Set<ClientSession>;
  /** Those of them who were not asked yet. */
  readonly waiting: Set<ClientSession>;
  asked: ClientSession;
  id: string;
  timer: Timer;
}

export interface InquiryLimits {
  readonly inquiriesMax: number;
  readonly answerMs: number;
}

export class Inquiries {
  readonly #events: InquiryEvents;
  readonly #limits: InquiryLimits;
  readonly #clock: Clock;
  readonly #open = new Map<string, Inquiry>();
  readonly #byId = new Map<string, Inquiry>();
  #count = 0;

  constructor(events: InquiryEvents, limits: InquiryLimits, clock: Clock) {
    this.#events = events;
    this.#limits = limits;
    this.#clock = clock;
  }

  /** False when too many questions are open: the client's next presence leads here again. */
  want(session: ClientSession, said: Said): boolean {
    const open = this.#open.get(said.key);
    if (open !== undefined) {
      if (!open.all.has(session)) open.waiting.add(session);
      open.all.add(session);
      return true;
    }
    if (this.#open.size >= this.#limits.inquiriesMax) return false;
    const [all, waiting] = [new Set([session]), new Set([session])];
    this.#next({ said, all, waiting, asked: session, id: "", timer: NO_TIMER });
    return true;
  }

  /** False when nothing of that id was asked of this session. */
  answer(session: ClientSession, id: string, query: Element | undefined): boolean {
    const inquiry = this.#byId.get(id);
    if (inquiry?.asked !== session) return false;
    this.#close(inquiry);
    if (!this.#events.answered(session, inquiry.said, query, inquiry.all)) this.#next(inquiry);
    return true;
  }

  /** The session is over, or says something else about itself now. */
  forget(session: ClientSession, key: string): void {
    const inquiry = this.#open.get(key);
    inquiry?.all.delete(session);
    inquiry?.waiting.delete(session);
    if (inquiry?.asked !== session) return;
    this.#close(inquiry);
    this.#next(inquiry);
  }

  #next(inquiry: Inquiry): void {
    for (const session of inquiry.waiting) {
      inquiry.waiting.delete(session);
      this.#count += 1;
      const id = `caps-${this.#count}`;
      if (!this.#events.ask(session, id, inquiry.said)) continue;
      inquiry.asked = session;
      inquiry.id = id;
      inquiry.timer = this.#clock.after(this.#limits.answerMs, () => {
        this.answer(session, id, undefined);
      });
      this.#open.set(inquiry.said.key, inquiry);
      this.#byId.set(id, inquiry);
      return;
    }
  }

  #close(inquiry: Inquiry): void {
    inquiry.timer.cancel();
    this.#open.delete(inquiry.said.key);
    this.#byId.delete(inquiry.id);
  }
}

const NO_TIMER: Timer = { cancel() {} };
