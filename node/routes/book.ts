/** This node's own routes, and the exact set of every user who has one. Bounded by its sessions. */
import { isNews, together, withoutNode } from "./cache.ts";
import type { Route, RouteSet } from "./contract.ts";
import { isHolder } from "./contract.ts";

export interface OwnRoute {
  /** As it should be in etcd. */
  route: Route;
  /** The revision of its last write that we know of. */
  writtenAt: number;
  /** It is in etcd, on the present lease, as `route` says. */
  isPublished: boolean;
}

interface Page {
  readonly own: Map<string, OwnRoute>;
  set: RouteSet;
}

export class Book {
  readonly #pages = new Map<string, Page>();

  /** Users with a session here. */
  get users(): number {
    return this.#pages.size;
  }

  known(user: string): RouteSet | undefined {
    return this.#pages.get(user)?.set;
  }

  /** Our entry of this very session. */
  find({ user, resource, session, node }: Route): OwnRoute | undefined {
    const own = this.#pages.get(user)?.own.get(resource);
    return own?.route.session === session && own.route.node === node ? own : undefined;
  }

  /** Replaces any other session of the same full address. */
  add(route: Route, revision: number): void {
    const page = this.#pages.get(route.user) ?? {
      own: new Map(),
      set: { revision: 0, routes: [] },
    };
    page.own.set(route.resource, { route, writtenAt: revision, isPublished: true });
    this.#pages.set(route.user, page);
  }

  /** @returns the user's set when this was the last session here: it is not kept exact any more */
  remove(route: Route): RouteSet | undefined {
    const page = this.#pages.get(route.user);
    if (page === undefined || this.find(route) === undefined) return undefined;
    page.own.delete(route.resource);
    if (page.own.size > 0) return undefined;
    this.#pages.delete(route.user);
    return page.set;
  }

  /** Our routes of a user, as they should be in etcd. */
  ownOf(user: string): readonly Route[] {
    return [...(this.#pages.get(user)?.own.values() ?? [])].map(({ route }) => route);
  }

  /**
   * Takes a newer set of a user. @returns our routes that are not in it though they should be
   * @param isComplete see RouteCache
   */
  learn(user: string, set: RouteSet, isComplete = false): readonly Route[] {
    const page = this.#pages.get(user);
    if (page === undefined) return [];
    if (isNews(set, page.set, isComplete)) page.set = together(set, unpublishedIn(page));
    const holders = new Map(page.set.routes.map((route) => [route.resource, route]));
    const lost: Route[] = [];
    for (const { route, writtenAt, isPublished } of page.own.values()) {
      if (writtenAt > page.set.revision) continue;
      const holder = holders.get(route.resource);
      const isOurs = holder?.session === route.session && holder.node === route.node;
      // Without a lease it is fine that nobody has it.
      if (!isOurs && (isPublished || holder !== undefined)) lost.push(route);
    }
    return lost;
  }

  /** Whether a set lacks a route of ours that should be in it, and nobody has its address: our lease may be gone. */
  lacks(user: string, { revision, routes }: RouteSet): boolean {
    const own = [...(this.#pages.get(user)?.own.values() ?? [])];
    return own.some(({ route, writtenAt, isPublished }) => {
      return isPublished && writtenAt <= revision && !routes.some(isHolder(route));
    });
  }

  /** Everything was on a lease that we lost. */
  unpublish(): void {
    for (const own of this.all()) own.isPublished = false;
  }

  *all(): Generator<OwnRoute> {
    for (const { own } of this.#pages.values()) yield* own.values();
  }

  dropNode(incarnation: string, revision: number): void {
    for (const page of this.#pages.values()) {
      page.set = withoutNode(page.set, incarnation, revision);
    }
  }
}

/** For want of a lease they are not in etcd, and are here all the same. */
const unpublishedIn = ({ own }: Page): readonly Route[] =>
  [...own.values()].filter(({ isPublished }) => !isPublished).map(({ route }) => route);
