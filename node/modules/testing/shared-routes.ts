/** One table of routes for many nodes of a test, with revisions, caches and weather, like etcd. */
import { Unavailable } from "../../base/errors.ts";
import type {
  Claim,
  Holder,
  NodeRecord,
  OwnRoutes,
  Route,
  RouteSet,
  Routes,
} from "../../routes/contract.ts";
import type { Weather } from "./weather.ts";

export class SharedRoutes {
  revision = 1;
  readonly #users = new Map<string, Map<string, Route>>();
  readonly #writtenAt = new Map<string, number>();
  readonly #claims = new Map<string, Holder & { readonly end: () => void }>();
  readonly #claimWatchers = new Set<(name: string) => void>();
  readonly #weather: Weather;
  isAway = false;

  constructor(weather: Weather) {
    this.#weather = weather;
  }

  snapshot(user: string): RouteSet {
    return { revision: this.revision, routes: [...(this.#users.get(user)?.values() ?? [])] };
  }

  users(): readonly string[] {
    return [...this.#users].filter(([, routes]) => routes.size > 0).map(([user]) => user);
  }

  /** The lease of a node lapsed. */
  expire(node: string): void {
    this.revision += 1;
    for (const routes of this.#users.values()) {
      for (const route of routes.values()) if (route.node === node) routes.delete(route.resource);
    }
    for (const [name, holder] of this.#claims) if (holder.node === node) this.#endClaim(name);
  }

  /** As the engines do it: if nothing was written about the full address since. */
  takeOver(route: Route, seen: RouteSet): void {
    const isIt = ({ resource }: Route) => resource === route.resource;
    const before = this.#users.get(route.user)?.get(route.resource);
    const isOld = (this.#writtenAt.get(keyOf(route)) ?? 0) <= seen.revision;
    if (seen.routes.some(isIt) !== (before !== undefined) || !isOld) {
      if (before?.session === route.session && before.node === route.node) return;
      throw new Unavailable("routes-moved", "Cannot take over: the route has changed since");
    }
    this.put(route);
  }

  put(route: Route): Route | undefined {
    this.revision += 1;
    this.#writtenAt.set(keyOf(route), this.revision);
    const routes = this.#users.get(route.user) ?? new Map<string, Route>();
    this.#users.set(route.user, routes);
    const before = routes.get(route.resource);
    routes.set(route.resource, route);
    return before;
  }

  change(route: Route, changed: Route | undefined): void {
    const routes = this.#users.get(route.user);
    const held = routes?.get(route.resource);
    if (routes === undefined || held?.session !== route.session || held.node !== route.node) return;
    this.revision += 1;
    this.#writtenAt.set(keyOf(route), this.revision);
    if (changed === undefined) routes.delete(route.resource);
    else routes.set(route.resource, changed);
  }

  claim(name: string, node: string): Claim | undefined {
    if (this.#claims.has(name)) return undefined;
    this.revision += 1;
    const token = this.revision;
    const over = new AbortController();
    this.#claims.set(name, { node, token, end: () => over.abort() });
    this.#tellOfClaim(name);
    return {
      name,
      token,
      get isHeld() {
        return !over.signal.aborted;
      },
      over: over.signal,
      [Symbol.asyncDispose]: async () => {
        over.abort();
        await this.#weather.wait();
        if (this.#claims.get(name)?.token === token) this.#endClaim(name);
      },
    };
  }

  watchClaim(name: string, onHolder: (holder: Holder | undefined) => void): () => void {
    const tell = (changed: string) => {
      if (changed === name) onHolder(this.#claims.get(name));
    };
    this.#claimWatchers.add(tell);
    tell(name);
    return () => void this.#claimWatchers.delete(tell);
  }

  #endClaim(name: string): void {
    this.#claims.get(name)?.end();
    this.#claims.delete(name);
    this.#tellOfClaim(name);
  }

  #tellOfClaim(name: string): void {
    for (const tell of [...this.#claimWatchers]) tell(name);
  }
}

const keyOf = ({ user, resource }: Route) => `${user}/${resource}`;

export const record = (incarnation: string): NodeRecord => ({
  incarnation,
  name: incarnation,
  meshHost: "127.0.0.1",
  meshPort: 1,
  version: "0.0.0-test",
  zone: "test",
});

export interface NodeRoutesParts {
  readonly shared: SharedRoutes;
  readonly weather: Weather;
  readonly self: string;
  readonly isLive: () => boolean;
  readonly notify: (node: string, user: string, set: RouteSet) => Promise<void>;
  /** A route of this node is another's now, or gone; told nobody if left out. */
  readonly onRouteLost?: (route: Route, holder: Route | undefined) => void;
}

/** The view of one node. */
export class NodeRoutes implements Routes {
  readonly self: NodeRecord;
  readonly holdsLease = true;
  tenure = "first";
  /** What the node that is given notice does. */
  onNotice: (user: string) => void = () => {};
  readonly nodes = new Map<string, NodeRecord>();
  readonly #parts: NodeRoutesParts;
  readonly #cache = new Map<string, RouteSet>();
  /** This node's, by session, with the revision at which they were written. */
  readonly #own = new Map<string, { readonly route: Route; readonly writtenAt: number }>();

  constructor(parts: NodeRoutesParts) {
    this.#parts = parts;
    this.self = record(parts.self);
  }

  async bind(route: Route) {
    let replaced: Route | undefined;
    const set = await this.#commit(route.user, () => {
      replaced = this.#parts.shared.put(route);
    });
    return { set, replaced: replaced?.session === route.session ? undefined : replaced };
  }

  update(route: Route): Promise<RouteSet> {
    return this.#commit(route.user, () => this.#parts.shared.change(route, route));
  }

  unbind(route: Route): Promise<RouteSet> {
    this.#own.delete(route.session);
    return this.#commit(route.user, () => this.#parts.shared.change(route, undefined));
  }

  takeOver(route: Route, seen: RouteSet): Promise<RouteSet> {
    return this.#commit(route.user, () => this.#parts.shared.takeOver(route, seen));
  }

  async renew(route: Route): Promise<RouteSet> {
    const set = await this.update(route);
    const isOurs = set.routes.some(
      ({ session, node }) => session === route.session && node === route.node,
    );
    if (isOurs) return set;
    throw new Unavailable("routes-lost", "Cannot renew: another node has it");
  }

  lookup(user: string): RouteSet | Promise<RouteSet> {
    return this.#cache.get(user) ?? this.read(user);
  }

  find(user: string, isFresh = false): RouteSet | Promise<RouteSet> {
    return isFresh ? this.read(user) : this.lookup(user);
  }

  async read(user: string): Promise<RouteSet> {
    const { shared, weather, isLive } = this.#parts;
    await weather.wait(isLive);
    if (shared.isAway) throw new Unavailable("routes-timeout", "Cannot read routes: no answer");
    const set = shared.snapshot(user);
    await weather.wait(isLive);
    this.learn(user, set);
    return set;
  }

  learn(user: string, set: RouteSet): void {
    const known = this.#cache.get(user);
    if (known !== undefined && known.revision > set.revision) return;
    if (set.routes.length === 0) this.#cache.delete(user);
    else this.#cache.set(user, set);
    this.#compare(user, set);
  }

  #compare(user: string, set: RouteSet): void {
    for (const [session, { route, writtenAt }] of this.#own) {
      if (route.user !== user || writtenAt > set.revision) continue;
      const holder = set.routes.find(({ resource }) => resource === route.resource);
      if (holder?.session === session && holder.node === route.node) continue;
      this.#own.delete(session);
      this.#parts.onRouteLost?.(route, holder);
    }
  }

  #note(user: string, set: RouteSet): void {
    for (const route of set.routes) {
      if (route.user !== user || route.node !== this.#parts.self) continue;
      this.#own.set(route.session, { route, writtenAt: set.revision });
    }
  }

  outdated(user: string): void {
    if (this.known(user) === undefined) this.#cache.delete(user); // The others are known exactly.
  }

  known(user: string): RouteSet | undefined {
    const set = this.#cache.get(user);
    return set?.routes.some((route) => route.node === this.#parts.self) ? set : undefined;
  }

  async claim(name: string): Promise<Claim | undefined> {
    const { shared, weather, isLive, self } = this.#parts;
    await weather.wait(isLive);
    if (shared.isAway) throw new Unavailable("routes-timeout", "Cannot claim: no answer");
    return shared.claim(name, self);
  }

  watchClaim(name: string, onHolder: (holder: Holder | undefined) => void): () => void {
    return this.#parts.shared.watchClaim(name, onHolder);
  }

  own(user: string): OwnRoutes {
    const routes = [...this.#own.values()].map(({ route }) => route);
    return { routes: routes.filter((route) => route.user === user), isPublished: true };
  }

  async *users(): AsyncIterable<string> {
    yield* this.#parts.shared.users();
  }

  async renounce(): Promise<void> {}

  async notice(_node: string, user: string): Promise<void> {
    this.onNotice(user);
  }

  refused(): void {}

  async renounced(): Promise<ReadonlyMap<string, number>> {
    return new Map();
  }

  ping(): Promise<void> {
    return Promise.resolve();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve();
  }

  /** What the watch does when a node is gone. */
  forget(node: string): void {
    this.nodes.delete(node);
    for (const [user, set] of this.#cache) {
      const routes = set.routes.filter((route) => route.node !== node);
      if (routes.length === set.routes.length) continue;
      if (routes.length === 0) this.#cache.delete(user);
      else this.#cache.set(user, { ...set, routes });
    }
  }

  async #commit(user: string, write: () => void): Promise<RouteSet> {
    const { shared, weather, isLive, self, notify } = this.#parts;
    await weather.wait(isLive);
    if (shared.isAway) throw new Unavailable("routes-timeout", "Cannot write routes: no answer");
    const before = shared.snapshot(user).routes;
    write();
    const set = shared.snapshot(user);
    await weather.wait(isLive);
    this.#note(user, set);
    this.learn(user, set);
    const others = new Set([...before, ...set.routes].map(({ node }) => node));
    others.delete(self);
    await Promise.allSettled([...others].map((node) => notify(node, user, set)));
    return set;
  }
}
