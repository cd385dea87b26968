/**
 * Whose list is known how well. A session that has announced itself has its user's list in memory,
 * changed by the pushes that reach every session: on that node the list is exact, and needs no
 * store. A node that only routes *to* a user reads the list and remembers it for a bounded time.
 * So a change is obeyed at once by whichever node holds a session of the user. The others read the
 * list again before they refuse anybody, and learn of a new entry, which matters only for users
 * without any session, after `cacheSeconds` at the latest.
 */
import { LRUCache } from "lru-cache";
import { Unavailable } from "../../base/errors.ts";
import type { Jid } from "../../stanza/jid.ts";
import type { ClientSession, Host } from "../contract.ts";
import { carried } from "../contract.ts";
import type { BlocklistChange } from "./list.ts";
import { Blocklist } from "./list.ts";

const STATE = "blocking";
const NOTHING = Buffer.alloc(0);
/** A store that did not answer is not waited for again with every message. */
const UNREAD_MS = 5_000;

interface Remembered {
  readonly list: Blocklist;
  readonly untilMs: number;
}

interface Followed {
  list: Blocklist;
  /** It is being read from the store. */
  isReading: boolean;
  /** A change came since the reading began. */
  isStale: boolean;
}

export interface ListLimits {
  readonly itemsMax: number;
  readonly cacheUsersMax: number;
  readonly cacheSeconds: number;
}

type ListsHost = Pick<Host, "documents" | "sessions" | "clock" | "log">;

export class Blocklists {
  readonly #host: ListsHost;
  readonly #rememberMs: number;
  readonly #cache: LRUCache<string, Remembered>;
  readonly #reading = new Map<string, Promise<Blocklist>>();

  constructor(host: ListsHost, { cacheUsersMax, cacheSeconds }: ListLimits) {
    this.#host = host;
    this.#rememberMs = cacheSeconds * 1_000;
    this.#cache = new LRUCache({ max: cacheUsersMax });
  }

  get remembered(): number {
    return this.#cache.size;
  }

  /** From the store. @throws Unavailable */
  async read(user: string): Promise<Blocklist> {
    const kept = await this.#host.documents.list(user, "blocked");
    return Blocklist.of(kept.map(({ key }) => key));
  }

  /** @throws Unavailable */
  async write(user: string, { blocked, unblocked }: BlocklistChange): Promise<void> {
    const changes = new Map<string, Buffer | undefined>();
    for (const address of unblocked) changes.set(address, undefined);
    for (const address of blocked) changes.set(address, NOTHING);
    await this.#host.documents.change(user, "blocked", changes);
    this.#cache.delete(user);
  }

  /** Whether the user has cut off this address, at once where that is known. Never rejects. */
  covers(user: string, peer: Jid): boolean | Promise<boolean> {
    const exact = this.#exact(user);
    if (exact !== undefined) return exact.covers(peer);
    const known = this.#cache.get(user);
    const isFresh = known !== undefined && known.untilMs > this.#host.clock.monotonicMs();
    // What is remembered lets through, but refuses nobody: they may have been unblocked.
    if (isFresh && !known.list.covers(peer)) return false;
    return this.#once(user).then((read) => read.covers(peer));
  }

  /** As a session of the user that is here knows it. */
  #exact(user: string): Blocklist | undefined {
    for (const session of this.#host.sessions().ofUser(user)) {
      const followed = followedBy(session);
      if (followed !== undefined && !followed.isReading) return followed.list;
    }
    return undefined;
  }

  /** Reads it, once for all who ask meanwhile. */
  #once(user: string): Promise<Blocklist> {
    const reading = this.#reading.get(user) ?? this.#remember(user);
    this.#reading.set(user, reading);
    return reading;
  }

  async #remember(user: string): Promise<Blocklist> {
    try {
      const list = await this.read(user);
      const untilMs = this.#host.clock.monotonicMs() + this.#rememberMs;
      this.#cache.set(user, { list, untilMs });
      return list;
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      // Without a store nothing goes to users who are away, and for the others the node of their
      // session knows the list: what is let through here is stopped there.
      this.#host.log.warn({ err: error }, "cannot read a blocklist");
      const untilMs = this.#host.clock.monotonicMs() + Math.min(UNREAD_MS, this.#rememberMs);
      this.#cache.set(user, { list: Blocklist.EMPTY, untilMs });
      return Blocklist.EMPTY;
    } finally {
      this.#reading.delete(user);
    }
  }

  /** From now on the list of this session's user is exact for it. @throws Unavailable */
  async follow(session: ClientSession): Promise<void> {
    const list = followedBy(session)?.list ?? Blocklist.EMPTY;
    const followed: Followed = { list, isReading: false, isStale: false };
    session.state.set(STATE, followed);
    await this.#renew(session, followed);
  }

  /** Reads the list, and again if it changed meanwhile; what came of it. @throws Unavailable */
  async #renew({ jid }: ClientSession, followed: Followed): Promise<BlocklistChange> {
    followed.isReading = true;
    try {
      for (;;) {
        followed.isStale = false;
        const list = await this.read(jid.bare);
        if (followed.isStale) continue; // Each time because the user did something.
        const before = followed.list;
        followed.list = list;
        return list.changeFrom(before);
      }
    } finally {
      followed.isReading = false;
    }
  }

  /** The exact list; undefined for a session that has not announced itself. */
  followed(session: ClientSession): Blocklist | undefined {
    return followedBy(session)?.list;
  }

  /**
   * A push told this session of a change: it holds from now on. Changes that two nodes make at once
   * may come in another order than they were written, so the list is read as well.
   * @param further told what that has changed besides
   * @returns the list before; undefined for a session that has not announced itself
   */
  change(
    session: ClientSession,
    change: BlocklistChange,
    further: (change: BlocklistChange) => void,
  ): Blocklist | undefined {
    this.#cache.delete(session.jid.bare);
    const followed = followedBy(session);
    if (followed === undefined) return undefined;
    const before = followed.list;
    followed.list = before.with(change);
    followed.isStale = true;
    if (!followed.isReading) void this.#again(session, followed, further);
    return before;
  }

  async #again(
    session: ClientSession,
    followed: Followed,
    further: (change: BlocklistChange) => void,
  ): Promise<void> {
    try {
      const change = await this.#renew(session, followed);
      if (change.blocked.length > 0 || change.unblocked.length > 0) further(change);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      this.#host.log.warn({ err: error }, "cannot read a blocklist again");
    }
  }
}

/** The changes that come on the way are told to the session's new node. */
export const carriedList = carried<Followed>(
  STATE,
  ({ list }) => [...list],
  (addresses: readonly string[]) => ({
    list: Blocklist.of(addresses),
    isReading: false,
    isStale: false,
  }),
);

const followedBy = (session: ClientSession): Followed | undefined =>
  session.state.get(STATE) as Followed | undefined;
