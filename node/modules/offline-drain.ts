/**
 * Hands stored messages over: one node at a time per user, by a claim, unless etcd is away. Live
 * messages wait until the stored ones are handed over, but not until the client has acknowledged
 * them: it may be slow, or miscount. A message is removed when the client has it. What is stored
 * meanwhile is found, because whoever stores wakes the node where somebody is.
 */

import type { Timer } from "../base/clock.ts";
import { pause } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import { envelopeOf } from "../router/envelopes.ts";
import { withDelay } from "../stanza/delay.ts";
import { Jid } from "../stanza/jid.ts";
import type { OfflineMessage } from "../stores/contract.ts";
import type { ClientSession, HistoryService, Host } from "./contract.ts";
import { Drain, type Given } from "./offline-given.ts";
import { originOf } from "./offline-id.ts";

const PAGE = 20;
/** Small: what a client acknowledged and a dying node did not remove comes again. */
const UNACKNOWLEDGED_MAX = 100;
const REMOVE_ATTEMPTS = 3;
/** What was put off (another node has the claim, the store is away) is tried again after this. */
const RETRY_MS = 1_000;
/** Users whose stores are looked into at once when this node is back. */
const LOOKS_AT_ONCE = 20;
/** How often stored messages are tried to be had before live ones may overtake them. */
const ATTEMPTS_MAX = 15;
const STATE = "offline";

export class Drains {
  readonly #host: Host;
  readonly #history: HistoryService;
  readonly #acknowledgeMs: number;
  /** Sessions that have arrived; others get what is stored when they have. */
  readonly #ready = new WeakSet<ClientSession>();
  /** Those of them whose arrival is not over: they release what waits themselves. */
  readonly #arriving = new WeakSet<ClientSession>();
  /** Those of them that were resumed meanwhile. */
  readonly #back = new WeakSet<ClientSession>();
  /** Those whose live messages wait until the store is back, with the attempts so far. */
  readonly #waiting = new WeakMap<ClientSession, number>();
  readonly #running = new Map<string, Drain>();
  /** Users with a session here whose drain was put off. */
  readonly #putOff = new Set<string>();
  #timer: Timer | undefined;

  constructor(host: Host, history: HistoryService, acknowledgeMs: number) {
    this.#host = host;
    this.#history = history;
    this.#acknowledgeMs = acknowledgeMs;
  }

  /** A session can take messages: first those that were stored, then those that waited. */
  async arrived(session: ClientSession): Promise<void> {
    try {
      // The sessions before this one may still be passing on, to the store, what their client never
      // got. Nobody else may wait for that: whoever passes on wakes us and waits for the answer.
      await this.#host.router.predecessorsOf(session);
    } finally {
      this.#ready.add(session);
      await this.#arrive(session);
    }
  }

  async #arrive(session: ClientSession): Promise<void> {
    const user = session.jid.bare;
    const isOpen = async () =>
      !(await this.#handedOver(user, session)) || this.#back.delete(session);
    this.#arriving.add(session);
    try {
      for (let attempts = 1; await isOpen(); attempts += 1) {
        if (!isReachable(session)) break;
        if (attempts >= ATTEMPTS_MAX) {
          this.#later(user);
          break;
        }
        await pause(this.#host.clock, RETRY_MS);
      }
    } finally {
      this.#arriving.delete(session);
      this.#letOut(session);
    }
  }

  /**
   * Something was stored. On return it is sure to be handed over before any message that comes to
   * the same session later, because those wait.
   */
  wake(user: string): void {
    const session = this.#recipient(user);
    if (session !== undefined) {
      void this.#handOverOrLater(user, session);
      return;
    }
    this.#letOutWaiting(user);
    this.#holdDetached(user);
    this.#running.get(user)?.ask();
  }

  /** Its client may never come back: what is stored is for whoever else of the user is there. */
  detached(session: ClientSession): void {
    this.#running.get(session.jid.bare)?.ask();
  }

  /**
   * It was given stored messages by another node, or was to be: the next look into the store finds
   * which it has. Live messages wait for that look, which its client's return begins.
   */
  takenOver(session: ClientSession): void {
    this.#ready.add(session);
    if (isReachable(session)) this.#host.router.deliveries.hold(session);
  }

  /** What was given to it before is not given again; what was stored meanwhile follows. */
  async resumed(session: ClientSession): Promise<void> {
    if (!this.#ready.has(session) || !isReachable(session)) return; // Or it is yet to arrive.
    this.#host.router.deliveries.hold(session);
    if (this.#arriving.has(session)) this.#back.add(session);
    else await this.#arrive(session);
  }

  /**
   * What its client acknowledged when nobody waited for it any more is removed now, before the next
   * session can be given it.
   */
  async ended(session: ClientSession): Promise<void> {
    const given = session.state.get(STATE) as Map<string, Given> | undefined;
    if (given === undefined) return;
    const all = [...given.values()];
    await Promise.all(all.map(({ settled }) => settled));
    const acknowledged = all.filter(({ outcome }) => outcome === "acknowledged");
    if (acknowledged.length > 0) await this.#remove(session.jid.bare, acknowledged);
  }

  /**
   * While this node's routes were gone others took its users for absent, and stored what came for
   * them: each user's store is looked into, a few at a time, and what comes now waits for that.
   */
  async restored(): Promise<void> {
    const users = new Set<string>();
    for (const session of this.#host.sessions().all()) {
      if (isReachable(session) && this.#ready.has(session)) users.add(session.jid.bare);
    }
    const held = [...users].flatMap((user) => this.#holdFirst(user) ?? []).values();
    const look = async () => {
      for (const session of held) await this.#handOverOrLater(session.jid.bare, session);
    };
    await Promise.all(Array.from({ length: LOOKS_AT_ONCE }, look));
  }

  /** Who will be given what is stored: its live messages wait. Undefined: nobody, until a client is back. */
  #holdFirst(user: string): ClientSession | undefined {
    const session = this.#recipient(user);
    if (session === undefined) this.#holdDetached(user);
    else this.#host.router.deliveries.hold(session);
    return session;
  }

  /** Tries again what was put off. */
  retry(): void {
    const users = [...this.#putOff];
    this.#putOff.clear();
    for (const user of users) this.wake(user);
  }

  /** Never rejects. */
  async #handOverOrLater(user: string, session: ClientSession): Promise<void> {
    if (!(await this.#handedOver(user, session))) this.#later(user);
  }

  /** Settles when all is handed over, with false when that was put off. Never rejects. */
  #handedOver(user: string, session: ClientSession): Promise<boolean> {
    const running = this.#running.get(user);
    const drain = running ?? new Drain();
    this.#hold(drain, session);
    if (running !== undefined) return running.ask();
    this.#running.set(user, drain);
    void Promise.resolve().then(() => this.#run(user, drain));
    return drain.handedOver;
  }

  /** From now on live messages for the session wait. */
  #hold(drain: Drain, session: ClientSession): void {
    drain.recipients.add(session);
    this.#host.router.deliveries.hold(session);
  }

  /** Lets out what waited behind the stored messages, unless these could not be had for now. */
  #release(user: string, drain: Drain, isDone: boolean): void {
    if (!drain.isAway) this.#letOutWaiting(user);
    for (const session of drain.recipients) {
      if (this.#arriving.has(session) || (drain.isAway && this.#waits(session))) continue;
      this.#letOut(session);
    }
    drain.recipients.clear();
    drain.finish(isDone);
  }

  /** Whether its live messages wait for the next attempt. */
  #waits(session: ClientSession): boolean {
    const attempts = (this.#waiting.get(session) ?? 0) + 1;
    if (attempts >= ATTEMPTS_MAX) this.#waiting.delete(session);
    else this.#waiting.set(session, attempts);
    return attempts < ATTEMPTS_MAX;
  }

  #letOutWaiting(user: string): void {
    for (const session of this.#host.sessions().ofUser(user)) {
      if (this.#waiting.delete(session) && !this.#arriving.has(session)) this.#letOut(session);
    }
  }

  /** Live messages go on. Those of a detached session wait for it, behind what is stored. */
  #letOut(session: ClientSession): void {
    if (session.isDetached !== true) this.#host.router.deliveries.release(session);
  }

  /** Nobody is there to be given what is stored: what comes now must not overtake it. */
  #holdDetached(user: string): void {
    for (const session of this.#host.sessions().ofUser(user)) {
      if (session.isDetached !== true || !isReachable(session)) continue;
      if (this.#ready.has(session)) this.#host.router.deliveries.hold(session);
    }
  }

  async #run(user: string, drain: Drain): Promise<void> {
    do {
      drain.look();
      const isDone = await this.#attempt(drain, () => this.#handOver(user, drain));
      if (drain.isAskedAgain) continue;
      this.#release(user, drain, isDone);
      // Nothing was stored, as at most logins: there is nothing to wait for.
      const isSettled =
        drain.given.size === 0 || (await this.#attempt(drain, () => this.#settle(user, drain, 0)));
      if (drain.claim !== undefined && !drain.isAskedAgain) {
        await this.#attempt(drain, () => drain.giveBack());
      }
      if (isDone && !isSettled) this.#later(user);
    } while (drain.isAskedAgain);
    this.#running.delete(user);
  }

  async #attempt(drain: Drain, work: () => Promise<boolean>): Promise<boolean> {
    try {
      return await work();
    } catch (error) {
      const fields = { err: error };
      const { log } = this.#host;
      drain.isAway = error instanceof Unavailable;
      if (error instanceof Unavailable) log.warn(fields, "cannot hand over stored messages");
      else log.error(fields, "cannot hand over stored messages");
      return false;
    }
  }

  /** The resource of the highest priority among those of this node whose clients are there. */
  #recipient(user: string): ClientSession | undefined {
    let best: ClientSession | undefined;
    for (const session of this.#host.sessions().ofUser(user)) {
      if (!isReachable(session) || session.isDetached === true) continue;
      if (!this.#ready.has(session)) continue;
      if (best === undefined || session.route.priority > best.route.priority) best = session;
    }
    return best;
  }

  /** False when another node has the claim, or the session takes no more or acknowledges nothing. */
  async #handOver(user: string, drain: Drain): Promise<boolean> {
    for (;;) {
      const session = this.#recipient(user);
      if (session === undefined) return true;
      this.#hold(drain, session);
      if (!drain.mayGive) {
        if ((await this.#host.offline.list(user, 1)).length === 0) return true;
        await this.#claim(user, drain);
        // Its holder looks again before it is done. If it dies first, we try again.
        if (!drain.mayGive) return false;
      }
      if (await this.#giveAll(user, session, drain)) return true;
      // The client went away or took no more; another of the user's resources may do better.
      if (drain.mayGive && this.#recipient(user) === session) return false;
    }
  }

  async #claim(user: string, drain: Drain): Promise<void> {
    try {
      drain.claim = await this.#host.router.claim(`offline/${user}`);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      drain.isUnclaimed = true;
    }
  }

  /** Page by page. False when the session ended or does not acknowledge, or it may give no more. */
  async #giveAll(user: string, session: ClientSession, drain: Drain): Promise<boolean> {
    const given = givenTo(session);
    let afterId = "";
    while (drain.mayGive) {
      const page = await this.#host.offline.list(user, PAGE, afterId);
      if (page.length === 0) return true;
      for (const message of page) {
        const { id } = message;
        const one = given.get(id) ?? this.#give(message, session, given);
        if (one === undefined) return false;
        drain.given.add(one);
        afterId = id;
      }
      if (!(await this.#settle(user, drain, UNACKNOWLEDGED_MAX - PAGE))) return false;
    }
    return false;
  }

  /** Undefined when the session takes no more. */
  #give(
    { id, bytes, receivedMs }: OfflineMessage,
    session: ClientSession,
    given: Map<string, Given>,
  ): Given | undefined {
    const domain = Jid.prepared(session.jid.domain);
    const envelope = envelopeOf(withDelay(bytes, domain, receivedMs), receivedMs);
    // A client that has read its archive needs no second copy, only to acknowledge the first.
    if (!this.#history.wasShown(session, envelope)) {
      const { deliveries } = this.#host.router;
      if (!deliveries.giveStored(session, envelope, originOf(id))) return undefined;
    }
    const answer = session.whenAcknowledged?.() ?? Promise.resolve(true);
    const one: Given = { id, session, outcome: undefined, settled: Promise.resolve() };
    one.settled = answer.then((isAcknowledged) => {
      one.outcome = isAcknowledged ? "acknowledged" : "lost";
      if (!isAcknowledged) given.delete(id);
    });
    given.set(id, one);
    return one;
  }

  /**
   * Removes what is acknowledged until at most `leftMax` messages wait for that. False when they wait
   * in vain. The wait for the last ones ends when somebody asks again.
   */
  async #settle(user: string, drain: Drain, leftMax: number): Promise<boolean> {
    let isExpired = false;
    const expired = Promise.withResolvers<void>();
    const timer = this.#host.clock.after(this.#acknowledgeMs, () => {
      isExpired = true;
      expired.resolve();
    });
    try {
      for (;;) {
        const { acknowledged, lost } = drain.takeSettled();
        if (acknowledged.length > 0) await this.#remove(user, acknowledged);
        // The store still has it, for another of the user's resources.
        const next = lost.length > 0 ? this.#recipient(user) : undefined;
        if (next !== undefined) void this.#handOverOrLater(user, next);
        const [first] = drain.given;
        if (first === undefined || drain.given.size <= leftMax) return lost.length === 0;
        if (leftMax === 0 && drain.isAskedAgain) return true;
        if (isExpired) return false;
        const asked = leftMax === 0 ? [drain.interrupted] : [];
        await Promise.race([first.settled, expired.promise, ...asked]);
      }
    } finally {
      timer.cancel();
    }
  }

  async #remove(user: string, all: readonly Given[]): Promise<void> {
    const ids = all.map(({ id }) => id);
    for (let attempt = 1; ; attempt += 1) {
      try {
        await this.#host.offline.remove(user, ids);
        break;
      } catch (error) {
        // Not removed means handed over again to the next session.
        if (attempt >= REMOVE_ATTEMPTS || !(error instanceof Unavailable)) throw error;
      }
    }
    for (const { id, session } of all) givenTo(session).delete(id);
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

/** Handed to this session and not removed yet, by id. */
function givenTo(session: ClientSession): Map<string, Given> {
  const given = (session.state.get(STATE) as Map<string, Given> | undefined) ?? new Map();
  session.state.set(STATE, given);
  return given;
}
