/**
 * Where sessions are. Engines: memory.ts (one node) and etcd.ts (a cluster: node records and routes
 * on one lease per node, writes coalesced into transactions of at most 128 operations).
 * See docs/architecture.md, "Finding a session".
 */

/** One life of one node process; a restarted node is a new incarnation. */
export interface NodeRecord {
  /** Random, unique per process life. */
  readonly incarnation: string;
  /** For people: the pod's or host's name. */
  readonly name: string;
  /** Where the mesh reaches it. */
  readonly meshHost: string;
  readonly meshPort: number;
  readonly version: string;
  readonly zone: string;
}

/** A connected resource, as every node may know it. */
export interface Route {
  /** Bare address "local@domain"; the domain alone for a connection of a component. */
  readonly user: string;
  readonly resource: string;
  /** Incarnation of the node that holds the session. */
  readonly node: string;
  /** Random, unique per session: two sessions of one full address never share it. */
  readonly session: string;
  /** It sent initial presence and has not gone unavailable. */
  readonly available: boolean;
  /** RFC 6121, 4.7.2.3: -128..127; meaningful while available. */
  readonly priority: number;
  /**
   * How often its session has gone on at another node; left out, never. Where a node comes back that stood still,
   * this tells which of two nodes has the session as it was later: each step is taken once (steps.ts).
   */
  readonly moves?: number;
}

/** How often a session may go on elsewhere and be told from what it was before. */
export const MOVES_MAX = 127;

/** Whether another route has the same full address, where both are of one user. */
export const isHolder =
  (route: Route) =>
  (other: Route): boolean =>
    other.resource === route.resource;

/** The route of the same session at a node that goes on with it. */
export const movedTo = (node: string, route: Route): Route => ({
  ...route,
  node,
  moves: Math.min((route.moves ?? 0) + 1, MOVES_MAX),
});

/** Whether it is the route of a session as it was before it went on as `route` says. */
export const isOutdated = (holder: Route, { session, moves = 0 }: Route): boolean =>
  holder.session === session && (holder.moves ?? 0) < moves;

/** All routes of one user, as of an etcd revision. */
export interface RouteSet {
  readonly revision: number;
  readonly routes: readonly Route[];
  /** It is what those nodes said that could be asked: there may be more. */
  readonly isPartial?: boolean;
}

export interface BindResult {
  /** The user's routes after the bind, the new one among them. */
  readonly set: RouteSet;
  /** The session that held this full address before and must be closed with `conflict`. */
  readonly replaced: Route | undefined;
}

/** What a node says of its own sessions of one user. */
export interface OwnRoutes {
  readonly routes: readonly Route[];
  /** They are all in etcd, on a lease that it holds. */
  readonly isPublished: boolean;
}

/** Who has copies must look at least this often which of them are void: longer it is not noted. */
export const NOTES_LAST_MS = 3_000_000;

/** Whose session a copy was made of. */
export interface CopyOrigin {
  readonly owner: string;
  /** What `renounced` said of the owner before the copy was taken for valid; 0 for nothing. */
  readonly voidTerm: number;
}

/** What metrics may read at any time. */
export interface RoutesGauges {
  /** Users without a session here whose routes are remembered. */
  readonly cachedUsers: number;
  /** Users with a session here. */
  readonly knownUsers: number;
  /** Writes that must still be made, or made sure of. */
  readonly chores: number;
}

export interface Routes extends AsyncDisposable {
  /**
   * Publishes a route, replacing any other session of the same full address; resolves after the
   * commit (design invariant 7) and after the nodes that hold other sessions of the user were told.
   * @throws Unavailable: nothing was bound. "routes-timeout", "routes-unavailable", "routes-overload"
   *   (too many operations wait), "routes-lost-lease" (this node may bind nobody now),
   *   "routes-full" (the user has as many as allowed), "routes-lost" (another session took it at once).
   */
  bind(route: Route): Promise<BindResult>;
  /**
   * Changes availability or priority, only while the route still belongs to `route.session`. A
   * change that fails for want of etcd is made later, unless another comes before.
   * @throws Unavailable as bind does; "routes-lost" (told by onRouteLost as well) is for ever.
   */
  update(route: Route): Promise<RouteSet>;
  /**
   * Removes the route if it still belongs to `route.session`. Idempotent.
   * @throws Unavailable as bind does; it is removed nevertheless, as soon as etcd answers.
   */
  unbind(route: Route): Promise<RouteSet>;
  /**
   * Takes a session over: publishes `route`, held by this node, if nothing was written about its full
   * address since `seen` was read. Resolves and tells other nodes as bind does. Tried again while it
   * is in doubt, however long etcd is away, so that afterwards it is known who has the session. It may have moved
   * more often than `route` says.
   * @param copy what it is taken over from, if that is the copy of a dead node's session
   * @throws Unavailable as bind does: nothing was taken; "routes-moved": it has changed since, and is
   *   not this node's, or the owner has renounced more copies; "routes-gone-on": another node has gone on with
   *   the session from where it was (steps.ts), and nobody has the route now.
   */
  takeOver(route: Route, seen: RouteSet, copy?: CopyOrigin): Promise<RouteSet>;
  /**
   * Writes this session's route, moved once more, though it stays here: a takeOver of what was seen before, or
   * given away, cannot succeed any more.
   * @throws Unavailable as update does; "routes-lost": another node has taken it.
   */
  renew(route: Route): Promise<RouteSet>;
  /**
   * The user's routes: from the bounded cache when there is a non-empty entry, otherwise read
   * linearizably (reads of one turn share a transaction). "Nobody" is never cached.
   */
  lookup(user: string): RouteSet | Promise<RouteSet>;
  /** Read from etcd now, linearizably, ignoring the cache, which it corrects. */
  read(user: string): Promise<RouteSet>;
  /**
   * Where to deliver what is for the user: as `lookup`, but where etcd does not answer it is what the
   * live nodes say that they hold. Nobody may bind or take over by that.
   * @param isFresh ignores the cache
   * @throws Unavailable: etcd does not answer, and no node that does has anybody; there may be somebody
   */
  find(user: string, isFresh?: boolean): RouteSet | Promise<RouteSet>;
  /** Correct the cache with a set learned from another node, unless a newer one is known. */
  learn(user: string, set: RouteSet): void;
  /** A session of that user has gone on at another node: who has none here is looked up again. */
  outdated(user: string): void;
  /** The newest set known for a user who has a session on this node: exact, for corrections. */
  known(user: string): RouteSet | undefined;
  /**
   * This node's own routes of that user, be they in etcd or not: for nodes that see its lease lapsed.
   * @throws Unavailable when it leaves
   */
  own(user: string): OwnRoutes;
  /**
   * The users who have sessions anywhere, each once, in pages, as of about now: for people.
   * @throws Unavailable
   */
  users(): AsyncIterable<string>;
  /** The node this is. */
  readonly self: NodeRecord;
  /** Whether it may bind, and take sessions over. */
  readonly holdsLease: boolean;
  /**
   * Of the lease that it holds; "" for none. As long as it is the same nobody has taken this node's sessions
   * over from a copy.
   */
  readonly tenure: string;
  /** There is no other node, so that what it answers is always as new as can be. */
  readonly isAlone?: true;
  /** Of an engine that remembers anything. */
  readonly gauges?: RoutesGauges;
  /**
   * The other live nodes, by incarnation, kept current by a watch. One whose lease has lapsed and that
   * answers is alive.
   */
  readonly nodes: ReadonlyMap<string, NodeRecord>;
  /**
   * A short-lived right to act alone, held by this node's lease, e.g. to drain one user's offline
   * store. Undefined when another holder has it.
   */
  claim(name: string): Promise<Claim | undefined>;
  /**
   * Tells who holds a claim: first as it is now, then at every change, until `stop` is called.
   * What is told may be late; only the holder itself knows that it still holds it.
   */
  watchClaim(name: string, onHolder: (holder: Holder | undefined) => void): () => void;
  /**
   * From now on no copy that `node` has of this node's sessions may be used that was made in that
   * term or before: see shadow/standing.ts. It is noted for NOTES_LAST_MS at least. Idempotent.
   * @throws Unavailable as bind does; this node must hold its lease, so that it is known that nobody
   *   has taken its sessions over before
   */
  renounce(node: string, term: number): Promise<void>;
  /** What was renounced at this node: of each owner the last term, while it is noted. @throws Unavailable */
  renounced(): Promise<ReadonlyMap<string, number>>;
  /**
   * Has that node look into what there is for a user, where it cannot be told over the mesh: `onNotice`. That it
   * does nobody says.
   * @throws Unavailable as bind does
   */
  notice(node: string, user: string): Promise<void>;
  /** Nobody listens at the address of that node: it may be dead before its lease lapses. */
  refused(node: string): void;
  /** Rejects when the engine does not answer; for /readyz. */
  ping(): Promise<void>;
}

export interface Claim extends AsyncDisposable {
  readonly name: string;
  /**
   * Greater than that of every holder of this name before (fencing): who remembers the greatest
   * token that work came with refuses what comes late from an earlier holder.
   */
  readonly token: number;
  /** False once the node cannot prove its lease: look before each step, and stop. */
  readonly isHeld: boolean;
  /** Aborted when it is lost, or given back. */
  readonly over: AbortSignal;
}

export interface Holder {
  /** Incarnation of the node. */
  readonly node: string;
  readonly token: number;
}

/** What the engine tells the node that owns it. */
export interface RoutesEvents {
  /** A node joined or was seen at the start. */
  onNodeUp(node: NodeRecord): void;
  /**
   * A node's lease lapsed: its routes are in etcd no more. It is asked whether it goes on; until
   * `onNodeBack` or `onNodeDown` its sessions are its own, and lookups find them.
   */
  onNodeLapsed(node: NodeRecord): void;
  /** A node that had lapsed has a lease again. */
  onNodeBack(node: NodeRecord): void;
  /** A node that had lapsed does not answer, left, or has gone without a lease for too long. */
  onNodeDown(node: NodeRecord): void;
  /**
   * Our route of this session was taken by another node, or is gone: close it with `conflict`, unless
   * the same session goes on at another node.
   * @param holder who has its address now
   */
  onRouteLost(route: Route, holder: Route | undefined): void;
  /** Another node could not tell this one that there is something new about that user. */
  onNotice(user: string): void;
  /** The lease cannot be proven any more: bind nobody until `onLeaseRegained`. */
  onLeaseLost(): void;
  onLeaseRegained(): void;
}
