/**
 * Nodes that hold sessions of the same user know each other's exactly: each change is told to the
 * others before it is answered for. Who cannot be told is told that through etcd (notices.ts), and again later.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { withDeadline } from "../base/deadline.ts";
import type { Logger } from "../base/log.ts";
import type { RouteSet } from "./contract.ts";

/** Tells the node what is known of the user; rejects when it may not have heard. */
export type NotifySiblings = (
  incarnation: string,
  user: string,
  set: RouteSet,
) => Promise<unknown> | undefined;

interface Missed {
  readonly incarnation: string;
  readonly user: string;
  readonly set: RouteSet;
  readonly attempts: number;
}

/** How long a bind waits for the others to hear of it. */
const NOTICE_MS = 1_000;
const RETRY_MS = 1_000;
const ATTEMPTS_MAX = 30;
const MISSED_MAX = 10_000;
const PER_RETRY_MAX = 200;

export class Siblings {
  readonly #notify: NotifySiblings;
  readonly #notice: (incarnation: string, user: string) => Promise<void>;
  readonly #clock: Clock;
  readonly #log: Logger;
  readonly #missed = new Map<string, Missed>();
  #timer: Timer | undefined;
  #isClosed = false;

  /** @param notice another way, which says less and may fail, too */
  constructor(
    notify: NotifySiblings,
    notice: (incarnation: string, user: string) => Promise<void>,
    clock: Clock,
    log: Logger,
  ) {
    this.#notify = notify;
    this.#notice = notice;
    this.#clock = clock;
    this.#log = log;
  }

  /** Resolves when all have heard, or after a short deadline; never rejects. */
  async tell(incarnations: Iterable<string>, user: string, set: RouteSet): Promise<void> {
    const told = [...incarnations].map((incarnation) =>
      this.#tellOne({ incarnation, user, set, attempts: 0 }),
    );
    await Promise.all(told);
  }

  /** It hears nothing any more. */
  dropNode(incarnation: string): void {
    for (const [key, missed] of this.#missed) {
      if (missed.incarnation === incarnation) this.#missed.delete(key);
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#timer?.cancel();
    this.#missed.clear();
  }

  async #tellOne(missed: Missed): Promise<void> {
    const { incarnation, user, set, attempts } = missed;
    try {
      const told = Promise.resolve(this.#notify(incarnation, user, set));
      await withDeadline(told, NOTICE_MS, "routes-timeout", "tell a sibling node", this.#clock);
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#log.debug({ peer: incarnation, reason }, "sibling not told");
      this.#remember(missed);
      if (attempts === 0) await this.#notice(incarnation, user).catch(() => undefined); // Then later.
    }
  }

  #remember(missed: Missed): void {
    const { incarnation, user, set, attempts } = missed;
    const key = `${incarnation} ${user}`;
    const newer = this.#missed.get(key);
    if (newer !== undefined && newer.set.revision > set.revision) return;
    if (this.#isClosed || attempts >= ATTEMPTS_MAX || this.#missed.size >= MISSED_MAX) return;
    this.#missed.set(key, missed);
    this.#timer ??= this.#clock.after(RETRY_MS, () => void this.#retry());
  }

  async #retry(): Promise<void> {
    const batch = [...this.#missed].slice(0, PER_RETRY_MAX);
    for (const [key] of batch) this.#missed.delete(key);
    await Promise.all(
      batch.map(([, missed]) => this.#tellOne({ ...missed, attempts: missed.attempts + 1 })),
    );
    this.#timer = undefined;
    if (this.#missed.size > 0 && !this.#isClosed) {
      this.#timer = this.#clock.after(RETRY_MS, () => void this.#retry());
    }
  }
}
