/** The routes of a node that is alone: nothing leaves the process, nothing can fail. */
import type { Clock } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import type {
  BindResult,
  Claim,
  NodeRecord,
  Route,
  RouteSet,
  Routes,
  RoutesEvents,
} from "./contract.ts";
import { ROUTES_MAX } from "./limits.ts";

export interface MemoryRoutesOptions {
  readonly self: NodeRecord;
  /** Never told of anything: there is no other node, and no lease. */
  readonly events: RoutesEvents;
  readonly clock: Clock;
}

const NOBODY: ReadonlyMap<string, Route> = new Map();

export function openMemoryRoutes(_options: MemoryRoutesOptions): Routes {
  return new MemoryRoutes();
}

class MemoryRoutes implements Routes {
  readonly nodes: ReadonlyMap<string, NodeRecord> = new Map();
  readonly #byUser = new Map<string, Map<string, Route>>();
  readonly #claims = new Set<string>();
  #revision = 0;

  async bind(route: Route): Promise<BindResult> {
    const routes = this.#byUser.get(route.user) ?? new Map<string, Route>();
    const before = routes.get(route.resource);
    if (before === undefined && routes.size >= ROUTES_MAX) {
      throw new Unavailable("routes-full", `Cannot bind: the user has ${ROUTES_MAX} resources`);
    }
    routes.set(route.resource, route);
    this.#byUser.set(route.user, routes);
    this.#revision += 1;
    const replaced = before?.session === route.session ? undefined : before;
    return { set: this.#set(route.user), replaced };
  }

  async update(route: Route): Promise<RouteSet> {
    if (!this.#isHeld(route)) {
      throw new Unavailable("routes-lost", "Cannot update route: it is not this session's");
    }
    this.#byUser.get(route.user)?.set(route.resource, route);
    this.#revision += 1;
    return this.#set(route.user);
  }

  async unbind(route: Route): Promise<RouteSet> {
    if (this.#isHeld(route)) {
      const routes = this.#byUser.get(route.user);
      routes?.delete(route.resource);
      if (routes?.size === 0) this.#byUser.delete(route.user);
      this.#revision += 1;
    }
    return this.#set(route.user);
  }

  lookup(user: string): RouteSet {
    return this.#set(user);
  }

  async read(user: string): Promise<RouteSet> {
    return this.#set(user);
  }

  /** Nobody else knows anything. */
  learn(): void {}

  known(user: string): RouteSet | undefined {
    return this.#byUser.has(user) ? this.#set(user) : undefined;
  }

  async claim(name: string): Promise<Claim | undefined> {
    const claims = this.#claims;
    if (claims.has(name)) return undefined;
    claims.add(name);
    let isHeld = true;
    return {
      name,
      get isHeld() {
        return isHeld;
      },
      async [Symbol.asyncDispose]() {
        if (isHeld) claims.delete(name);
        isHeld = false;
      },
    };
  }

  async ping(): Promise<void> {}

  async [Symbol.asyncDispose](): Promise<void> {
    this.#byUser.clear();
  }

  #isHeld({ user, resource, session }: Route): boolean {
    return this.#byUser.get(user)?.get(resource)?.session === session;
  }

  #set(user: string): RouteSet {
    const routes = [...(this.#byUser.get(user) ?? NOBODY).values()];
    return { revision: this.#revision, routes };
  }
}
