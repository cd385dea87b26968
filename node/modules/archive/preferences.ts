/** XEP-0441: whose messages a user wants archived. */
import { LRUCache } from "lru-cache";
import { Unavailable } from "../../base/errors.ts";
import { StanzaError } from "../../stanza/error.ts";
import { Jid, JidError } from "../../stanza/jid.ts";
import type { Element } from "../../xml/element.ts";
import { el } from "../../xml/element.ts";
import { child, children, text } from "../../xml/names.ts";
import type { Host } from "../contract.ts";
import { MAM_NS } from "./rules.ts";

export const POLICIES = ["always", "roster", "never"] as const;
export type Policy = (typeof POLICIES)[number];

export interface Preferences {
  readonly default: Policy;
  readonly always: readonly string[];
  readonly never: readonly string[];
}

/** Addresses in both lists together. */
const ADDRESSES_MAX = 1_000;
const CACHE_USERS_MAX = 20_000;
/** A change made on another node is heeded after this. */
const CACHED_MS = 15_000;
/** When they cannot be read, the store is left in peace for so long. */
const UNREAD_MS = 5_000;
const KIND = "archive";
const KEY = "preferences";

interface Cached {
  readonly preferences: Preferences;
  readonly untilMs: number;
}

export class PreferencesOfUsers {
  readonly #host: Pick<Host, "documents" | "rosters" | "clock" | "log">;
  readonly #policy: Policy;
  readonly #cache = new LRUCache<string, Cached>({ max: CACHE_USERS_MAX });
  readonly #reading = new Map<string, Promise<Preferences>>();

  constructor(host: Pick<Host, "documents" | "rosters" | "clock" | "log">, policy: Policy) {
    this.#host = host;
    this.#policy = policy;
  }

  /** Whether the user wants messages exchanged with `peer` archived. Never rejects. */
  wants(user: string, peer: Jid): boolean | Promise<boolean> {
    const cached = this.#cache.get(user);
    if (cached !== undefined && cached.untilMs > this.#host.clock.monotonicMs()) {
      return this.#decide(cached.preferences, user, peer);
    }
    return this.#readOnce(user).then((preferences) => this.#decide(preferences, user, peer));
  }

  /** @throws Unavailable */
  async read(user: string): Promise<Preferences> {
    const stored = await this.#host.documents.get(user, KIND, KEY);
    const preferences = stored === undefined ? this.#none() : decode(stored);
    this.#remember(user, preferences, CACHED_MS);
    return preferences;
  }

  /** @throws Unavailable */
  async write(user: string, preferences: Preferences): Promise<void> {
    const value = Buffer.from(JSON.stringify(preferences));
    await this.#host.documents.change(user, KIND, new Map([[KEY, value]]));
    this.#remember(user, preferences, CACHED_MS);
  }

  #none(): Preferences {
    return { default: this.#policy, always: [], never: [] };
  }

  #remember(user: string, preferences: Preferences, forMs: number): void {
    this.#cache.set(user, { preferences, untilMs: this.#host.clock.monotonicMs() + forMs });
  }

  #readOnce(user: string): Promise<Preferences> {
    const running = this.#reading.get(user);
    if (running !== undefined) return running;
    const reading = this.#readOrGuess(user).finally(() => this.#reading.delete(user));
    this.#reading.set(user, reading);
    return reading;
  }

  async #readOrGuess(user: string): Promise<Preferences> {
    try {
      return await this.read(user);
    } catch (error) {
      this.#report(error);
      const known = this.#cache.get(user)?.preferences ?? this.#none();
      this.#remember(user, known, UNREAD_MS);
      return known;
    }
  }

  #report(error: unknown): void {
    const { log } = this.#host;
    if (error instanceof Unavailable) log.warn({ err: error }, "cannot read archiving preferences");
    else log.error({ err: error }, "cannot read archiving preferences");
  }

  #decide(preferences: Preferences, user: string, peer: Jid): boolean | Promise<boolean> {
    const isListed = (list: readonly string[]) =>
      list.includes(peer.full) || list.includes(peer.bare);
    if (isListed(preferences.never)) return false;
    if (isListed(preferences.always)) return true;
    if (preferences.default !== "roster") return preferences.default === "always";
    return this.#isContact(user, peer);
  }

  async #isContact(user: string, peer: Jid): Promise<boolean> {
    try {
      return (await this.#host.rosters.item(user, peer.bare))?.listed === true;
    } catch (error) {
      this.#report(error);
      return true; // What is archived can be passed over; what is not is gone.
    }
  }
}

function decode(stored: Buffer): Preferences {
  const { default: policy, always, never } = JSON.parse(stored.toString()) as Preferences;
  return { default: policy, always, never };
}

/** @throws StanzaError `bad-request`, `jid-malformed` or `not-acceptable` */
export function readPreferences(prefs: Element): Preferences {
  const said: unknown = prefs.attrs.default;
  const policy = POLICIES.find((one) => one === said);
  if (policy === undefined) {
    throw new StanzaError("bad-request", "The default must be always, roster or never");
  }
  const [always, never] = [addresses(prefs, "always"), addresses(prefs, "never")];
  if (always.length + never.length > ADDRESSES_MAX) {
    throw new StanzaError("not-acceptable", `The lists have room for ${ADDRESSES_MAX} addresses`);
  }
  return { default: policy, always, never };
}

function addresses(prefs: Element, name: string): readonly string[] {
  const listed = child(prefs, name, MAM_NS);
  if (listed === undefined) return [];
  try {
    const found = children(listed, "jid", MAM_NS).map((one) => Jid.parse(text(one).trim()).full);
    return [...new Set(found)];
  } catch (error) {
    if (error instanceof JidError) throw new StanzaError("jid-malformed", error.message);
    throw error;
  }
}

export const preferencesElement = ({ default: policy, always, never }: Preferences): Element =>
  el("prefs", { xmlns: MAM_NS, default: policy }, [
    el("always", {}, jids(always)),
    el("never", {}, jids(never)),
  ]);

const jids = (list: readonly string[]) => list.map((one) => el("jid", {}, one));
