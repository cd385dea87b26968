/**
 * Routes of users who have no session here: bounded, filled on use, corrected by revision. That a
 * user has no route is remembered only to refuse older news; it is never an answer.
 */
import { LRUCache } from "lru-cache";
import type { Route, RouteSet } from "./contract.ts";

/** Most users have a few resources; one with a thousand counts for as many users. */
const ROUTES_PER_USER = 4;

export class RouteCache {
  readonly #sets: LRUCache<string, RouteSet>;

  constructor(usersMax: number) {
    this.#sets = new LRUCache({
      max: usersMax,
      maxSize: usersMax * ROUTES_PER_USER,
      sizeCalculation: ({ routes }) => 1 + routes.length,
    });
  }

  /** How many users are remembered. */
  get size(): number {
    return this.#sets.size;
  }

  /** Undefined when nothing is known, or nobody. */
  get(user: string): RouteSet | undefined {
    const set = this.#sets.get(user);
    return set === undefined || set.routes.length === 0 ? undefined : set;
  }

  /** Of what was learnt of the user, be it that there is nobody; 0 when nothing was. */
  revisionOf(user: string): number {
    return this.#sets.peek(user)?.revision ?? 0;
  }

  /**
   * @param isComplete it has what is not in etcd, too, which a set of the same revision may lack
   * @returns the newest set: this one, or a newer one known already
   */
  learn(user: string, set: RouteSet, isComplete = false): RouteSet {
    const known = this.#sets.peek(user);
    if (known !== undefined && !isNews(set, known, isComplete)) return known;
    this.#sets.set(user, set);
    return set;
  }

  /** Forgets the user, and says what was known, be it nobody. */
  take(user: string): RouteSet | undefined {
    const set = this.#sets.peek(user);
    this.#sets.delete(user);
    return set;
  }

  /** It is not all, perhaps: whoever must know all reads it again. */
  doubt(user: string): void {
    this.#change(user, inDoubt);
  }

  doubtAll(): void {
    this.#changeAll(inDoubt);
  }

  /** The routes of a dead node are gone; what is left of a user may be nobody. */
  dropNode(incarnation: string, revision: number): void {
    this.#changeAll((set) => withoutNode(set, incarnation, revision));
  }

  /** Not while going through them: what is set comes last, and all that was passed would be next again. */
  #changeAll(change: (set: RouteSet) => RouteSet): void {
    for (const user of [...this.#sets.rkeys()]) this.#change(user, change);
  }

  #change(user: string, change: (set: RouteSet) => RouteSet): void {
    const set = this.#sets.peek(user);
    const changed = set && change(set);
    if (changed !== undefined && changed !== set) this.#sets.set(user, changed);
  }
}

const inDoubt = (set: RouteSet): RouteSet => ({ ...set, isPartial: true });

export const isNews = (set: RouteSet, known: RouteSet, isComplete: boolean): boolean =>
  set.revision > known.revision || (isComplete && set.revision === known.revision);

/**
 * The same set when the node has no part in it.
 * @param revision at which its routes went: what a later set says of it is true again
 */
export function withoutNode(set: RouteSet, incarnation: string, revision: number): RouteSet {
  if (set.revision >= revision) return set;
  if (!set.routes.some(({ node }) => node === incarnation)) return set;
  return { ...set, routes: set.routes.filter(({ node }) => node !== incarnation) };
}

/** With what nodes hold that is not in etcd: a resource that somebody has there is not theirs any more. */
export function together(set: RouteSet, theirs: readonly Route[]): RouteSet {
  const taken = new Set(set.routes.map(({ resource }) => resource));
  const besides = theirs.filter(({ resource }) => !taken.has(resource));
  return besides.length === 0 ? set : { ...set, routes: [...set.routes, ...besides] };
}
