/**
 * The other nodes that live. One whose record has gone from etcd has *lapsed*: it is dead, or could
 * only not renew its lease, and goes on with its sessions. It is asked: as long as it answers it is
 * not down. What it holds is not in etcd meanwhile, so that it is asked for that, too.
 */
import type { Clock, Timer } from "../base/clock.ts";
import { withDeadline } from "../base/deadline.ts";
import type { Logger } from "../base/log.ts";
import { together } from "./cache.ts";
import type { NodeRecord, OwnRoutes, Route, RouteSet } from "./contract.ts";

/**
 * Asks a node which sessions of a user it holds; of nobody, with "", only whether it is there.
 * Rejects when there was no answer. "gone": it is not there any more, or leaves; "broken": its
 * connection broke, or none could be made; "refused": nobody listens at its address.
 */
export type AskOwnRoutes = (
  incarnation: string,
  user: string,
) => Promise<OwnRoutes | "gone" | "broken" | "refused">;

export interface MembersOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Undefined: nobody can be asked, and who has lapsed is down. */
  readonly ask: AskOwnRoutes | undefined;
  /** Whether this node can prove its own. */
  readonly holdsLease: () => boolean;
  readonly onUp: (node: NodeRecord) => void;
  readonly onLapsed: (node: NodeRecord) => void;
  /** It has a lease again before it was down. */
  readonly onBack: (node: NodeRecord) => void;
  /** @param revision sets up to that one may name it, and are wrong about it */
  readonly onDown: (node: NodeRecord, revision: number) => void;
}

const ASK_MS = 500;
/** Questions in a row without an answer: a process that stands still for a moment is not dead. */
const MISSED_MAX = 3;
/** The first connection that broke may be one from long ago; the next is made anew. */
const BROKEN_MAX = 2;
/** A lookup waits no longer for what a lapsed node holds. */
const ANSWER_MS = 1_000;
/**
 * Nobody new can log in at a node without a lease, and what it cannot look up it stores. Clients
 * that have stayed with it for so long are better off elsewhere.
 */
const LAPSED_MAX_MS = 30_000;

interface Lapse {
  readonly node: NodeRecord;
  /** At which its routes were seen to be gone. */
  readonly revision: number;
  untilMs: number;
  missed: number;
  broken: number;
  /** It has a lease again; its routes may not be on it yet. */
  isBack: boolean;
  timer: Timer | undefined;
}

export class Members {
  readonly #options: MembersOptions;
  readonly #nodes = new Map<string, NodeRecord>();
  /** By incarnation. */
  readonly #lapses = new Map<string, Lapse>();
  #isStopped = false;
  #returns = 0;

  constructor(options: MembersOptions) {
    this.#options = options;
  }

  /** All that are not down. */
  get nodes(): ReadonlyMap<string, NodeRecord> {
    return this.#nodes;
  }

  /** Incarnations of those whose routes may not be in etcd. */
  get lapsed(): Iterable<string> {
    return this.#lapses.keys();
  }

  get withLease(): Iterable<string> {
    return [...this.#nodes.keys()].filter((node) => !this.#lapses.has(node));
  }

  /** How often a node's routes were all in etcd again: what was read there before may lack them. */
  get returns(): number {
    return this.#returns;
  }

  stop(): void {
    this.#isStopped = true;
    for (const { timer } of this.#lapses.values()) timer?.cancel();
    this.#lapses.clear();
  }

  /** Its record is in etcd. */
  up(node: NodeRecord): void {
    const lapse = this.#lapses.get(node.incarnation);
    if (lapse === undefined) {
      this.#nodes.set(node.incarnation, node);
      this.#options.onUp(node);
      return;
    }
    lapse.isBack = true;
    this.#options.log.info({ peer: node.incarnation }, "a node has its lease again");
    this.#options.onBack(node);
  }

  /** Its record has gone. */
  gone(node: NodeRecord, revision: number): void {
    this.#lapses.get(node.incarnation)?.timer?.cancel();
    const lapse = this.#begin(node, revision);
    this.#options.onLapsed(node);
    if (this.#options.ask === undefined) this.#over(lapse, "nobody can be asked");
    else this.#tick(lapse);
  }

  /** It has another lease, as it did if its record had gone unseen: its routes may not be on it yet. */
  renewed(node: NodeRecord, revision: number): void {
    if (this.#options.ask === undefined || this.#lapses.has(node.incarnation)) return;
    const lapse = this.#begin(node, revision);
    lapse.isBack = true;
    this.#tick(lapse);
  }

  #begin(node: NodeRecord, revision: number): Lapse {
    const untilMs = this.#options.clock.monotonicMs() + LAPSED_MAX_MS;
    const counts = { missed: 0, broken: 0 };
    const lapse: Lapse = { node, revision, untilMs, ...counts, isBack: false, timer: undefined };
    this.#lapses.set(node.incarnation, lapse);
    return lapse;
  }

  /**
   * What was read of a user's routes, with what lapsed nodes say that they hold: a resource that
   * somebody has in etcd is not theirs any more.
   * @param known of those who do not answer this counts
   */
  complete(user: string, set: RouteSet, known: RouteSet | undefined): RouteSet | Promise<RouteSet> {
    if (this.#lapses.size === 0) return set;
    const asked = [...this.#lapses.keys()].map((node) => this.#answerOf(node, user, known));
    // Who went down since it was asked holds nothing any more.
    const isThere = ({ node }: Route) => this.#nodes.has(node);
    return Promise.all(asked).then((answers) => {
      const found = answers.flatMap(({ routes }) => routes);
      return together(set, found.filter(isThere));
    });
  }

  /**
   * What all live nodes say that they hold of a user, for when etcd does not say it: of one resource
   * that several have, what stands on a lease.
   * @param own what this node holds
   * @param known of those who do not answer this counts
   */
  async held(user: string, own: OwnRoutes, known: RouteSet | undefined): Promise<readonly Route[]> {
    const asked = [...this.#nodes.keys()].map((node) => this.#answerOf(node, user, known));
    const all = [own, ...(await Promise.all(asked))];
    const byLease = all.toSorted((one, other) => +other.isPublished - +one.isPublished);
    const byResource = new Map<string, Route>();
    for (const route of byLease.flatMap(({ routes }) => routes)) {
      if (!byResource.has(route.resource)) byResource.set(route.resource, route);
    }
    return [...byResource.values()];
  }

  /** The session on a lapsed node that has this full address, if there is one. */
  async holder(route: Route, known: RouteSet | undefined): Promise<Route | undefined> {
    const { user, resource, session } = route;
    const { routes } = await this.complete(user, NO_ROUTES, known);
    return routes.find((one) => one.resource === resource && one.session !== session);
  }

  /** The same as `complete` for a set that was learnt by the way, and with what was known before. */
  keep(set: RouteSet, known: RouteSet | undefined): RouteSet {
    if (this.#lapses.size === 0 || known === undefined) return set;
    return together(
      set,
      known.routes.filter(({ node }) => this.#lapses.has(node)),
    );
  }

  /** Without what is not in etcd. */
  inEtcd(set: RouteSet): RouteSet {
    if (this.#lapses.size === 0) return set;
    const isThere = ({ node }: Route) => {
      const lapse = this.#lapses.get(node);
      return lapse === undefined || lapse.revision > set.revision;
    };
    return { ...set, routes: set.routes.filter(isThere) };
  }

  /** Never rejects. */
  async #answerOf(node: string, user: string, known: RouteSet | undefined): Promise<OwnRoutes> {
    const isTheirs = (route: Route) => route.node === node;
    const { ask, clock } = this.#options;
    try {
      const asked = ask?.(node, user) ?? Promise.resolve("gone" as const);
      const what = "ask a node for its routes";
      const answer = await withDeadline(asked, ANSWER_MS, "routes-timeout", what, clock);
      if (answer === "gone") return { routes: [], isPublished: false };
      if (typeof answer !== "string") return { ...answer, routes: answer.routes.filter(isTheirs) };
    } catch (error) {
      const reason = error instanceof Error ? error.message : String(error);
      this.#options.log.debug({ peer: node, reason }, "a node did not say what it holds");
    }
    return { routes: known?.routes.filter(isTheirs) ?? [], isPublished: false };
  }

  #tick(lapse: Lapse): void {
    const { clock, holdsLease } = this.#options;
    if (this.#isStopped || this.#lapses.get(lapse.node.incarnation) !== lapse) return;
    // Who has none itself knows nothing against it.
    if (!holdsLease()) lapse.untilMs = clock.monotonicMs() + LAPSED_MAX_MS;
    if (lapse.missed >= MISSED_MAX) this.#over(lapse, "it does not answer");
    else if (clock.monotonicMs() >= lapse.untilMs) this.#over(lapse, "it has no lease for long");
    else {
      lapse.missed += 1;
      // After a stall of this process: first what has arrived meanwhile, then the count.
      lapse.timer = clock.after(ASK_MS, () => void setImmediate(() => this.#tick(lapse)));
      void this.#ask(lapse);
    }
  }

  /** Never rejects. */
  async #ask(lapse: Lapse): Promise<void> {
    const { incarnation } = lapse.node;
    const asked = this.#options.ask?.(incarnation, "") ?? Promise.resolve("gone" as const);
    const answer = await asked.catch(() => undefined); // Counted as missed.
    if (answer === undefined || this.#lapses.get(incarnation) !== lapse) return;
    if (answer === "gone") {
      this.#over(lapse, "it has left");
    } else if (typeof answer === "string") {
      lapse.broken += 1;
      if (lapse.broken >= BROKEN_MAX) this.#over(lapse, "it cannot be reached");
      else await this.#ask(lapse);
    } else {
      lapse.missed = 0;
      lapse.broken = 0;
      if (!lapse.isBack || !answer.isPublished) return;
      this.#returns += 1;
      this.#end(lapse);
    }
  }

  #end({ node, timer }: Lapse): void {
    timer?.cancel();
    this.#lapses.delete(node.incarnation);
  }

  #over(lapse: Lapse, reason: string): void {
    this.#end(lapse);
    if (lapse.isBack) return;
    const { node } = lapse;
    const { ask, log, onDown } = this.#options;
    log.info({ peer: node.incarnation, reason }, "a node without a lease is down");
    this.#nodes.delete(node.incarnation);
    // What was completed with its routes is of any revision.
    onDown(node, ask === undefined ? lapse.revision : Number.POSITIVE_INFINITY);
  }
}

const NO_ROUTES: RouteSet = { revision: 0, routes: [] };
