/**
 * What sessions on dead nodes were passed over for. Until another node has taken such a session over it
 * cannot be found, so that what is for all of its user's sessions, or for it alone, goes to the others, or
 * to the store. The node that it came in at remembers it, for whoever takes the session over and asks:
 * see catch-up.ts.
 */
import { LRUCache } from "lru-cache";
import type { Clock, Timer } from "../base/clock.ts";
import type { Route } from "../routes/contract.ts";
import type { Counters } from "./counters.ts";
import type { Job } from "./deliver.ts";
import { MISSED_MAX } from "./frames.ts";

/** How long the sessions of a node that is down may wait for who takes them over. */
const ORPHANED_MS = 60_000;
/** A lease lapses, its node is found dead, and its sessions are taken over. */
const KEPT_MS = 120_000;
const SWEEP_MS = 10_000;
const MESSAGES_MAX = 20_000;
const QUEUE_MAX = 3 * MESSAGES_MAX;
const BYTES_MAX = 32 * 1024 * 1024;
/** Of one user: it goes in one frame. */
const USER_BYTES_MAX = 4 * 1024 * 1024;
/** Beside its bytes. */
const OVERHEAD_BYTES = 1_024;
const NODES_MAX = 1_000;
/** Stands for all that died before this node was there: nobody's incarnation. */
const UNSEEN = "";

export interface PassedOverParts {
  readonly clock: Clock;
  readonly counters: Counters;
}

/** One message. */
interface Entry {
  readonly job: Job;
  /** Resources that got it, as it is now. */
  readonly took: ReadonlySet<string>;
  readonly bytes: number;
  readonly untilMs: number;
  /** Nodes whose sessions were in no route. */
  nodes: ReadonlySet<string>;
  /** Those that were tried in vain, or not tried. */
  readonly routes: Set<string>;
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
  /** All of them from `#first` on, the oldest first, and some that are not for anybody any more. */
  #queue: Entry[] = [];
  #first = 0;
  readonly #timers = new Map<string, Timer>();
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

  /** Whether there may be sessions that no route leads to. */
  get isLikely(): boolean {
    return this.#nodes.size > 0;
  }

  /** Whether that node's sessions may be. */
  isHiding(node: string): boolean {
    return this.#nodes.has(node);
  }

  /** This node is new: others may have died before, whose sessions nobody has taken over yet. */
  begin(): void {
    this.nodeDown(UNSEEN);
  }

  nodeLapsed(node: string): void {
    // It was there since: what was passed over before that is nothing to the sessions it has now.
    if (!this.#nodes.has(node)) this.#forget(node);
    this.#seen.set(node, true);
    this.#stopTimer(node);
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
    if (this.#nodes.has(node)) this.#nodes = without(this.#nodes, node);
  }

  #forget(node: string): void {
    for (const entry of this.#all.values()) {
      if (entry.nodes.has(node)) entry.nodes = without(entry.nodes, node);
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
  add(job: Job, took: ReadonlySet<string>, routes: readonly Route[]): void {
    const entry = this.#all.get(took) ?? this.#made(job, took);
    for (const route of routes) entry.routes.add(keyOf(route));
    if (entry.nodes !== this.#nodes) entry.nodes = new Set([...entry.nodes, ...this.#nodes]);
  }

  #made(job: Job, took: ReadonlySet<string>): Entry {
    const { clock } = this.#parts;
    const bytes = job.envelope.bytes.length + OVERHEAD_BYTES;
    const untilMs = clock.monotonicMs() + KEPT_MS;
    const entry = { job, took, bytes, untilMs, nodes: this.#nodes, routes: new Set<string>() };
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
    this.#bytes -= entry.bytes;
    const ofUser = this.#byUser.get(user);
    if (ofUser === undefined) return;
    ofUser.entries.delete(entry);
    ofUser.bytes -= entry.bytes;
    if (ofUser.entries.size === 0) this.#byUser.delete(user);
  }

  /**
   * What came for a user while that session could not be found, in order, with the resources that got it.
   * @param route as it was at the node that is dead
   */
  of(route: Route): readonly Pick<Entry, "job" | "took">[] {
    const all = [...(this.#byUser.get(route.user)?.entries ?? [])];
    const key = keyOf(route);
    const node = this.#seen.has(route.node) ? route.node : UNSEEN;
    return all.filter(({ nodes, routes }) => nodes.has(node) || routes.has(key));
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

const without = (nodes: ReadonlySet<string>, node: string): ReadonlySet<string> =>
  new Set([...nodes].filter((one) => one !== node));

/** A session as it is at one node: it may go on at another. */
export const keyOf = ({ session, node }: Route): string => `${session} ${node}`;
