/**
 * The routes of a cluster, in etcd. This file puts the parts together: the lease (lease.ts) that
 * carries all keys of this node, the writer of its own routes (publisher.ts), what is known of
 * users with sessions here (book.ts) and of others (cache.ts), the other nodes (node-watch.ts), and
 * what they are told (siblings.ts, notices.ts).
 */
import type { Clock } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import { Locks } from "../base/locks.ts";
import type { Logger } from "../base/log.ts";
import { silentLog } from "../base/log.ts";
import type { Random } from "../base/random.ts";
import { systemRandom } from "../base/random.ts";
import { Book } from "./book.ts";
import { RouteCache } from "./cache.ts";
import { Chores } from "./chores.ts";
import { Claims } from "./claim.ts";
import type { EtcdClient, EtcdClientOptions } from "./client.ts";
import { isLeaseGone, openClient, unavailable } from "./client.ts";
import type {
  BindResult,
  Claim,
  CopyOrigin,
  Holder,
  NodeRecord,
  OwnRoutes,
  Route,
  RouteSet,
  Routes,
  RoutesEvents,
  RoutesGauges,
} from "./contract.ts";
import { isHolder } from "./contract.ts";
import { encodeNode, Keys } from "./keys.ts";
import { LeaseKeeper } from "./lease.ts";
import { ROUTES_MAX } from "./limits.ts";
import type { AskOwnRoutes } from "./members.ts";
import { Members } from "./members.ts";
import { NodeWatch } from "./node-watch.ts";
import { NoteLease } from "./note-lease.ts";
import { Notices } from "./notices.ts";
import { Publisher } from "./publisher.ts";
import { Refusals } from "./refusals.ts";
import type { NotifySiblings } from "./siblings.ts";
import { Siblings } from "./siblings.ts";
import { Transactions } from "./transactions.ts";
import { listUsers } from "./users.ts";
import { VoidCopies } from "./void-copies.ts";

/** How often nodes may come and go between two reads, before what is known of them counts. */
const LOOKS_MAX = 4;
/** Users whom all nodes may be asked for at once. */
const ASKING_MAX = 100;

export interface EtcdRoutesOptions extends EtcdClientOptions {
  readonly self: NodeRecord;
  /** All keys start with it, e.g. "/zonda/". */
  readonly prefix: string;
  /** How long after its death this node's routes are still found. */
  readonly leaseSeconds: number;
  readonly events: RoutesEvents;
  readonly clock: Clock;
  /** Users without a session here whose routes are remembered at most. */
  readonly cacheUsersMax: number;
  readonly notifySiblings: NotifySiblings;
  /** How a node is asked whose lease has lapsed; such a node counts as dead if left out. */
  readonly askOwnRoutes?: AskOwnRoutes;
  /** How another node is asked whether a third refuses its connections. */
  readonly isRefused?: (via: string, node: string) => Promise<boolean>;
  /** 1,000 if left out, which is the most. */
  readonly sessionsPerUserMax?: number;
  readonly log?: Logger;
  readonly random?: Random;
  /** Makes the client; the real one if left out. */
  readonly connect?: (options: EtcdClientOptions) => EtcdClient;
}

export interface EtcdRoutes extends Routes {
  readonly gauges: RoutesGauges;
}

/**
 * Joins the cluster: the node record is published, and the other nodes are known, when it resolves.
 * Events may be told before that.
 * @throws Unavailable: etcd did not answer, or refused; ConfigError: an endpoint cannot be used
 */
export async function openEtcdRoutes(options: EtcdRoutesOptions): Promise<EtcdRoutes> {
  const engine = new Engine(options);
  try {
    await engine.start();
  } catch (error) {
    await engine[Symbol.asyncDispose]();
    throw unavailable("join the cluster", error);
  }
  return engine;
}

class Engine implements EtcdRoutes {
  readonly #options: EtcdRoutesOptions;
  readonly #client: EtcdClient;
  readonly #keys: Keys;
  readonly #lease: LeaseKeeper;
  readonly #reads: Transactions;
  readonly #writes: Transactions;
  readonly #watch: NodeWatch;
  readonly #members: Members;
  readonly #publisher: Publisher;
  readonly #siblings: Siblings;
  readonly #notices: Notices;
  readonly #cache: RouteCache;
  readonly #chores: Chores;
  readonly #claims: Claims;
  readonly #voids: VoidCopies;
  readonly #refusals: Refusals;
  readonly #book = new Book();
  readonly #locks = new Locks();
  #isLeaving = false;
  /** Users whom all nodes are asked for at this moment. */
  #asking = 0;

  constructor(options: EtcdRoutesOptions) {
    const { clock, requestTimeoutMs, events, self } = options;
    const log = (options.log ?? silentLog).child({ room: "routes" });
    this.#options = options;
    const client = (options.connect ?? openClient)(options);
    this.#client = client;
    const keys = new Keys(options.prefix);
    this.#keys = keys;
    this.#cache = new RouteCache(options.cacheUsersMax);
    this.#chores = new Chores(clock);
    this.#lease = new LeaseKeeper({
      leases: client.leaseClient,
      ttlSeconds: options.leaseSeconds,
      clock,
      log,
      publish: (leaseId) => this.#publish(leaseId),
      onUnproven: () => this.#book.unpublish(),
      onLost: () => {
        this.#claims.loseAll();
        events.onLeaseLost();
      },
      onRegained: () => {
        // Whoever has bound meanwhile could see neither this node's sessions nor those of others without a lease.
        this.#cache.doubtAll();
        events.onLeaseRegained();
      },
    });
    const noteLease = new NoteLease(client.leaseClient, clock);
    const onFailure = (error: unknown) => {
      if (!isLeaseGone(error)) return;
      noteLease.forget();
      this.#lease.onGone();
    };
    const common = { kv: client.kv, keys, clock, requestTimeoutMs, onFailure };
    this.#reads = new Transactions({ ...common, what: "read routes", countsNodes: true });
    this.#writes = new Transactions({ ...common, what: "write routes" });
    const parts = {
      ...{ client, keys, lease: this.#lease, locks: this.#locks, writes: this.#writes },
      ...{ self: self.incarnation, clock, log, requestTimeoutMs, noteLease },
    };
    const onNotice = (user: string) => {
      this.#noticed(user);
      events.onNotice(user);
    };
    this.#notices = new Notices({ ...parts, onNotice });
    const notice = (node: string, user: string) => this.#notices.give(node, user);
    this.#siblings = new Siblings(options.notifySiblings, notice, clock, log);
    this.#publisher = new Publisher({
      ...parts,
      chores: this.#chores,
      sessionsPerUserMax: options.sessionsPerUserMax ?? ROUTES_MAX,
      book: this.#book,
      learn: (user, set) => this.#learn(user, set),
      tell: (user, set) => void this.#tell(user, set, []),
      tellAll: (user, set) => void this.#siblings.tell(this.nodes.keys(), user, set),
      lose: (route, holder) => this.#lose(route, holder),
    });
    const random = options.random ?? systemRandom;
    this.#claims = new Claims({ ...parts, chores: this.#chores, random });
    this.#voids = new VoidCopies(parts);
    this.#members = this.#newMembers(log);
    this.#watch = this.#newWatch(log);
    this.#refusals = new Refusals({
      ask: options.askOwnRoutes ?? (async () => "gone"),
      isRefused: options.isRefused ?? (async () => false),
      nodes: () => this.#members.withLease,
      revoke: (node) => this.#revoke(node),
      ...{ clock, log },
    });
  }

  #newWatch(log: Logger): NodeWatch {
    const { clock, requestTimeoutMs, self } = this.#options;
    return new NodeWatch({
      client: this.#client,
      keys: this.#keys,
      self: self.incarnation,
      ...{ clock, log, requestTimeoutMs },
      onUp: (node) => this.#members.up(node),
      onRenewed: (node, revision) => this.#members.renewed(node, revision),
      onDown: (node, revision) => this.#members.gone(node, revision),
    });
  }

  #newMembers(log: Logger): Members {
    const { events, clock, askOwnRoutes } = this.#options;
    return new Members({
      clock,
      log,
      ask: askOwnRoutes,
      holdsLease: () => this.#lease.isHeld,
      onUp: (node) => events.onNodeUp(node),
      onLapsed: (node) => events.onNodeLapsed(node),
      onBack: (node) => events.onNodeBack(node),
      onDown: (node, revision) => this.#onNodeDown(node, revision),
    });
  }

  async start(): Promise<void> {
    await this.#lease.start();
    await this.#watch.start();
    this.#notices.begin();
  }

  get self(): NodeRecord {
    return this.#options.self;
  }

  get holdsLease(): boolean {
    return this.#lease.isHeld;
  }

  get tenure(): string {
    return this.#lease.tenure;
  }

  get nodes(): ReadonlyMap<string, NodeRecord> {
    return this.#members.nodes;
  }

  get gauges(): RoutesGauges {
    return {
      cachedUsers: this.#cache.size,
      knownUsers: this.#book.users,
      chores: this.#chores.size,
    };
  }

  async bind(route: Route): Promise<BindResult> {
    const before = this.#newest(route.user);
    const { replaced: inEtcd, set } = await this.#publisher.bind(route);
    const replaced = inEtcd ?? (await this.#members.holder(route, before));
    const others = [...(before?.routes ?? []), ...(replaced ? [replaced] : [])];
    await this.#tell(route.user, set, others);
    // It may have been lost meanwhile, when nobody knew the session yet.
    if (this.#book.find(route) === undefined) {
      throw new Unavailable("routes-lost", "Cannot bind: the route was lost meanwhile");
    }
    return { set, replaced };
  }

  async update(route: Route): Promise<RouteSet> {
    const before = this.#newest(route.user);
    const set = await this.#publisher.update(route);
    if (set !== before) await this.#tell(route.user, set, before?.routes ?? []);
    return set;
  }

  async unbind(route: Route): Promise<RouteSet> {
    const before = this.#newest(route.user);
    const set = await this.#publisher.unbind(route);
    await this.#tell(route.user, set, before?.routes ?? []);
    return set;
  }

  async takeOver(route: Route, seen: RouteSet, copy?: CopyOrigin): Promise<RouteSet> {
    const before = this.#newest(route.user);
    const set = await this.#publisher.takeOver(route, this.#members.inEtcd(seen), copy);
    await this.#tell(route.user, set, [...(before?.routes ?? []), ...seen.routes]);
    return set;
  }

  renew(route: Route): Promise<RouteSet> {
    return this.#publisher.renew(route);
  }

  lookup(user: string): RouteSet | Promise<RouteSet> {
    const known = this.#newest(user);
    const isEnough = known !== undefined && known.routes.length > 0 && known.isPartial !== true;
    return isEnough ? known : this.read(user);
  }

  async read(user: string): Promise<RouteSet> {
    for (let look = 1; ; look += 1) {
      const { returns } = this.#members;
      const { set, nodes } = await this.#reads.run({ user });
      // Who has lapsed unseen would not be asked for what it holds.
      if (nodes !== undefined && !this.#watch.isCurrent(nodes) && look < LOOKS_MAX) {
        await this.#catchUp();
        continue;
      }
      const whole = await this.#members.complete(user, set, this.#newest(user));
      if (this.#book.lacks(user, whole)) await this.#lease.check();
      if (this.#members.returns === returns) return this.#learn(user, whole, true);
    }
  }

  find(user: string, isFresh = false): RouteSet | Promise<RouteSet> {
    const known = isFresh ? undefined : this.#newest(user);
    return known !== undefined && known.routes.length > 0 ? known : this.#find(user);
  }

  learn(user: string, set: RouteSet): void {
    if (this.#book.lacks(user, set)) this.#noticed(user);
    else this.#learn(user, set);
  }

  outdated(user: string): void {
    this.#cache.doubt(user);
  }

  known(user: string): RouteSet | undefined {
    return this.#book.known(user);
  }

  own(user: string): OwnRoutes {
    if (this.#isLeaving) {
      throw new Unavailable("routes-leaving", "Cannot say what is here: this node is leaving");
    }
    return { routes: this.#book.ownOf(user), isPublished: this.#lease.isHeld };
  }

  claim(name: string): Promise<Claim | undefined> {
    return this.#claims.take(name);
  }

  watchClaim(name: string, onHolder: (holder: Holder | undefined) => void): () => void {
    return this.#claims.watch(name, onHolder);
  }

  notice(node: string, user: string): Promise<void> {
    return this.#notices.give(node, user);
  }

  refused(node: string): void {
    if (this.#lease.isHeld) void this.#refusals.seen(node);
  }

  users(): AsyncIterable<string> {
    return listUsers(this.#client.kv, this.#keys);
  }

  async ping(): Promise<void> {
    if (!this.#lease.isHeld) {
      throw new Unavailable("routes-lost-lease", "Cannot reach etcd: this node has no lease");
    }
    const key = Buffer.from(this.#keys.node(this.#options.self.incarnation));
    try {
      await this.#client.kv.range({ key, count_only: true });
    } catch (error) {
      throw unavailable("reach etcd", error);
    }
  }

  renounce(node: string, term: number): Promise<void> {
    return this.#voids.renounce(node, term);
  }

  renounced(): Promise<ReadonlyMap<string, number>> {
    return this.#voids.renounced();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isLeaving = true;
    this.#watch.stop();
    this.#notices.stop();
    this.#members.stop();
    this.#claims.close();
    this.#chores.close();
    this.#siblings.close();
    await this.#lease.stop();
    this.#reads.close();
    this.#writes.close();
    this.#voids.close();
    this.#client.close();
  }

  /** All that stands on its lease vanishes. */
  async #revoke(node: string): Promise<void> {
    const { kv, leaseClient } = this.#client;
    const { kvs } = await kv.range({ key: Buffer.from(this.#keys.node(node)) });
    const lease = kvs[0]?.lease;
    if (lease !== undefined) await leaseClient.leaseRevoke({ ID: lease });
  }

  async #catchUp(): Promise<void> {
    await this.#watch.catchUp().catch((error: unknown) => {
      throw unavailable("learn which nodes there are", error);
    });
  }

  /** The routes of a user, from etcd or failing that from the nodes. */
  async #find(user: string): Promise<RouteSet> {
    const read = this.read(user);
    read.catch(() => undefined); // It may fail while the nodes are asked, before anybody waits for it.
    // Nobody waits for what does not answer; but the read tells when it answers again.
    const held = this.#reads.isFailing ? await this.#heldByNodes(user) : undefined;
    if (held !== undefined) return held;
    return await read.catch(async (error: unknown) => {
      const late = await this.#heldByNodes(user);
      if (late === undefined) throw error;
      return late;
    });
  }

  /** Undefined: nobody that is known of, or too many ask. */
  async #heldByNodes(user: string): Promise<RouteSet | undefined> {
    if (this.#asking >= ASKING_MAX || this.#isLeaving) return undefined;
    this.#asking += 1;
    try {
      const known = this.#newest(user);
      const routes = await this.#members.held(user, this.own(user), known);
      if (routes.length === 0) return undefined;
      // By an old revision, so that each node that knows better says so. What we hold stays exact.
      const revision = known?.revision ?? this.#cache.revisionOf(user);
      const set = { revision, routes, isPartial: true };
      return this.#book.known(user) === undefined ? this.#cache.learn(user, set, true) : set;
    } finally {
      this.#asking -= 1;
    }
  }

  /** Everything that stands on the lease. */
  async #publish(leaseId: string): Promise<void> {
    const { self } = this.#options;
    const key = Buffer.from(this.#keys.node(self.incarnation));
    await this.#client.kv.put({ key, value: encodeNode(self), lease: leaseId });
    await this.#publisher.publishAll();
  }

  #newest(user: string): RouteSet | undefined {
    const exact = this.#book.known(user);
    const cached = this.#cache.get(user); // With the first session here it is the newer one yet.
    if (exact === undefined || cached === undefined) return exact ?? cached;
    return cached.revision > exact.revision ? cached : exact;
  }

  /**
   * Where the set belongs, unless a newer one is there. @returns the newest known
   * @param isComplete nodes whose lease has lapsed were asked, too
   */
  #learn(user: string, learnt: RouteSet, isComplete = false): RouteSet {
    const set = isComplete ? learnt : this.#members.keep(learnt, this.#newest(user));
    if (this.#book.known(user) === undefined) return this.#cache.learn(user, set, isComplete);
    const cached = this.#cache.take(user); // From before the first session here.
    const newest = cached !== undefined && cached.revision > set.revision ? cached : set;
    for (const route of this.#book.learn(user, newest, isComplete)) {
      this.#lose(route, newest.routes.find(isHolder(route)));
    }
    return this.#book.known(user) ?? newest;
  }

  /** @param holder who has its address now */
  #lose(route: Route, holder: Route | undefined): void {
    if (this.#book.find(route) === undefined) return;
    const set = this.#book.remove(route);
    if (set !== undefined) this.#cache.learn(route.user, set);
    this.#options.events.onRouteLost(route, holder);
  }

  /** The other nodes that hold, or held until now, sessions of the user. */
  #tell(user: string, set: RouteSet, before: readonly Route[]): Promise<void> {
    const told = new Set([...set.routes, ...before].map(({ node }) => node));
    // They may hold what is not in the set.
    for (const node of this.#members.lapsed) told.add(node);
    told.delete(this.#options.self.incarnation);
    return this.#siblings.tell(told, user, set);
  }

  /** Of whom sessions are here all is known: another node has changed it, and could not say so. */
  #noticed(user: string): void {
    if (this.#book.known(user) !== undefined) this.read(user).catch(() => undefined);
  }

  #onNodeDown(node: NodeRecord, revision: number): void {
    this.#cache.dropNode(node.incarnation, revision);
    this.#book.dropNode(node.incarnation, revision);
    this.#siblings.dropNode(node.incarnation);
    this.#options.events.onNodeDown(node);
  }
}
