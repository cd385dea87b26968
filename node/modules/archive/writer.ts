/**
 * Writes to the archive without ever holding up chat for long. A write that does not succeed in
 * time is late: it is tried again until it succeeds, in the background, and as long as anything is
 * late nobody waits for new writes. What there is no room for is lost to the archive, and counted;
 * its recipient gets it all the same.
 */
import type { Timer } from "../../base/clock.ts";
import { pause } from "../../base/clock.ts";
import { Unavailable } from "../../base/errors.ts";
import type { Origin } from "../../stanza/origin.ts";
import type { ArchivedMessage } from "../../stores/contract.ts";
import type { Host } from "../contract.ts";
import { addOnce } from "./once.ts";

const RETRY_MS = 1_000;
/** Late writes under way at a time. */
const RETRIES_AT_ONCE = 16;

export interface WriterLimits {
  /** How long the acceptance of a message waits for its archive. */
  readonly waitMs: number;
  readonly lateBytesMax: number;
  /** 0: for ever. */
  readonly keptSeconds: number;
}

export interface WriterCounts {
  archived: number;
  late: number;
  lost: number;
}

/** Something for the archive of a user. */
interface Entry {
  readonly user: string;
  readonly message: ArchivedMessage;
  readonly origin: Origin;
  readonly receivedMs: number;
}

type World = Pick<Host, "archive" | "clock" | "log"> & {
  readonly router: Pick<Host["router"], "mayBeTwice">;
};

export class Writer {
  readonly #host: World;
  readonly #limits: WriterLimits;
  readonly #counts: WriterCounts;
  readonly #late = new Set<Entry>();
  /** Writes under way, by user. */
  readonly #underWay = new Map<string, Promise<void>>();
  #lateBytes = 0;
  #isLosing = false;
  #timer: Timer | undefined;

  constructor(host: World, limits: WriterLimits, counts: WriterCounts) {
    this.#host = host;
    this.#limits = limits;
    this.#counts = counts;
  }

  /** Something is late: what is read now may get company. */
  get isBehind(): boolean {
    return this.#late.size > 0;
  }

  /** Settles when what this node is writing for the user is archived, or late. */
  async settled(user: string): Promise<void> {
    await this.#underWay.get(user);
  }

  /** Resolves when the message is archived, or late. Never rejects. */
  write(entry: Entry): Promise<void> {
    const { user } = entry;
    const done = this.#write(entry);
    const all = Promise.all([this.#underWay.get(user), done]).then(() => {
      if (this.#underWay.get(user) === all) this.#underWay.delete(user);
    });
    this.#underWay.set(user, all);
    return done;
  }

  async #write(late: Entry): Promise<void> {
    if (this.isBehind) return this.#put(late);
    const outcome = await this.#inTime(this.#attempt(late));
    if (outcome === "again" || outcome === undefined) this.#put(late);
  }

  async #attempt({ user, message, origin, receivedMs }: Entry): Promise<"done" | "again"> {
    const { archive, log, router } = this.#host;
    const { keptSeconds } = this.#limits;
    try {
      if (router.mayBeTwice(origin, receivedMs)) {
        await addOnce(this.#host, user, message, keptSeconds);
      } else await archive.add(user, message, keptSeconds);
      this.#counts.archived += 1;
      return "done";
    } catch (error) {
      if (error instanceof Unavailable) return "again";
      this.#counts.lost += 1;
      log.error({ err: error }, "cannot archive a message");
      return "done";
    }
  }

  /** Undefined when it takes too long. */
  async #inTime<T>(work: Promise<T>): Promise<T | undefined> {
    let timer: Timer | undefined;
    const expired = new Promise<undefined>((resolve) => {
      timer = this.#host.clock.after(this.#limits.waitMs, () => resolve(undefined));
    });
    try {
      return await Promise.race([work, expired]);
    } finally {
      timer?.cancel();
    }
  }

  #put(late: Entry): void {
    const { log } = this.#host;
    const bytes = this.#lateBytes + late.message.bytes.length;
    if (bytes > this.#limits.lateBytesMax) {
      this.#counts.lost += 1;
      if (!this.#isLosing) log.error({}, "cannot archive messages: too many are late");
      this.#isLosing = true;
      return;
    }
    if (!this.isBehind)
      log.warn({}, "the archive does not answer in time: messages are archived late");
    this.#lateBytes = bytes;
    this.#late.add(late);
    this.#counts.late = this.#late.size;
    this.#again();
  }

  #again(): void {
    this.#timer ??= this.#host.clock.after(RETRY_MS, () => {
      void this.#retry().finally(() => {
        this.#timer = undefined;
        if (this.isBehind) this.#again();
      });
    });
  }

  /**
   * The oldest first, during half of the time: who comes back with the store wants to log in. Stops when the
   * archive still does not answer.
   */
  async #retry(): Promise<void> {
    const { clock, log } = this.#host;
    while (this.isBehind) {
      const begunMs = clock.monotonicMs();
      const some = firstOf(this.#late, RETRIES_AT_ONCE);
      const outcomes = await Promise.all(some.map((late) => this.#attempt(late)));
      some.forEach((late, index) => {
        if (outcomes[index] === "done") this.#remove(late);
      });
      if (outcomes.includes("again")) return;
      if (this.isBehind) await pause(clock, clock.monotonicMs() - begunMs);
    }
    this.#isLosing = false;
    log.info({}, "the archive has caught up");
  }

  #remove(late: Entry): void {
    this.#late.delete(late);
    this.#lateBytes -= late.message.bytes.length;
    this.#counts.late = this.#late.size;
  }
}

function firstOf<T>(all: Iterable<T>, countMax: number): readonly T[] {
  const some: T[] = [];
  for (const one of all) {
    if (some.length >= countMax) break;
    some.push(one);
  }
  return some;
}
