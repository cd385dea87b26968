/** One stanza of the server's for many: no account is asked, one frame goes to each node. */
import type { Logger } from "../base/log.ts";
import type { Route, RouteSet, Routes } from "../routes/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import { Jid } from "../stanza/jid.ts";
import type { Audience } from "./audience.ts";
import { CONNECTED } from "./audience.ts";
import type { Counters } from "./counters.ts";
import type { Deliverer, Job } from "./deliver.ts";
import { stampFor } from "./envelopes.ts";
import type { Exits } from "./exits.ts";
import type { Lanes } from "./lanes.ts";
import type { Line } from "./line.ts";

export interface FanOutParts {
  /** Domains that external components speak for: what is for them goes over the line. */
  readonly components: ReadonlySet<string>;
  readonly line: Pick<Line, "route">;
  readonly routes: Routes;
  readonly lanes: Lanes;
  readonly deliverer: Deliverer;
  readonly exits: Exits;
  readonly counters: Counters;
  readonly log: Logger;
}

interface Passenger {
  /** Takes the user if it is not sure that each of his resources got it. */
  readonly missed?: Set<string>;
  /** His routes, if they were looked up already. */
  readonly found?: RouteSet | Promise<RouteSet> | undefined;
  /** Nothing is on its way before, so they are as new as can be. */
  readonly isFirst?: boolean;
}

/** Nothing here rejects: who cannot be reached is logged, and named where somebody tells them again. */
export class FanOut {
  readonly #parts: FanOutParts;

  constructor(parts: FanOutParts) {
    this.#parts = parts;
  }

  /** @returns the users of whom it is not sure that each of their resources got it */
  broadcast(
    template: Envelope,
    users: Iterable<string>,
    exceptSession: string,
  ): ReadonlySet<string> | Promise<ReadonlySet<string>> {
    const waiting: Promise<void>[] = [];
    const missed = new Set<string>();
    const audience: Audience = { kind: "available", exceptSession };
    const { routes, lanes } = this.#parts;
    // Who is known to be away costs nothing more, unless something is on its way before.
    const isFirst = lanes.isIdle(template.from.full);
    // Who comes online after the lookup tells whoever asks himself: a probe may be looked up before
    // its turn has come, with the presence that it waits for.
    const isEarly = isFirst || template.type === "probe";
    // Elsewhere it may have become available since.
    const known = routes.isAlone ? exceptSession : "";
    // Started in one turn, so that lookups share transactions and recipients share frames.
    for (const user of users) {
      const isOwn = this.#componentOf(user) === undefined;
      const found = isEarly && isOwn ? routes.lookup(user) : undefined;
      if (found !== undefined && isNobody(found, known)) continue;
      if (found instanceof Promise) found.catch(() => undefined); // It may be asked for later.
      const done = this.#toUser(template, user, audience, { missed, found, isFirst });
      if (done !== undefined) waiting.push(done);
    }
    return waiting.length === 0 ? missed : Promise.all(waiting).then(() => missed);
  }

  async push(template: Envelope, user: string): Promise<void> {
    await this.#toUser(template, user, CONNECTED, {});
  }

  /**
   * Wherever the session goes on by now, if it was on that node when it asked.
   * @returns whether it is sure to have got there, or that there is nobody any more
   */
  async reply(template: Envelope, full: string, node: string): Promise<boolean> {
    const component = this.#componentOf(full);
    if (component !== undefined) {
      await this.#parts.line.route(stampFor(template, component));
      return true;
    }
    const user = full.slice(0, full.indexOf("/"));
    const resource = full.slice(user.length + 1);
    const plain = { copy: undefined, again: false, rerouted: false, remembered: false };
    const consignment = { envelope: template, origin: undefined, stamped: true, ...plain };
    const asked = { user, resource, session: "", available: true, priority: 0 };
    const passed = new Set<string>();
    let at: string | undefined = node;
    while (at !== undefined && !passed.has(at)) {
      const { kind } = await this.#parts.exits.send(consignment, { ...asked, node: at }, 0);
      if (kind !== "gone") return kind === "delivered";
      passed.add(at);
      const routes = await this.#read(user);
      if (routes === undefined) return false;
      at = routes.find((route) => route.resource === resource)?.node;
    }
    // A node may have been asked that is back, and was taken for dead.
    return at === undefined;
  }

  /** Never rejects. */
  async #read(user: string): Promise<readonly Route[] | undefined> {
    try {
      return (await this.#parts.routes.read(user)).routes;
    } catch (error) {
      this.#parts.log.warn({ err: error }, "cannot find a session that asked for presence");
      return undefined;
    }
  }

  /** The address, if it is one of a component. */
  #componentOf(address: string): Jid | undefined {
    const { components } = this.#parts;
    if (components.size === 0) return undefined;
    const jid = Jid.prepared(address);
    return components.has(jid.domain) ? jid : undefined;
  }

  #toUser(
    template: Envelope,
    user: string,
    audience: Audience,
    { missed, found, isFirst = true }: Passenger,
  ): void | Promise<void> {
    const { lanes, counters, log } = this.#parts;
    const component = this.#componentOf(user);
    if (component !== undefined) return this.#parts.line.route(stampFor(template, component));
    const from = template.from.full;
    if (lanes.isFull(from, user)) {
      counters.shed += 1;
      missed?.add(user);
      return;
    }
    const onMissed = missed && (() => void missed.add(user));
    const job = { envelope: template, user, audience, origin: undefined, stamped: true, onMissed };
    const done = lanes.run(from, user, () => this.#deliver(job, isFirst, found));
    return done?.catch((error: unknown) => {
      counters.failures += 1;
      missed?.add(user);
      log.warn({ err: error }, "cannot broadcast to a user");
    });
  }

  #deliver(
    job: Job,
    isFresh: boolean,
    found: RouteSet | Promise<RouteSet> = this.#parts.routes.lookup(job.user),
  ): void | Promise<void> {
    const { deliverer } = this.#parts;
    const deliver = (set: RouteSet, fresh: boolean): void | Promise<void> => {
      if (set.routes.length === 0) return;
      const outcome = deliverer.deliver(job, set, fresh);
      if (outcome instanceof Promise) return outcome.then(() => {});
    };
    return found instanceof Promise
      ? found.then((set) => deliver(set, isFresh))
      : deliver(found, false);
  }
}

const isNobody = (found: RouteSet | Promise<RouteSet>, exceptSession: string): boolean =>
  !(found instanceof Promise) && found.routes.every(({ session }) => session === exceptSession);
