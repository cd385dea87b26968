/**
 * What this node keeps for others: copies of their sessions, and when a node dies, those of its
 * sessions. They go on here without a stream, until their clients resume them or their windows close.
 */

import type { Clock } from "../base/clock.ts";
import { pause } from "../base/clock.ts";
import { settledWithin } from "../base/deadline.ts";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import { Signals } from "../base/signals.ts";
import type { CopyOrigin, Route, RouteSet, Routes } from "../routes/contract.ts";
import { isHolder, isOutdated, NOTES_LAST_MS } from "../routes/contract.ts";
import type { ClientSession, Incoming, SessionTable } from "../session/contract.ts";
import { isMovable, sessionAt } from "../session/contract.ts";
import { Keeper } from "../shadow/keeper.ts";
import type { MirrorItem, Verdict } from "../shadow/mirror.ts";
import type { Envelope } from "../stanza/contract.ts";
import { Jid } from "../stanza/jid.ts";
import { EnvelopeError } from "../stanza/wire.ts";
import type { Carried } from "./carried.ts";
import type { CatchUp } from "./catch-up.ts";
import type { Endings } from "./ended.ts";
import type { HandOver } from "./hand-over.ts";
import { incomingOf } from "./incoming.ts";
import { BadFrame } from "./octets.ts";
import type { Peers } from "./peers.ts";
import type { SessionRecord } from "./session-wire.ts";
import { decodeWaiting, routeIn } from "./session-wire.ts";
import type { Copy, MirrorFrame } from "./shadow-wire.ts";
import { changeCopy, copyOf } from "./shadow-wire.ts";

/** Sessions of a dead node that are taken over at once. */
const AT_ONCE = 64;
const RETRY_MS = 1_000;
const DROP = "drop" as const;
const ATTEMPTS_MAX = 300;
/** How long a node that was thought dead waits to hear which of its sessions are still its own. */
const ANSWER_MS = 4_000;
/** Nobody waits longer than that for a word about a session: whose node it is may be alive after all. */
const DECIDED_MS = 2_000;
/** How often this node looks which of its copies are void, and after how long without it none counts. */
export const LOOK_MS = 600_000;
const UNSEEN_MAX_MS = NOTES_LAST_MS - LOOK_MS;

export interface KeepingParts {
  readonly routes: Routes;
  readonly peers: Peers;
  readonly sessions: () => SessionTable;
  readonly handOver: HandOver;
  readonly carried: Carried;
  readonly clock: Clock;
  readonly log: Logger;
  readonly adopt: Adopt;
  /** It has no lease, and may go on. */
  readonly isLapsed: (node: string) => boolean;
  readonly onTakenOver: (session: ClientSession, from: string | undefined) => void;
  readonly endings: Endings;
  /** It has no copies any more. */
  readonly onForgotten: () => void;
  readonly catchUp: Pick<CatchUp, "after">;
}

/**
 * See adoptSession.
 * @returns "again": look at the routes once more; "never": this node goes itself, or what it has is old
 */
export type Adopt = (incoming: Incoming, seen: RouteSet) => Promise<"taken" | "again" | "never">;

/**
 * A session that another node may have left. Without an id it is any that had that address elsewhere than at `node`,
 * where this is another session's by now; only who is asked to wait looks for it so.
 */
export type Sought = Pick<Route, "user" | "resource" | "node" | "session">;

export type KeptAnswer = "kept" | "perhaps" | "gone";

/** What became of a copy: "never" as Adopt says it, "void" as its owner noted it, or it took too long. */
type Fate = "taken" | "elsewhere" | "passedOn" | "never" | "void" | "unread";

/** Sessions of one dead node, on their way to become ours: their routes as they were there, by id. */
interface Adoption {
  readonly ids: Map<string, Route>;
  readonly done: Promise<void>;
}

export class Keeping {
  readonly #parts: KeepingParts;
  readonly #keeper: Keeper<Copy>;
  readonly #adoptions = new Map<string, Adoption>();
  readonly #decisions: Signals;
  /** Without a lease that could be proven. */
  #isOut = false;
  #isLeaving = false;
  /** When what is void was looked at last. */
  #lookedMs: number;

  constructor(parts: KeepingParts) {
    this.#parts = parts;
    const userOf = ({ state }: Copy) => state.route.user;
    this.#keeper = new Keeper({ userOf, whole: copyOf, change: changeCopy });
    this.#decisions = new Signals(parts.clock);
    this.#lookedMs = parts.clock.monotonicMs();
    this.#lookLater();
  }

  /** Copies of other nodes' sessions. */
  get copies(): number {
    return this.#keeper.size;
  }

  /** It may take sessions over: it has a lease, and stays. */
  get isReady(): boolean {
    return !this.#isOut && !this.#isLeaving;
  }

  hasCopiesOf(owner: string): boolean {
    return this.#keeper.copiesOf(owner, 0).byId.size > 0;
  }

  /** Sessions that are on their way to become ours. */
  get adopting(): number {
    let count = 0;
    for (const { ids } of this.#adoptions.values()) count += ids.size;
    return count;
  }

  /**
   * Whether that session of another node is ours to go on with, or it is about to be decided; "perhaps": its node has
   * a lease, so that this copy may only be late to go.
   */
  isKept(id: string): KeptAnswer {
    for (const { ids } of this.#adoptions.values()) if (ids.has(id)) return "kept";
    const owners = this.#keeper.ownersOf(id);
    if (owners.length === 0) return "gone";
    const { routes, isLapsed } = this.#parts;
    const isThere = (owner: string) => routes.nodes.has(owner) && !isLapsed(owner);
    return owners.every(isThere) ? "perhaps" : "kept";
  }

  /** The same as soon as it is decided who goes on with it, or after a while. */
  async decided(sought: Sought): Promise<KeptAnswer> {
    const id = sought.session === "" ? this.#leftAt(sought) : sought.session;
    if (id === undefined) return "gone";
    const answer = this.isKept(id);
    if (answer !== "gone") await this.#decisions.wait(id, DECIDED_MS);
    return answer;
  }

  #leftAt({ user, resource, node }: Sought): string | undefined {
    const adopted = [...this.#adoptions.values()].flatMap(({ ids }) => [...ids.values()]);
    const copied = this.#keeper.ofUser(user).map(({ state }) => state.route);
    const isThat = (route: Route) =>
      route.user === user && route.resource === resource && route.node !== node;
    return [...adopted, ...copied].find(isThat)?.session;
  }

  /** This node goes soon: it takes no more copies, and what it has counts until they are elsewhere. */
  leave(): void {
    this.#isLeaving = true;
  }

  /** Settles when nothing is on its way to become ours. */
  async adopted(): Promise<void> {
    await Promise.all([...this.#adoptions.values()].map(({ done }) => done));
  }

  /** Another node says how its sessions stand. */
  async take(
    owner: string,
    { term, items }: Pick<MirrorFrame, "term" | "items">,
  ): Promise<readonly Verdict[]> {
    if (this.#isLeaving) throw new Unavailable("mesh-failed", "Cannot keep sessions: it goes soon");
    const adoption = this.#adoptions.get(owner);
    if (adoption !== undefined) {
      await settledWithin(this.#parts.clock, ANSWER_MS, adoption.done);
    }
    if (this.#adoptions.has(owner)) {
      throw new Unavailable("mesh-failed", "Cannot say yet whose the sessions of this node are");
    }
    const isAlive = await this.#parts.peers.ready(owner);
    const isOurs = ({ kind, payload }: MirrorItem) =>
      kind === "whole" && this.#isOurs(routeIn(payload));
    if (!isAlive && items.length === 0) throw noLease();
    if (isAlive && !items.some(isOurs)) return this.#keeper.take(owner, term, items);
    // Without a lease they need not be: whoever sends them may have taken them over.
    if (this.#isOut) throw noLease();
    const ours = new Set(items.filter(isOurs));
    // What goes on here needs no copy; one from before would only seem to be worth asking for.
    const dropped = (item: MirrorItem) => (ours.has(item) ? { ...item, kind: DROP } : item);
    const verdicts = isAlive ? this.#keeper.take(owner, term, items.map(dropped)) : [];
    return items.map((item, at): Verdict => {
      if (ours.has(item)) return "kept";
      const { kind } = item;
      const verdict = verdicts[at] ?? (kind === "whole" ? undefined : "unknown");
      if (verdict !== undefined) return verdict;
      // Nobody would take it over: its node is dead to everybody already.
      throw noLease();
    });
  }

  /** Nothing can be taken over; the copies count as before. */
  leaseLost(): void {
    this.#isOut = true;
  }

  leaseRegained(): void {
    this.#isOut = false;
  }

  /** A node is dead, or has left: what it left here is ours, unless somebody was quicker. */
  nodeDown(owner: string): void {
    if (this.#adoptions.has(owner)) return;
    const ids = new Map<string, Route>();
    const done = this.#adoptAll(owner, ids).finally(() => this.#adoptions.delete(owner));
    this.#adoptions.set(owner, { ids, done });
  }

  /** Unless it has gone on elsewhere since, and this node has not heard of it. */
  #isOurs(route: Route): boolean {
    const held = sessionAt(this.#parts.sessions(), route);
    return held !== undefined && held.moving === undefined && !isOutdated(held.route, route);
  }

  #lookLater(): void {
    this.#parts.clock.after(LOOK_MS, () => {
      void this.#firmly(() => this.#look()).then(() => this.#lookLater());
    });
  }

  /**
   * Which copies are void, by owner; they are gone then. Notes of that do not last for ever.
   * @throws Unavailable, also without a lease
   */
  async #look(): Promise<ReadonlyMap<string, number>> {
    const { routes, clock, onForgotten } = this.#parts;
    if (this.#isOut) {
      throw new Unavailable("routes-lost-lease", "Cannot look for void copies: there is no lease");
    }
    const startMs = clock.monotonicMs();
    if (startMs - this.#lookedMs > UNSEEN_MAX_MS) {
      this.#keeper.forgetAll();
      onForgotten();
    }
    const terms = await routes.renounced();
    this.#lookedMs = startMs;
    this.#keeper.renounced(terms);
    return terms;
  }

  /** Never rejects. */
  async #adoptAll(owner: string, ids: Map<string, Route>): Promise<void> {
    const { routes, log } = this.#parts;
    const terms = await this.#firmly(() => this.#look());
    if (routes.nodes.has(owner)) return; // It is back.
    const voidTerm = terms?.get(owner) ?? 0;
    const had = this.#keeper.copiesOf(owner, 0).byId.size;
    const { term, byId: copies } = this.#keeper.takeAll(owner, voidTerm);
    if (terms === undefined) return;
    if (had > copies.size)
      log.info({ node: owner, copies: had }, "what a dead node left here is void");
    if (copies.size === 0) return;
    log.info({ node: owner, sessions: copies.size }, "taking over the sessions of a dead node");
    for (const [id, { state }] of copies) ids.set(id, state.state.route);
    // What has ended is only passed on, and must not have the address of the next session.
    const isOver = ({ state }: Copy) => Number(state.windowMs === 0);
    const waiting = [...copies].toSorted(([, a], [, b]) => isOver(a.state) - isOver(b.state));
    const fates: Partial<Record<Fate, number>> = {};
    const work = async () => {
      for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) {
        const [id, { state }] = next;
        const fate = await this.#adopt({ owner, voidTerm }, term, state);
        fates[fate] = (fates[fate] ?? 0) + 1;
        ids.delete(id);
        this.#decisions.wake(id);
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    log.info({ node: owner, ...fates }, "took over the sessions of a dead node");
  }

  /** Never rejects: what cannot be read is logged, and lost. */
  async #adopt(origin: CopyOrigin, term: number, state: Copy): Promise<Fate> {
    const { log } = this.#parts;
    const { owner } = origin;
    const { session: id } = state.state.route;
    try {
      const record = recordOf(state);
      let { voidTerm } = origin;
      for (;;) {
        const copy = { owner, voidTerm };
        const fate = (await this.#firmly(() => this.#tryToAdopt(copy, record))) ?? "void";
        if (fate !== "again") return fate;
        // The owner is not dead after all, and may have gone on without us.
        const terms = await this.#firmly(() => this.#look());
        voidTerm = terms?.get(owner) ?? 0;
        if (terms === undefined || voidTerm >= term) return "void";
      }
    } catch (error) {
      if (!(error instanceof BadFrame || error instanceof EnvelopeError)) throw error;
      log.error({ err: error, session: id }, "cannot read the copy of a session");
      return "unread";
    }
  }

  /** @throws Unavailable */
  async #tryToAdopt(copy: CopyOrigin, record: SessionRecord): Promise<Fate | "again"> {
    const { routes, adopt, onTakenOver, catchUp } = this.#parts;
    const { route } = record.state;
    const seen = await routes.read(route.user);
    const holder = seen.routes.find(isHolder(route));
    const isSame = holder?.session === route.session;
    // It goes on elsewhere; or its node is not dead, and has its route. Unless that is a node which had it before,
    // stood still, and has come back as the one died that took it over.
    const isElsewhere = isSame && !isOutdated(holder, route);
    if (isElsewhere && (holder.node !== copy.owner || routes.nodes.has(copy.owner))) {
      return "elsewhere";
    }
    if (holder === undefined || isSame) {
      // What this node has of it is from before it went on at the one that is dead.
      const held = sessionAt(this.#parts.sessions(), route);
      if (held !== undefined && isMovable(held) && isOutdated(held.route, route)) {
        this.#parts.endings.displaced(held);
      }
      const incoming = catchUp.after(incomingOf(record, this.#parts), copy.owner);
      const install = (session: ClientSession) => {
        incoming.install(session);
        this.#doubt(session, record, copy.owner);
      };
      // Though that node may be back by then.
      const onTaken = (session: ClientSession) => onTakenOver(session, undefined);
      return await adopt({ ...incoming, copy, install, onTaken }, seen);
    }
    await this.#passOn(record, copy.owner);
    return "passedOn";
  }

  /** Its node may have passed on what it had, and died before it had withdrawn the route; or not be dead. */
  #doubt(session: ClientSession, { state }: SessionRecord, owner: string): void {
    this.#parts.endings.doubt(session, state.windowMs === 0 ? undefined : owner);
  }

  /** Its address is another client's by now: what it had goes on to others. */
  #passOn(record: SessionRecord, owner: string): Promise<void> {
    const { waiting, held, recent } = record;
    const { route } = record.state;
    const { handOver, endings } = this.#parts;
    const ended = endedSession(route);
    this.#doubt(ended, record, owner);
    handOver.restoreRecentLeft(ended, recent);
    const left: Envelope[] = [];
    for (const { stanza, about } of [...waiting, ...held]) {
      if (Buffer.isBuffer(stanza)) continue;
      if (about !== undefined) handOver.restoreLeft(ended, stanza, about);
      left.push(stanza);
    }
    return endings.ended(ended, left);
  }

  /** For as long as its client might come back; undefined when it cannot be done until then. */
  async #firmly<T>(work: () => Promise<T>): Promise<T | undefined> {
    const { clock, log } = this.#parts;
    for (let attempt = 1; attempt <= ATTEMPTS_MAX; attempt += 1) {
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof Unavailable)) throw error;
        log.warn({ err: error, attempt }, "cannot take over sessions of a dead node yet");
        await pause(clock, RETRY_MS);
      }
    }
    log.error({ attempts: ATTEMPTS_MAX }, "cannot take over sessions of a dead node");
    return undefined;
  }
}

const noLease = (): Unavailable =>
  new Unavailable("mesh-failed", "Cannot keep sessions of a node without a lease");

/** What stands for a session that nobody can go on with. */
const endedSession = (route: Route): ClientSession => ({
  id: route.session,
  jid: Jid.prepared(`${route.user}/${route.resource}`),
  route,
  state: new Map(),
  deliver: () => false,
  send: () => false,
  close() {},
});

function recordOf(copy: Copy): SessionRecord {
  const { state, carried, recent } = copy;
  return {
    // What its client sends next may be what the dead node had accepted, and the client may have got
    // more than we know of: of the dead node, or of one before it, if it has not been back since.
    state: { ...state, mayRepeat: true, inherited: state.inherited ?? copy.waiting.length },
    waiting: copy.waiting.map(decodeWaiting),
    held: copy.held.map(decodeWaiting),
    carried,
    recent,
  };
}
