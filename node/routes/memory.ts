/** The routes of a node that is alone: nothing leaves the process, nothing can fail. */
import type { Clock } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import type {
  BindResult,
  Claim,
  Holder,
  NodeRecord,
  OwnRoutes,
  Route,
  RouteSet,
  Routes,
  RoutesEvents,
} from "./contract.ts";
import { isHolder } from "./contract.ts";
import { ROUTES_MAX, routesMaxOf } from "./limits.ts";

export interface MemoryRoutesOptions {
  readonly self: NodeRecord;
  /** Never told of anything: there is no other node, and no lease. */
  readonly events?: RoutesEvents;
  readonly clock: Clock;
  /** 1,000 if left out, which is the most. */
  readonly sessionsPerUserMax?: number;
}

const NONE: readonly Route[] = [];

export function openMemoryRoutes(options: MemoryRoutesOptions): Routes {
  return new MemoryRoutes(options.self, options.sessionsPerUserMax ?? ROUTES_MAX);
}

class MemoryRoutes implements Routes {
  readonly self: NodeRecord;
  readonly holdsLease = true;
  readonly tenure = "alone";
  readonly isAlone = true;
  readonly nodes: ReadonlyMap<string, NodeRecord> = new Map();
  /** Each list and each route is replaced, never changed: whoever looked a user up keeps what it saw. */
  readonly #byUser = new Map<string, readonly Route[]>();
  readonly #claims = new Map<string, Claim>();
  readonly #claimWatchers = new Set<(name: string) => void>();
  readonly #sessionsPerUserMax: number;
  #revision = 0;
  /** The set of everybody who is away, which most contacts are. */
  #nobody: RouteSet = { revision: 0, routes: NONE };

  constructor(self: NodeRecord, sessionsPerUserMax: number) {
    this.self = self;
    this.#sessionsPerUserMax = sessionsPerUserMax;
  }

  async bind(route: Route): Promise<BindResult> {
    const routes = this.#of(route.user);
    const before = routes.find(isHolder(route));
    const routesMax = routesMaxOf(route.user, this.#sessionsPerUserMax);
    if (before === undefined && routes.length >= routesMax) {
      throw new Unavailable("routes-full", `Cannot bind: the user has ${routesMax} resources`);
    }
    this.#put(route.user, [...without(routes, route), route]);
    const replaced = before?.session === route.session ? undefined : before;
    return { set: this.#set(route.user), replaced };
  }

  async update(route: Route): Promise<RouteSet> {
    if (!this.#isHeld(route)) {
      throw new Unavailable("routes-lost", "Cannot update route: it is not this session's");
    }
    const routes = this.#of(route.user);
    const isIt = isHolder(route);
    const written = { ...route };
    this.#put(
      route.user,
      routes.map((one) => (isIt(one) ? written : one)),
    );
    return this.#set(route.user);
  }

  async takeOver(route: Route, seen: RouteSet): Promise<RouteSet> {
    const routes = this.#of(route.user);
    const isIt = isHolder(route);
    if (routes.find(isIt) !== seen.routes.find(isIt)) {
      throw new Unavailable("routes-moved", "Cannot take over: the route has changed since");
    }
    this.#put(route.user, [...without(routes, route), route]);
    return this.#set(route.user);
  }

  renew(route: Route): Promise<RouteSet> {
    return this.update(route);
  }

  async unbind(route: Route): Promise<RouteSet> {
    if (this.#isHeld(route)) {
      const left = without(this.#of(route.user), route);
      if (left.length === 0) this.#byUser.delete(route.user);
      else this.#byUser.set(route.user, left);
      this.#revision += 1;
    }
    return this.#set(route.user);
  }

  lookup(user: string): RouteSet {
    return this.#set(user);
  }

  find(user: string): RouteSet {
    return this.lookup(user);
  }

  async read(user: string): Promise<RouteSet> {
    return this.#set(user);
  }

  /** Nobody else knows anything. */
  learn(): void {}

  outdated(): void {}

  known(user: string): RouteSet | undefined {
    const routes = this.#byUser.get(user);
    return routes && { revision: this.#revision, routes };
  }

  own(user: string): OwnRoutes {
    return { routes: this.#of(user), isPublished: true };
  }

  async *users(): AsyncIterable<string> {
    yield* [...this.#byUser.keys()];
  }

  async claim(name: string): Promise<Claim | undefined> {
    if (this.#claims.has(name)) return undefined;
    this.#revision += 1;
    const given = new AbortController();
    const claim: Claim = {
      name,
      token: this.#revision,
      get isHeld() {
        return !given.signal.aborted;
      },
      over: given.signal,
      [Symbol.asyncDispose]: async () => {
        if (given.signal.aborted) return;
        this.#claims.delete(name);
        given.abort();
        this.#tellOf(name);
      },
    };
    this.#claims.set(name, claim);
    this.#tellOf(name);
    return claim;
  }

  watchClaim(name: string, onHolder: (holder: Holder | undefined) => void): () => void {
    const tell = (changed: string) => {
      if (changed !== name) return;
      const claim = this.#claims.get(name);
      onHolder(claim && { node: this.self.incarnation, token: claim.token });
    };
    this.#claimWatchers.add(tell);
    tell(name);
    return () => void this.#claimWatchers.delete(tell);
  }

  #tellOf(claim: string): void {
    for (const tell of [...this.#claimWatchers]) tell(claim);
  }

  async ping(): Promise<void> {}

  async renounce(): Promise<void> {}

  async notice(): Promise<void> {}

  refused(): void {}

  async renounced(): Promise<ReadonlyMap<string, number>> {
    return new Map();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const claim of [...this.#claims.values()]) await claim[Symbol.asyncDispose]();
    this.#byUser.clear();
  }

  #of(user: string): readonly Route[] {
    return this.#byUser.get(user) ?? NONE;
  }

  #put(user: string, routes: readonly Route[]): void {
    this.#revision += 1;
    this.#byUser.set(user, routes);
  }

  #isHeld({ user, resource, session, node }: Route): boolean {
    const held = this.#of(user).find((one) => one.resource === resource);
    return held?.session === session && held.node === node;
  }

  #set(user: string): RouteSet {
    const revision = this.#revision;
    const routes = this.#byUser.get(user);
    if (routes !== undefined) return { revision, routes };
    if (this.#nobody.revision !== revision) this.#nobody = { revision, routes: NONE };
    return this.#nobody;
  }
}

const without = (routes: readonly Route[], { resource }: Route): readonly Route[] =>
  routes.filter((one) => one.resource !== resource);
