/**
 * Hands stored messages over. One node at a time per user, by a claim; a message is removed only
 * when the client has it; what is stored meanwhile is found, because whoever stores wakes the node
 * where somebody is, and whoever drains looks again after giving the claim back.
 */

import type { Timer } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import { envelopeOf } from "../router/envelopes.ts";
import type { Claim } from "../routes/contract.ts";
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
  /** Whom it handed messages to; live ones wait for it meanwhile. */
  readonly recipients: Set<ClientSession>;
  readonly done: Promise<boolean>;
}

export class Drains {
  readonly #host: Host;
  readonly #acknowledgeMs: number;
  /** Sessions that have arrived; others get what is stored when they have. */
  readonly #ready = new WeakSet<ClientSession>();
  /** Those of them whose arrival is not over: they release what waits themselves. */
  readonly #arriving = new WeakSet<ClientSession>();
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
    const user = session.jid.bare;
    try {
      // The session this one replaced may still be passing on, to the store, what its client never
      // got. Nobody else may wait for that: whoever passes on wakes us and waits for the answer.
      await this.#host.router.predecessorOf(session);
      this.#ready.add(session);
      this.#arriving.add(session);
      for (let attempts = 1; !(await this.#drained(user)); attempts += 1) {
        if (!isReachable(session)) break;
        if (attempts >= ARRIVAL_ATTEMPTS_MAX) {
          this.#later(user);
          break;
        }
        await new Promise<void>((resolve) => this.#host.clock.after(RETRY_MS, resolve));
      }
    } finally {
      this.#arriving.delete(session);
      this.#host.router.deliveries.release(session);
    }
  }

  /**
   * Something was stored. On return it is sure to be handed over before any message that comes to
   * the same session later, because those wait.
   */
  wake(user: string): void {
    const running = this.#running.get(user);
    if (running !== undefined) {
      running.isAskedAgain = true;
      return;
    }
    const session = this.#recipient(user);
    if (session === undefined) return;
    this.#host.router.deliveries.hold(session);
    void this.#drained(user, session).then((isDone) => {
      if (!isDone) this.#later(user);
    });
  }

  /** Tries again what was put off. */
  retry(): void {
    const users = [...this.#putOff];
    this.#putOff.clear();
    for (const user of users) this.wake(user);
  }

  /** False when it was put off. Never rejects. */
  #drained(user: string, held?: ClientSession): Promise<boolean> {
    const running = this.#running.get(user);
    if (running !== undefined) {
      running.isAskedAgain = true;
      return running.done;
    }
    const drain: Drain = {
      isAskedAgain: false,
      recipients: new Set(held === undefined ? [] : [held]),
      done: Promise.resolve().then(() => this.#run(user, drain)),
    };
    this.#running.set(user, drain);
    return drain.done;
  }

  async #run(user: string, drain: Drain): Promise<boolean> {
    try {
      let isDone: boolean;
      do {
        drain.isAskedAgain = false;
        isDone = await this.#drain(user, drain.recipients);
      } while (drain.isAskedAgain);
      return isDone;
    } catch (error) {
      const fields = { err: error };
      const { log } = this.#host;
      if (error instanceof Unavailable) log.warn(fields, "cannot hand over stored messages");
      else log.error(fields, "cannot hand over stored messages");
      return false;
    } finally {
      this.#running.delete(user);
      for (const session of drain.recipients) {
        if (!this.#arriving.has(session)) this.#host.router.deliveries.release(session);
      }
    }
  }

  async #drain(user: string, recipients: Set<ClientSession>): Promise<boolean> {
    for (;;) {
      const session = this.#recipient(user);
      if (session === undefined) return true;
      recipients.add(session);
      this.#host.router.deliveries.hold(session);
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
      this.retry();
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
