/**
 * What sessions were passed over for that could not be found or reached, so that what is for all of their
 * user's sessions, or for one alone, went to the others, or to the store. The node that it came in at
 * remembers it. Was the session's node dead, whoever takes it over asks: see catch-up.ts. Is its node there,
 * after all, it is given it: see arrears.ts.
 */
import { LRUCache } from "lru-cache";
import type { Clock, Timer } from "../base/clock.ts";
import type { Route } from "../routes/contract.ts";
import { kept } from "../stanza/envelope.ts";
import type { Counters } from "./counters.ts";
import type { Job } from "./deliver.ts";
import { MISSED_MAX } from "./frames.ts";

/** How long the sessions of a node that is down may wait for who takes them over. */
const ORPHANED_MS = 60_000;
/** A lease lapses, its node is found dead, and its sessions are taken over. */
const KEPT_MS = 120_000;
/** A node that is back puts its routes on its new lease after its record. */
const PUBLISHED_MS = 1_000;
const SWEEP_MS = 10_000;
const MESSAGES_MAX = 20_000;
const QUEUE_MAX = 3 * MESSAGES_MAX;
const BYTES_MAX = 32 * 1024 * 1024;
/** Of one user: it goes in one frame. */
const USER_BYTES_MAX = 4 * 1024 * 1024;
/** Beside its bytes. */
const OVERHEAD_BYTES = 1_024;
const NODES_MAX = 1_000;
/** How often it is tried while all nodes answer: routes and leases may come back late. */
const TRIES_MAX = 8;
/** Stands for all that died before this node was there: nobody's incarnation. */
const UNSEEN = "";
/** Stands for all others while this node has no lease, and cannot know who has begun there. */
const ANYWHERE = "*";

export interface PassedOverParts {
  /** This node. */
  readonly self: string;
  readonly clock: Clock;
  readonly counters: Counters;
}

/** One message. */
interface Entry {
  readonly job: Job;
  /** Resources that got it, as it is now. */
  readonly took: Set<string>;
  readonly bytes: number;
  readonly untilMs: number;
  /** Nodes whose sessions were in no route. */
  nodes: ReadonlySet<string>;
  /** Those that were tried in vain, or not tried. */
  readonly sessions: Set<string>;
  /** Those of `nodes` that are back, whose sessions are not known yet. */
  back: readonly string[];
  /** How often it will be tried to give it to sessions whose nodes are there. */
  triesLeft: number;
}

interface UserEntries {
  /** In the order in which they came. */
  readonly entries: Set<Entry>;
  bytes: number;
}

export class PassedOver {
  readonly #parts: PassedOverParts;
  readonly #byUser = new Map<string, UserEntries>();
  /** By `took`, which a message has of its own. */
  readonly #all = new Map<ReadonlySet<string>, Entry>();
  /** Those that are to be tried, which is asked for once. */
  readonly #owed = new Set<Entry>();
  #onOwed: () => void = () => {};
  /** All of them from `#first` on, the oldest first, and some that are not for anybody any more. */
  #queue: Entry[] = [];
  #first = 0;
  readonly #timers = new Map<string, Timer>();
  /** Nodes that are back, and whose routes may not be yet. */
  readonly #publishing = new Set<string>();
  /** Nodes that are back with their routes, while others may still be taking over what they had before. */
  readonly #returned = new Set<string>();
  /** Nodes that this one has known; of those that were dead before, it has none. */
  readonly #seen = new LRUCache<string, true>({ max: NODES_MAX });
  /** Nodes whose sessions may be in no route. Never changed, but replaced. */
  #nodes: ReadonlySet<string> = new Set();
  #bytes = 0;
  #sweep: Timer | undefined;

  constructor(parts: PassedOverParts) {
    this.#parts = parts;
  }

  /** Messages that are remembered. */
  get size(): number {
    return this.#all.size;
  }

  /** @param onOwed something may be given to sessions whose nodes are there */
  listen(onOwed: () => void): void {
    this.#onOwed = onOwed;
  }

  /** Users with sessions that are there and may miss something. */
  get owing(): ReadonlySet<string> {
    return new Set([...this.#owed].map(({ job }) => job.user));
  }

  /** Whether there may be sessions that no route leads to. */
  get isLikely(): boolean {
    return this.#nodes.size > 0;
  }

  /** Whether there may be some of nodes that this one has known. */
  get hasDead(): boolean {
    return this.#nodes.size > (this.#nodes.has(UNSEEN) ? 1 : 0);
  }

  /** Whether that node's sessions may be. */
  isHiding(node: string): boolean {
    return this.#nodes.has(node);
  }

  /**
   * As whose session one that comes from that node may have been passed over; undefined: it was always to be found.
   * When a node is back with its routes, what its sessions missed is noted for each: others have begun there since,
   * or come from elsewhere. It is as one of this node's, then.
   */
  ownerOf(node: string): string | undefined {
    if (!this.isHiding(node)) return undefined;
    return this.#returned.has(node) ? this.#parts.self : node;
  }

  /** This node is new: others may have died before, whose sessions nobody has taken over yet. */
  begin(): void {
    this.nodeDown(UNSEEN);
  }

  nodeLapsed(node: string): void {
    // It was there since: what was passed over before that is nothing to the sessions it has now.
    if (this.#returned.delete(node) || !this.#nodes.has(node)) this.#forget(node);
    this.#seen.set(node, true);
    this.#stopTimer(node);
    this.#publishing.delete(node);
    this.#nodes = new Set([...this.#nodes, node]);
  }

  nodeDown(node: string): void {
    this.nodeLapsed(node);
    this.#timers.set(
      node,
      this.#parts.clock.after(ORPHANED_MS, () => this.nodeUp(node)),
    );
  }

  /** Or it has been dead for long. */
  nodeUp(node: string): void {
    this.#seen.set(node, true);
    this.#stopTimer(node);
    this.#returned.delete(node);
    if (this.#nodes.has(node)) this.#nodes = without(this.#nodes, node);
  }

  #forget(node: string): void {
    for (const entry of this.#all.values()) {
      if (entry.nodes.has(node)) entry.nodes = without(entry.nodes, node);
    }
  }

  /** This node cannot know of sessions that begin elsewhere. */
  leaseLost(): void {
    this.nodeLapsed(ANYWHERE);
  }

  leaseRegained(): void {
    this.nodeBack(ANYWHERE);
  }

  /** It went on, and has its sessions. */
  nodeBack(node: string): void {
    // Who had no lease when this node came to be is among those that it has not seen.
    const hidden = this.#seen.has(node) ? node : UNSEEN;
    if (!this.isHiding(hidden)) {
      this.nodeUp(node);
      return;
    }
    this.#seen.set(node, true);
    this.#publishing.add(node);
    this.#back(node, hidden);
    // If it was down, others may still be taking its sessions over.
    const isOrphaned = this.#timers.has(node);
    const timer = this.#parts.clock.after(PUBLISHED_MS, () => {
      const isStillBack = this.#publishing.delete(node);
      if (!isOrphaned) this.nodeUp(node);
      else if (isStillBack) this.#returned.add(node);
      this.#back(node, hidden);
    });
    if (!isOrphaned) this.#timers.set(node, timer);
  }

  #back(node: string, hidden: string): void {
    for (const entry of this.#all.values()) {
      if (!entry.nodes.has(hidden)) continue;
      // Who has begun meanwhile has from the store what nobody got.
      if (hidden === ANYWHERE && entry.took.size === 0) continue;
      entry.back = [...entry.back, node];
      this.#owe(entry);
    }
  }

  #stopTimer(node: string): void {
    this.#timers.get(node)?.cancel();
    this.#timers.delete(node);
  }

  /**
   * Again with each look at the routes.
   * @param took grows as long as it is being delivered
   * @param routes that lead nowhere, or may
   */
  add(job: Job, took: Set<string>, routes: readonly Route[]): void {
    const entry = this.#all.get(took) ?? this.#made(job, took);
    for (const { session } of routes) entry.sessions.add(session);
    if (routes.length > 0) this.#owe(entry);
    if (entry.nodes !== this.#nodes) entry.nodes = new Set([...entry.nodes, ...this.#nodes]);
  }

  /** Whether sessions of that user may miss something that are there. */
  isOwing(user: string): boolean {
    const known = this.#byUser.get(user);
    if (known === undefined) return false;
    for (const { sessions, back } of known.entries) {
      if (sessions.size + back.length > 0) return true;
    }
    return false;
  }

  /** Where a user's sessions are, from nodes that are back as well: who comes later missed nothing. */
  found(user: string, routes: readonly Route[]): void {
    for (const entry of this.#entriesOf(user)) {
      const { sessions, took } = entry;
      // The store has what nobody got, and gives it to who is alone.
      const isFromStore = routes.length < 2 && took.size === 0;
      const found = isFromStore ? [] : routes.filter((route) => isBack(entry, route));
      for (const { session } of found) sessions.add(session);
      entry.back = entry.back.filter((node) => this.#publishing.has(node));
    }
  }

  /** What that session misses, which is there after all. In order. */
  owedTo(route: Route): readonly Pick<Entry, "job" | "took">[] {
    return this.#entriesOf(route.user).filter(
      (entry) => entry.sessions.has(route.session) || isBack(entry, route),
    );
  }

  /** It was tried, with whoever is there; who still has not got it by then is there no more, or on a dead node. */
  tried(user: string): void {
    for (const entry of this.#entriesOf(user)) {
      entry.triesLeft -= 1;
      if (entry.triesLeft > 0) continue;
      if (this.isLikely) this.#owed.delete(entry);
      else this.remove(entry.took);
    }
  }

  /** In order. */
  #entriesOf(user: string): readonly Entry[] {
    return [...(this.#byUser.get(user)?.entries ?? [])];
  }

  #owe(entry: Entry): void {
    entry.triesLeft = TRIES_MAX;
    this.#owed.add(entry);
    this.#onOwed();
  }

  #made(job: Job, took: Set<string>): Entry {
    const { clock } = this.#parts;
    const bytes = kept(job.envelope).bytes.length + OVERHEAD_BYTES;
    const untilMs = clock.monotonicMs() + KEPT_MS;
    const sessions = new Set<string>();
    const entry = {
      job,
      took,
      bytes,
      untilMs,
      nodes: this.#nodes,
      sessions,
      back: [],
      triesLeft: 0,
    };
    const ofUser = this.#byUser.get(job.user) ?? { entries: new Set(), bytes: 0 };
    this.#byUser.set(job.user, ofUser);
    ofUser.entries.add(entry);
    ofUser.bytes += bytes;
    this.#all.set(took, entry);
    this.#queue.push(entry);
    this.#bytes += bytes;
    this.#bound(ofUser);
    this.#sweep ??= clock.after(SWEEP_MS, () => this.#expire());
    return entry;
  }

  /** It is for nobody any more. */
  remove(took: ReadonlySet<string>): void {
    const entry = this.#all.get(took);
    if (entry === undefined) return;
    const { user } = entry.job;
    this.#all.delete(took);
    this.#owed.delete(entry);
    this.#bytes -= entry.bytes;
    const ofUser = this.#byUser.get(user);
    if (ofUser === undefined) return;
    ofUser.entries.delete(entry);
    ofUser.bytes -= entry.bytes;
    if (ofUser.entries.size === 0) this.#byUser.delete(user);
  }

  /**
   * What came for a user while that session could not be found, in order, with the resources that got it.
   * @param route as it was at the node that is dead, or as it is
   */
  of(route: Route): readonly Pick<Entry, "job" | "took">[] {
    const all = this.#entriesOf(route.user);
    const isSeen = route.node === this.#parts.self || this.#seen.has(route.node);
    const node = isSeen ? route.node : UNSEEN;
    return all.filter(({ nodes, sessions }) => nodes.has(node) || sessions.has(route.session));
  }

  #bound(ofUser: UserEntries): void {
    while (ofUser.entries.size > MISSED_MAX || ofUser.bytes > USER_BYTES_MAX) {
      const [oldest] = ofUser.entries;
      this.#giveUp(oldest);
    }
    while (this.#all.size > MESSAGES_MAX || this.#bytes > BYTES_MAX) this.#giveUp(this.#oldest());
    if (this.#queue.length >= QUEUE_MAX) this.#oldest();
  }

  #giveUp(entry: Entry | undefined): void {
    if (entry === undefined) return;
    this.#parts.counters.passedOverLost += 1;
    this.remove(entry.took);
  }

  /** The first of a map is found slowly when many before it were deleted. */
  #oldest(): Entry | undefined {
    const isOver = (entry: Entry | undefined) => entry !== undefined && !this.#all.has(entry.took);
    while (isOver(this.#queue[this.#first])) this.#first += 1;
    if (this.#first >= MESSAGES_MAX || this.#queue.length >= QUEUE_MAX) {
      this.#queue = this.#queue.slice(this.#first).filter((entry) => !isOver(entry));
      this.#first = 0;
    }
    return this.#queue[this.#first];
  }

  #expire(): void {
    const { clock } = this.#parts;
    const isExpired = ({ untilMs }: Entry) => untilMs <= clock.monotonicMs();
    for (let entry = this.#oldest(); entry && isExpired(entry); entry = this.#oldest()) {
      this.remove(entry.took);
    }
    const isLeft = this.#all.size > 0;
    this.#sweep = isLeft ? clock.after(SWEEP_MS, () => this.#expire()) : undefined;
  }
}

/** Whether that session may be of a node that is back; it may have moved on from there since. */
const isBack = ({ back }: Entry, { node, moves = 0 }: Route): boolean =>
  back.includes(node) || back.includes(ANYWHERE) || (back.length > 0 && moves > 0);

const without = (nodes: ReadonlySet<string>, node: string): ReadonlySet<string> =>
  new Set([...nodes].filter((one) => one !== node));
