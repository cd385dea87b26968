/**
 * What must last, one interface per kind of data, each user's data in the user's own partition.
 * Engines: sqlite/ and cassandra/, one shared suite (contract.suite.ts). Every method rejects with
 * Unavailable("store-…") when the engine does not answer within its deadline.
 * `user` is always a prepared bare address "local@domain".
 */

export type ScramMechanism = "SCRAM-SHA-1" | "SCRAM-SHA-256" | "SCRAM-SHA-512";

/** RFC 5802 section 3: what a server keeps instead of a password. */
export interface ScramKeys {
  readonly salt: Buffer;
  readonly iterations: number;
  readonly storedKey: Buffer;
  readonly serverKey: Buffer;
}

/** Accounts from before version 4 of the schema have no keys for SCRAM-SHA-512. */
export type Credentials = Readonly<Record<"SCRAM-SHA-1" | "SCRAM-SHA-256", ScramKeys>> & {
  readonly "SCRAM-SHA-512"?: ScramKeys;
};

export interface Accounts {
  /** False when the account exists already; two creations at once: exactly one gets true. */
  create(user: string, credentials: Credentials): Promise<boolean>;
  /** Undefined for an account that is disabled, too. */
  credentials(user: string): Promise<Credentials | undefined>;
  exists(user: string): Promise<boolean>;
  /** Another password, which ends what `Tokens` holds. False when there is no such account. */
  setCredentials(user: string, credentials: Credentials): Promise<boolean>;
  /** More keys for the same password: false, and nothing done, when it is not `known` any more. */
  addKeys(user: string, known: Credentials, credentials: Credentials): Promise<boolean>;
  /**
   * Whether anybody may log in: a disabled account exists, and has no credentials. Disabling ends
   * what `Tokens` holds. False when there is no such account.
   */
  setDisabled(user: string, isDisabled: boolean): Promise<boolean>;
  /** Removes the account and all of the user's data in every store. False when there was none. */
  delete(user: string): Promise<boolean>;
  /** Bare addresses of a domain, in pages. */
  list(domain: string): AsyncIterable<string>;
}

/** One contact. Subscription states are single flags so that concurrent writes commute. */
export interface RosterItem {
  readonly contact: string;
  readonly name: string;
  readonly groups: readonly string[];
  /** We receive the contact's presence ("to"). */
  readonly to: boolean;
  /** The contact receives ours ("from"). */
  readonly from: boolean;
  /** We asked and have no answer yet. */
  readonly ask: boolean;
  /** The contact asked: the subscribe stanza as bytes, kept until answered. */
  readonly pendingIn: Buffer | undefined;
  /** Pre-approved (RFC 6121, 3.4). */
  readonly approved: boolean;
  /** In the user's roster; false for an item that only holds a pending request. */
  readonly listed: boolean;
}

export type RosterPatch = Partial<Omit<RosterItem, "contact">>;

export interface Roster {
  /** Opaque version of the whole roster (RFC 6121, 2.6); "" for one never written. */
  readonly version: string;
  readonly items: readonly RosterItem[];
}

export interface Rosters {
  /** One partition read. */
  load(user: string): Promise<Roster>;
  item(user: string, contact: string): Promise<RosterItem | undefined>;
  /** Creates or changes one item, only the given fields; answers the roster's new version. */
  update(user: string, contact: string, patch: RosterPatch): Promise<string>;
  remove(user: string, contact: string): Promise<string>;
}

export interface OfflineMessage {
  /** Sorts by arrival; unique in the user's partition. */
  readonly id: string;
  readonly receivedMs: number;
  /** A complete stanza in jabber:client. */
  readonly bytes: Buffer;
}

export interface Offline {
  /** Idempotent by id. False when the user already has `messagesMax`; nothing is stored then. */
  add(user: string, message: OfflineMessage, messagesMax: number): Promise<boolean>;
  /** The oldest first, at most `limit`, of those whose id sorts behind `afterId`. */
  list(user: string, limit: number, afterId?: string): Promise<readonly OfflineMessage[]>;
  remove(user: string, ids: readonly string[]): Promise<void>;
}

export interface ArchivedMessage {
  /** Made by archive-id.ts. */
  readonly id: string;
  /** The other party's bare address, and its resource, "" for none. */
  readonly peer: string;
  readonly resource: string;
  /** A complete stanza in jabber:client. */
  readonly bytes: Buffer;
}

export interface ArchiveRange {
  /** Ids from this one on, up to and without the other. */
  readonly from: string;
  readonly before: string;
  readonly peer?: string;
  /** Only along with `peer`. */
  readonly resource?: string;
}

export type ArchiveEnd = "first" | "last";

/** A user's conversations (XEP-0313), in the order of their ids. */
export interface Archive {
  /** Idempotent by id. @param keptSeconds how long it is kept at least; 0: for ever */
  add(user: string, message: ArchivedMessage, keptSeconds: number): Promise<void>;
  /** The first or the last of a range, at most `limit`, in order. */
  page(
    user: string,
    range: ArchiveRange,
    limit: number,
    end: ArchiveEnd,
  ): Promise<readonly ArchivedMessage[]>;
  /** Those of the ids that exist, in order. */
  get(user: string, ids: readonly string[]): Promise<readonly ArchivedMessage[]>;
  /** The ids alone of what was archived from one moment to the other, in order, at most `limit`. */
  ids(user: string, fromMs: number, untilMs: number, limit: number): Promise<readonly string[]>;
  /** Takes out what is there under another id as well. Idempotent. */
  remove(user: string, peer: string, ids: readonly string[]): Promise<void>;
  /** Removes what is older, of all users, where it does not go by itself. */
  sweep(beforeMs: number): Promise<void>;
}

/** Part of what is stored: a kind that has been used keeps its name. */
export type DocumentKind =
  | "archive"
  | "blocked"
  | "private"
  | "vcard"
  | "push"
  | "activity"
  | "upload";

export interface StoredDocument {
  readonly key: string;
  readonly value: Buffer;
}

/**
 * Small things of a user, by kind and key. One kind is one read; what it may hold is bounded by the
 * module whose it is.
 */
export interface Documents {
  /** All of one kind, in the order of their keys' bytes. */
  list(user: string, kind: DocumentKind): Promise<readonly StoredDocument[]>;
  get(user: string, kind: DocumentKind, key: string): Promise<Buffer | undefined>;
  /**
   * Writes values and removes keys whose value is undefined. After a rejection some may be done;
   * doing it again is safe.
   */
  change(
    user: string,
    kind: DocumentKind,
    changes: ReadonlyMap<string, Buffer | undefined>,
  ): Promise<void>;
}

/** An item at a node of publish-subscribe (XEP-0060). */
export interface PublishedItem {
  readonly id: string;
  readonly publisher: string;
  /** Microseconds since the epoch; of two items of a node the later one has the greater. */
  readonly publishedUs: number;
  /** The payload element; of no length for an item without one. */
  readonly payload: Buffer;
}

export interface PubsubNode {
  readonly name: string;
  /** Text that means something to pubsub/ alone. */
  readonly config: string;
  /** Single entries, so that concurrent writes commute. */
  readonly affiliations: ReadonlyMap<string, string>;
  readonly subscriptions: ReadonlyMap<string, string>;
  /** Orders the changes of this node and its items: each comes after what its writer has read. */
  readonly changedUs: number;
}

export interface PubsubNodeWithLast extends PubsubNode {
  /** What was published last, also where items are not kept; undefined once it is retracted. */
  readonly last: PublishedItem | undefined;
}

/** An entry whose value is undefined is removed. */
export interface PubsubPatch {
  readonly config?: string;
  readonly affiliations?: ReadonlyMap<string, string | undefined>;
  readonly subscriptions?: ReadonlyMap<string, string | undefined>;
}

/** What becomes of a node's items when one is published. */
export interface Keeping {
  /** Whether the new one is kept, besides as the last one. */
  readonly isKept: boolean;
  /** "all": it is the only one from now on; otherwise the ids of items that make room. */
  readonly removes: "all" | readonly string[];
}

type ItemFields = Omit<PublishedItem, "publishedUs">;
type NodeRef = Pick<PubsubNode, "name" | "changedUs">;

/** Nodes of an owner (a user, for personal eventing) in the owner's partition. */
export interface Pubsub {
  /** All nodes of an owner in the order of their names' bytes, without items: one read. */
  list(owner: string): Promise<readonly PubsubNode[]>;
  /** Those of the named ones that exist, with their last items: one read. */
  read(owner: string, names: readonly string[]): Promise<readonly PubsubNodeWithLast[]>;
  /** Makes a node, or changes one of that name that another writer made meanwhile. */
  create(owner: string, name: string, patch: PubsubPatch): Promise<NodeRef>;
  change(owner: string, node: NodeRef, patch: PubsubPatch): Promise<void>;
  /** Removes a node and its items. */
  remove(owner: string, node: NodeRef): Promise<void>;
  /** Publishes, in one write; answers when, in microseconds. An item of that id is replaced. */
  publish(owner: string, node: NodeRef, item: ItemFields, keeping: Keeping): Promise<number>;
  /** The kept items, without payload, the oldest first. */
  itemIds(owner: string, name: string): Promise<readonly Omit<PublishedItem, "payload">[]>;
  /** Those of the items that exist, in no order. */
  items(owner: string, name: string, ids: readonly string[]): Promise<readonly PublishedItem[]>;
  /** Removes kept items, all or some, and says what the last item is from now on. */
  removeItems(
    owner: string,
    node: NodeRef,
    ids: "all" | readonly string[],
    last: PublishedItem | undefined,
  ): Promise<void>;
}

/** One token of XEP-0484, in the form auth/ gives it. */
export interface StoredToken {
  /** Which of the user's clients has it: opaque, 1 to 64 characters. */
  readonly client: string;
  /** Given out and not used yet, or in use (XEP-0484, 5.1). */
  readonly slot: "new" | "current";
  readonly mechanism: string;
  readonly issuedMs: number;
  readonly expiresMs: number;
  /** The highest `count` that came with it. */
  readonly count: number;
  readonly sealed: Buffer;
}

export interface TokenSet {
  readonly tokens: readonly StoredToken[];
  /** When the last of them was written, in microseconds; 0 for none. */
  readonly latestUs: number;
}

export interface TokenChange {
  readonly remove: readonly Pick<StoredToken, "client" | "slot">[];
  readonly put: readonly StoredToken[];
}

export interface Tokens {
  /** One partition read. */
  list(user: string): Promise<TokenSet>;
  /**
   * Removes some and keeps others, as one. Has no effect on a user whose tokens were cleared after
   * `asOfUs`: who has proved the old password must not keep a token under the new one.
   */
  change(user: string, change: TokenChange, asOfUs: number): Promise<void>;
  /** Removes all of a user's. */
  clear(user: string): Promise<void>;
}

/** What all nodes share and nobody else knows. */
export interface Secrets {
  /** The secret of that name: `proposed` if nobody has made it yet; the same for all, for ever. */
  keep(name: string, proposed: Buffer): Promise<Buffer>;
}

/**
 * Kinds of work that must not wait for each other: an engine that is reached over a network gives
 * each a budget of its own. archive is writing, history is reading it.
 */
export const BUDGETS = ["login", "delivery", "documents", "pubsub", "archive", "history"] as const;
export type BudgetName = (typeof BUDGETS)[number];

export interface BudgetCounts {
  readonly inFlight: number;
  readonly waiting: number;
  /** Calls that were not made so far. */
  readonly refused: number;
  /** 1 while the store is not asked because it does not answer. */
  readonly suspended: number;
  readonly suspensions: number;
}

export interface Stores extends AsyncDisposable {
  readonly accounts: Accounts;
  readonly rosters: Rosters;
  readonly offline: Offline;
  readonly archive: Archive;
  readonly documents: Documents;
  readonly pubsub: Pubsub;
  readonly tokens: Tokens;
  readonly secrets: Secrets;
  /** None where nothing is reached over a network. */
  readonly budgets?: Readonly<Record<BudgetName, { readonly counts: BudgetCounts }>>;
  /** Resolves when the engine answers a trivial read; for /readyz. */
  ping(): Promise<void>;
}

/** Told once per finished call, for metrics: "accounts.create", its duration, whether it rejected. */
export type Observe = (operation: string, durationMs: number, failed: boolean) => void;
