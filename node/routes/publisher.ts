/** Writes this node's own routes, one thing at a time per full address, and keeps them its own. */

import type { Clock } from "../base/clock.ts";
import { pause } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import type { Locks } from "../base/locks.ts";
import type { Book, OwnRoute } from "./book.ts";
import type { Chores } from "./chores.ts";
import type { CopyOrigin, Route, RouteSet } from "./contract.ts";
import { isHolder, movedTo } from "./contract.ts";
import type { Keys } from "./keys.ts";
import { decodeRoute, encodeRoute } from "./keys.ts";
import type { LeaseKeeper } from "./lease.ts";
import { routesMaxOf } from "./limits.ts";
import type { NoteLease } from "./note-lease.ts";
import { stepTo, takerIn } from "./steps.ts";
import type { Outcome, Since, Transactions } from "./transactions.ts";
import {
  conditional,
  put,
  remove,
  unlessWrittenSince,
  wasDone,
  whenWrittenAt,
} from "./transactions.ts";
import { stillValid } from "./void-copies.ts";

export interface PublisherParts {
  readonly keys: Keys;
  readonly lease: LeaseKeeper;
  readonly noteLease: NoteLease;
  readonly locks: Locks;
  readonly writes: Transactions;
  readonly chores: Chores;
  readonly clock: Clock;
  readonly sessionsPerUserMax: number;
  readonly book: Book;
  /** A set read with a commit. @returns the newest that is known */
  readonly learn: (user: string, set: RouteSet) => RouteSet;
  /** Other nodes with sessions of the user must hear of a set that nobody waits for. */
  readonly tell: (user: string, set: RouteSet) => void;
  /** Every other node must hear of a set: one of them holds a session that has lost its route. */
  readonly tellAll: (user: string, set: RouteSet) => void;
  /** Our route is not ours any more; forget it and say so. @param holder who has its address now */
  readonly lose: (route: Route, holder: Route | undefined) => void;
}

/** Attempts to write what others keep changing; only a write in doubt of our own can do that. */
const ATTEMPTS_MAX = 4;
const PUBLISHED_AT_ONCE = 2_000;

interface Written {
  readonly outcome: Outcome;
  /** The route is this session's. */
  readonly isOurs: boolean;
  /** Whose it is, if not ours. */
  readonly holder?: Route | undefined;
}

interface Swapped {
  readonly outcome: Outcome;
  /** On which the route stands, if it was done. */
  readonly leaseId: string;
  /** An earlier attempt may have been done. */
  readonly wasInDoubt: boolean;
}

interface TakenOver extends Omit<Swapped, "wasInDoubt"> {
  /** It may have gone a step further than was asked for. */
  readonly route: Route;
}

/** Before a takeover in doubt is tried again. */
const TAKE_OVER_PAUSE_MS = 500;

/** The same session may go on at another node: then it is not ours. */
const isSameHolding = (one: Route | undefined, { session, node }: Route): boolean =>
  one?.session === session && one.node === node;

export class Publisher {
  readonly #parts: PublisherParts;

  constructor(parts: PublisherParts) {
    this.#parts = parts;
  }

  /** @returns who held the full address before, and the user's set after the commit */
  bind(route: Route): Promise<{ replaced: Route | undefined; set: RouteSet }> {
    const { keys, lease, locks, writes, book, learn, sessionsPerUserMax } = this.#parts;
    const key = keys.route(route);
    const routesMax = routesMaxOf(route.user, sessionsPerUserMax);
    return locks.run(key, async () => {
      const leaseId = lease.id;
      const request = put(key, encodeRoute(route), leaseId);
      const outcome = await writes.run({ request, user: route.user }).catch((error: unknown) => {
        this.#withdrawLater(route); // It may have been written, or may be yet.
        throw error;
      });
      if (!lease.isHeld || lease.id !== leaseId) {
        this.#withdrawLater(route);
        throw new Unavailable("routes-lost-lease", "Cannot bind: the lease was lost meanwhile");
      }
      const value = outcome.response?.response_put?.prev_kv?.value;
      const before = value && decodeRoute(route.user, route.resource, value);
      if (value === undefined && outcome.set.routes.length > routesMax) {
        await this.#withdraw(route).catch(() => this.#withdrawLater(route));
        throw new Unavailable("routes-full", `Cannot bind: the user has ${routesMax} resources`);
      }
      book.add(route, outcome.revision);
      const set = learn(route.user, outcome.set);
      if (book.find(route) === undefined) {
        throw new Unavailable("routes-lost", "Cannot bind: another session took the address");
      }
      return { replaced: before?.session === route.session ? undefined : before, set };
    });
  }

  takeOver(next: Route, seen: RouteSet, copy: CopyOrigin | undefined): Promise<RouteSet> {
    const { keys, lease, locks, book, learn } = this.#parts;
    return locks.run(keys.route(next), async () => {
      const { outcome, leaseId, route } = await this.#takeOver(next, seen, copy);
      const holder = outcome.set.routes.find(isHolder(route));
      if (!wasDone(outcome) && !isSameHolding(holder, route)) {
        learn(route.user, outcome.set);
        throw new Unavailable("routes-moved", "Cannot take over: the route has changed since");
      }
      book.add(route, outcome.revision);
      const own = book.find(route);
      const set = learn(route.user, outcome.set);
      if (own === undefined || book.find(route) === undefined) {
        throw new Unavailable("routes-lost", "Cannot take over: another session took the address");
      }
      own.isPublished = lease.isCurrent(leaseId);
      if (!own.isPublished) this.#publishLater(own);
      return set;
    });
  }

  /**
   * Does no harm twice: it was done if the route is ours afterwards. If nobody has the address then, our write may
   * have gone with the lease that it was on: it is written again, a step further if it had been done. So it is if
   * the owner of the copy has taken the step, and died before whoever has the copy was told.
   */
  async #takeOver(next: Route, seen: RouteSet, copy: CopyOrigin | undefined): Promise<TakenOver> {
    const firstId = this.#parts.lease.id;
    let route = next;
    let since: Since = { revision: seen.revision, isThere: seen.routes.some(isHolder(route)) };
    for (let mayBeOurs = false; ; ) {
      const { outcome, leaseId, wasInDoubt } = await this.#swap(route, since, copy, mayBeOurs);
      mayBeOurs ||= wasInDoubt;
      if (wasDone(outcome)) return { outcome, leaseId, route };
      const taker = takerIn(outcome);
      const isHeld = outcome.set.routes.some(isHolder(route));
      const isOpen = taker === undefined || taker === route.node;
      const isByOwner = taker !== undefined && taker === copy?.owner;
      if (wasInDoubt && !isHeld && isOpen) since = { revision: outcome.revision, isThere: false };
      else if (!isByOwner) {
        if (isHeld || taker === undefined) return { outcome, leaseId: firstId, route };
        throw new Unavailable("routes-gone-on", `Cannot take over: ${taker} has gone on with it`);
      }
      if (taker !== undefined) route = movedTo(route.node, route);
    }
  }

  /**
   * Whoever gives a session away takes it for ours from the moment it is written, so what is in doubt is tried
   * until etcd answers. A lease need not be held for that: it is once all is published, which may wait for this.
   * @param mayBeOurs an earlier step was in doubt: whoever gave the session away may have let it go
   */
  async #swap(
    route: Route,
    since: Since,
    copy: CopyOrigin | undefined,
    mayBeOurs: boolean,
  ): Promise<Swapped> {
    const { keys, lease, noteLease, writes, clock } = this.#parts;
    const valid = copy === undefined ? [] : [stillValid(keys, route.node, copy)];
    const step = stepTo(keys, route);
    const key = keys.route(route);
    for (let wasInDoubt = false; ; ) {
      try {
        const leaseId = mayBeOurs || wasInDoubt ? lease.provenId : lease.id;
        const noteLeaseId = await noteLease.id();
        const own = [put(key, encodeRoute(route), leaseId), ...step.take(noteLeaseId)];
        const what = { writes: own, besides: [...valid, ...step.isFree], otherwise: step.whoTook };
        const request = unlessWrittenSince(key, since, what);
        const outcome = await writes.run({ request, user: route.user });
        return { outcome, leaseId, wasInDoubt };
      } catch (error) {
        const hasNoLease = error instanceof Unavailable && error.code === "routes-lost-lease";
        if (writes.isClosed || (hasNoLease && !mayBeOurs && !wasInDoubt)) throw error;
        wasInDoubt ||= !hasNoLease;
        await pause(clock, TAKE_OVER_PAUSE_MS);
      }
    }
  }

  /** Whoever was given the session before cannot take the step any more, and has not taken it. */
  async renew(route: Route): Promise<RouteSet> {
    const { keys, noteLease, writes, lose } = this.#parts;
    const { isFree, take, whoTook } = stepTo(keys, route);
    const what = { writes: take(await noteLease.id()), otherwise: whoTook };
    const taker = takerIn(await writes.run({ request: conditional(isFree, what) }));
    if (taker === undefined || taker === route.node) return await this.update(route, true);
    lose(route, { ...route, node: taker });
    throw new Unavailable("routes-lost", "Cannot renew route: another node has gone on with it");
  }

  update(route: Route, isForced = false): Promise<RouteSet> {
    const { keys, lease, locks, book, learn, lose } = this.#parts;
    const key = keys.route(route);
    return locks.run(key, async () => {
      const own = book.find(route);
      if (own === undefined) {
        throw new Unavailable("routes-lost", "Cannot update route: it is not this session's");
      }
      const known = book.known(route.user);
      const isKnown = own.isPublished && isSame(own.route, route);
      if (isKnown && !isForced && known !== undefined) return known;
      const mayBeGone = !own.isPublished;
      own.route = route;
      own.isPublished = false;
      try {
        const { outcome, isOurs, holder } = await this.#write(own, lease.id, mayBeGone);
        if (!isOurs) lose(route, holder);
        const set = learn(route.user, outcome.set);
        if (isOurs) return set;
      } catch (error) {
        this.#publishLater(own);
        throw error;
      }
      throw new Unavailable("routes-lost", "Cannot update route: another session has it");
    });
  }

  unbind(route: Route): Promise<RouteSet> {
    const { keys, locks, book } = this.#parts;
    return locks.run(keys.route(route), async () => {
      const own = book.find(route);
      this.#forget(route);
      return this.#withdraw(route, own?.writtenAt).catch((error: unknown) => {
        this.#withdrawLater(route);
        throw error;
      });
    });
  }

  /** Puts every own route on the proven lease, where nobody else has taken it meanwhile. */
  async publishAll(): Promise<void> {
    const all = [...this.#parts.book.all()].filter(({ isPublished }) => !isPublished);
    for (let at = 0; at < all.length; at += PUBLISHED_AT_ONCE) {
      const some = all.slice(at, at + PUBLISHED_AT_ONCE);
      await Promise.all(some.map((own) => this.#publish(own)));
    }
  }

  #publishLater(own: OwnRoute): void {
    const { chores, keys } = this.#parts;
    chores.add(`publish ${keys.route(own.route)}`, () => this.#publish(own));
  }

  #publish(own: OwnRoute): Promise<void> {
    const { keys, lease, locks, book, learn, lose, tell } = this.#parts;
    return locks.run(keys.route(own.route), async () => {
      if (own.isPublished || book.find(own.route) !== own) return;
      const { outcome, isOurs, holder } = await this.#write(own, lease.provenId, true);
      if (!isOurs) lose(own.route, holder);
      tell(own.route.user, learn(own.route.user, outcome.set));
    });
  }

  /**
   * Writes the route while it is still this session's.
   * @param mayBeGone it was on a lease that has lapsed: that nobody has it is fine then, unless another node has
   *   gone on with the session, and has lost its lease since
   */
  async #write(own: OwnRoute, leaseId: string, mayBeGone: boolean): Promise<Written> {
    const { keys, lease, writes } = this.#parts;
    const key = keys.route(own.route);
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const { route } = own;
      const next = stepTo(keys, movedTo(route.node, route));
      const unlessTaken = mayBeGone ? { besides: next.isFree, otherwise: next.whoTook } : {};
      const what = { writes: [put(key, encodeRoute(route), leaseId)], ...unlessTaken };
      const request = whenWrittenAt(key, own.writtenAt, what);
      const outcome = await writes.run({ request, user: route.user });
      if (wasDone(outcome)) {
        own.writtenAt = outcome.revision;
        own.isPublished = lease.isCurrent(leaseId); // If not, it goes on the next one.
        return { outcome, isOurs: true };
      }
      const taker = takerIn(outcome);
      const onward = taker === undefined ? [] : [movedTo(taker, route)];
      const held = outcome.set.routes.filter(isHolder(route));
      const holder = [...held, ...onward].find((one) => !isSameHolding(one, route));
      const isGone = held.length === 0 && !mayBeGone;
      if (holder !== undefined || isGone) return { outcome, isOurs: false, holder };
      own.route = onward[0] ?? route; // A renewal may not have been written when the lease lapsed.
      // An earlier write of ours was done after all, or the key has lapsed: from there.
      own.writtenAt = outcome.writtenAt.get(route.resource) ?? 0;
    }
    throw new Unavailable("routes-unavailable", "Cannot write route: it keeps changing");
  }

  /**
   * Removes it from etcd while it is this session's.
   * @param writtenAt the revision of its last write, if we know it
   */
  async #withdraw(route: Route, writtenAt?: number): Promise<RouteSet> {
    const { keys, writes, book, learn, tellAll } = this.#parts;
    const { user, resource } = route;
    const key = keys.route(route);
    let revision = writtenAt;
    let hasReplaced = false;
    for (let attempt = 0; attempt < ATTEMPTS_MAX; attempt += 1) {
      const outcome =
        revision === undefined
          ? await writes.run({ user })
          : await writes.run({
              request: whenWrittenAt(key, revision, { writes: [remove(key)] }),
              user,
            });
      const isOurs = isSameHolding(outcome.set.routes.find(isHolder(route)), route);
      if (!isOurs || book.find(route) !== undefined) {
        const set = learn(user, outcome.set);
        if (hasReplaced) tellAll(user, set);
        return set;
      }
      revision = outcome.writtenAt.get(resource);
      // Written in doubt, in the place of another's, who has not heard of it.
      hasReplaced ||= writtenAt === undefined && outcome.madeAt.get(resource) !== revision;
    }
    throw new Unavailable("routes-unavailable", "Cannot remove route: it keeps changing");
  }

  #forget(route: Route): void {
    const { book, learn } = this.#parts;
    const set = book.remove(route);
    if (set === undefined) return;
    const routes = set.routes.filter((one) => !isSameHolding(one, route));
    learn(route.user, { ...set, routes });
  }

  #withdrawLater(route: Route): void {
    const { chores, keys, locks } = this.#parts;
    const key = keys.route(route);
    chores.add(`withdraw ${key} ${route.session}`, () =>
      locks.run(key, async () => {
        await this.#withdraw(route);
      }),
    );
  }
}

const isSame = (one: Route, other: Route): boolean =>
  one.available === other.available && one.priority === other.priority;
