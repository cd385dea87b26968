/**
 * Hands stored messages over. One node at a time per user, by a claim; a message is removed only
 * when the client has it; what is stored meanwhile is found, because whoever stores wakes the node
 * where somebody is, and whoever drains looks again after giving the claim back.
 */
import { Unavailable } from "../base/errors.ts";
import type { Timer } from "../base/clock.ts";
import type { Claim } from "../routes/contract.ts";
import { envelopeOf } from "../router/envelopes.ts";
import { withDelay } from "../stanza/delay.ts";
import { Jid } from "../stanza/jid.ts";
import type { OfflineMessage } from "../stores/contract.ts";
import type { ClientSession, Host } from "./contract.ts";
import { originOf } from "./offline-id.ts";

/** Small: what a client acknowledged and a dying node did not remove comes again. */
const PAGE = 20;
const REMOVE_ATTEMPTS = 3;
/** What was put off (another node has the claim, the store is away) is tried again after this. */
const RETRY_MS = 1_000;
/** How often a session that arrives tries before live messages may overtake stored ones. */
const ARRIVAL_ATTEMPTS_MAX = 15;
const STATE = "offline";

interface Drain {
  isAskedAgain: boolean;
  readonly done: Promise<boolean>;
}

export class Drains {
  readonly #host: Host;
  readonly #acknowledgeMs: number;
  /** Sessions that have arrived; others get what is stored when they have. */
  readonly #ready = new WeakSet<ClientSession>();
  readonly #running = new Map<string, Drain>();
  /** Users with a session here whose drain was put off. */
  readonly #putOff = new Set<string>();
  #timer: Timer | undefined;

  constructor(host: Host, acknowledgeMs: number) {
    this.#host = host;
    this.#acknowledgeMs = acknowledgeMs;
  }

  /** A session can take messages: first those that were stored, then those that waited. */
  async arrived(session: ClientSession): Promise<void> {
    try {
      // The session this one replaced may still be passing on, to the store, what its client never
      // got. Nobody else may wait for that: whoever passes on wakes us and waits for the answer.
      await this.#host.router.predecessorOf(session);
      this.#ready.add(session);
      for (let attempts = 1; !(await this.#drained(session.jid.bare)); attempts += 1) {
        if (attempts >= ARRIVAL_ATTEMPTS_MAX || !isReachable(session)) break;
        await new Promise<void>((resolve) => this.#host.clock.after(RETRY_MS, resolve));
      }
    } finally {
      this.#host.router.deliveries.release(session);
    }
  }

  /** Resolves when all that was stored before the call is handed over or put off. */
  async wake(user: string): Promise<void> {
    if (!(await this.#drained(user))) this.#later(user);
  }

  /** False when it was put off. */
  #drained(user: string): Promise<boolean> {
    const running = this.#running.get(user);
    if (running !== undefined) {
      running.isAskedAgain = true;
      return running.done;
    }
    const drain: Drain = { isAskedAgain: false, done: Promise.resolve().then(() => this.#run(user)) };
    this.#running.set(user, drain);
    return drain.done;
  }

  /** Tries again what was put off. */
  async retry(): Promise<void> {
    const users = [...this.#putOff];
    this.#putOff.clear();
    await Promise.all(users.map((user) => this.wake(user)));
  }

  async #run(user: string): Promise<boolean> {
    const drain = this.#running.get(user);
    try {
      let isDone: boolean;
      do {
        if (drain !== undefined) drain.isAskedAgain = false;
        isDone = await this.#drain(user);
      } while (drain?.isAskedAgain);
      return isDone;
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      this.#host.log.warn({ err: error }, "cannot hand over stored messages");
      return false;
    } finally {
      this.#running.delete(user);
    }
  }

  async #drain(user: string): Promise<boolean> {
    for (;;) {
      const session = this.#recipient(user);
      if (session === undefined) return true;
      if ((await this.#host.offline.list(user, 1)).length === 0) return true;
      const claim = await this.#host.router.claim(`offline/${user}`);
      // The holder looks once more after it gave the claim back. If it dies first, we try again.
      if (claim === undefined) return false;
      let isEmptied = false;
      try {
        isEmptied = await this.#handOver(user, session, claim);
      } finally {
        await claim[Symbol.asyncDispose]();
      }
      // The client went away or took no more; another of the user's resources may do better.
      if (!isEmptied && this.#recipient(user) === session) return false;
    }
  }

  /** The resource of the highest priority among those of this node that take messages. */
  #recipient(user: string): ClientSession | undefined {
    let best: ClientSession | undefined;
    for (const session of this.#host.sessions().ofUser(user)) {
      if (!isReachable(session) || !this.#ready.has(session)) continue;
      if (best === undefined || session.route.priority > best.route.priority) best = session;
    }
    return best;
  }

  /** Page by page. False when the session ended or did not acknowledge, or the claim is lost. */
  async #handOver(user: string, session: ClientSession, claim: Claim): Promise<boolean> {
    while (claim.isHeld) {
      const page = await this.#host.offline.list(user, PAGE);
      if (page.length === 0) return true;
      const given = givenTo(session);
      const waits: Promise<string | undefined>[] = [];
      for (const message of page) {
        const { id } = message;
        // A wait of its own for each: a client may have half of a page when its connection breaks.
        const wait = given.get(id) ?? this.#give(message, session);
        if (wait === undefined) break;
        given.set(id, wait);
        waits.push(wait.then((is) => (is ? id : undefined)));
      }
      const ids = (await this.#inTime(waits)).filter((id) => id !== undefined);
      if (ids.length > 0) await this.#remove(user, ids);
      for (const id of ids) given.delete(id);
      if (ids.length < page.length) return false;
    }
    return false;
  }

  /** Whether the client has it, in time; undefined when the session takes no more. */
  #give({ id, bytes, receivedMs }: OfflineMessage, session: ClientSession) {
    const domain = Jid.prepared(session.jid.domain);
    const envelope = envelopeOf(withDelay(bytes, domain, receivedMs), receivedMs);
    if (!this.#host.router.deliveries.giveStored(session, envelope, originOf(id))) return undefined;
    return session.whenAcknowledged?.() ?? Promise.resolve(true);
  }

  /** What has settled by the deadline; undefined for what has not. */
  async #inTime<T>(waits: readonly Promise<T>[]): Promise<(T | undefined)[]> {
    let timer: Timer | undefined;
    const expired = new Promise<undefined>((resolve) => {
      timer = this.#host.clock.after(this.#acknowledgeMs, () => resolve(undefined));
    });
    try {
      return await Promise.all(waits.map((wait) => Promise.race([wait, expired])));
    } finally {
      timer?.cancel();
    }
  }

  async #remove(user: string, ids: readonly string[]): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      try {
        return await this.#host.offline.remove(user, ids);
      } catch (error) {
        // Not removed means handed over again to the next session.
        if (attempt >= REMOVE_ATTEMPTS || !(error instanceof Unavailable)) throw error;
      }
    }
  }

  #later(user: string): void {
    this.#putOff.add(user);
    this.#timer ??= this.#host.clock.after(RETRY_MS, () => {
      this.#timer = undefined;
      this.retry().catch((error: unknown) => {
        this.#host.log.error({ err: error }, "cannot hand over stored messages");
      });
    });
  }
}

const isReachable = ({ route }: ClientSession) => route.available && route.priority >= 0;

/** Handed to this session and not removed yet, by id, with its acknowledgement: at most a page. */
function givenTo(session: ClientSession): Map<string, Promise<boolean>> {
  const given =
    (session.state.get(STATE) as Map<string, Promise<boolean>> | undefined) ?? new Map();
  session.state.set(STATE, given);
  return given;
}
