/** Stores in memory for many nodes of one test, with the weather of the test. */
import { Unavailable } from "../../base/errors.ts";
import { idFrom } from "../../stores/archive-id.ts";
import type {
  ArchivedMessage,
  ArchiveRange,
  Credentials,
  OfflineMessage,
  Roster,
  RosterItem,
  RosterPatch,
  StoredDocument,
  Stores,
} from "../../stores/contract.ts";
import { MemoryPubsub } from "./memory-pubsub.ts";
import type { Weather } from "./weather.ts";

export class MemoryStores {
  readonly users = new Map<string, Credentials>();
  readonly rosters = new Map<string, Map<string, RosterItem>>();
  readonly disabled = new Set<string>();
  readonly versions = new Map<string, number>();
  readonly offline = new Map<string, Map<string, OfflineMessage>>();
  readonly archives = new Map<string, Map<string, ArchivedMessage>>();
  /** Nothing can be archived at the moment, nor what was be looked for. */
  archiveFails = false;
  /** How often somebody looked for what was archived already. */
  archiveLooks = 0;
  readonly documents = new Map<string, Map<string, Buffer>>();
  readonly pubsub: MemoryPubsub;
  readonly #failures = new Map<string, Error | undefined>();
  readonly #weather: Pick<Weather, "wait">;

  constructor(weather: Pick<Weather, "wait">, nowMs: () => number) {
    this.#weather = weather;
    this.pubsub = new MemoryPubsub(nowMs);
  }

  /** From now on every call of that store rejects; undefined makes it work again. */
  fail(store: "documents" | "offline" | "rosters", error: Error | undefined): void {
    this.#failures.set(store, error);
  }

  #failIf(store: string): void {
    const failure = this.#failures.get(store);
    if (failure !== undefined) throw failure;
  }

  addUser(user: string): void {
    this.users.set(user, {} as Credentials);
  }

  /** Both become contacts of each other, as if they had subscribed. */
  befriend(one: string, other: string): void {
    for (const [user, contact] of [
      [one, other],
      [other, one],
    ] as const) {
      this.#patch(user, contact, { to: true, from: true, listed: true });
    }
  }

  storedFor(user: string): OfflineMessage[] {
    const stored = [...(this.offline.get(user)?.values() ?? [])];
    return stored.sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  #whetherArchiveAnswers(): void {
    if (this.archiveFails) throw new Unavailable("store-timeout", "Cannot archive");
  }

  archived(user: string): ArchivedMessage[] {
    const kept = [...(this.archives.get(user)?.values() ?? [])];
    return kept.sort((one, other) => (one.id < other.id ? -1 : 1));
  }

  /**
   * The stores as one node sees them.
   * @param wait before and after each piece of work; what it throws is the answer
   */
  of(isLive: () => boolean, wait = () => this.#weather.wait(isLive)): Stores {
    const later = async <T>(work: () => T): Promise<T> => {
      await wait();
      const result = work();
      await wait();
      return result;
    };
    const roster = <T>(work: () => T) =>
      later(() => {
        this.#failIf("rosters");
        return work();
      });
    return {
      accounts: {
        create: (user, credentials) =>
          later(() => {
            if (this.users.has(user)) return false;
            this.users.set(user, credentials);
            return true;
          }),
        credentials: (user) =>
          later(() => (this.disabled.has(user) ? undefined : this.users.get(user))),
        setDisabled: (user, isDisabled) =>
          later(() => {
            if (isDisabled) this.disabled.add(user);
            else this.disabled.delete(user);
            return this.users.has(user);
          }),
        exists: (user) => later(() => this.users.has(user)),
        setCredentials: (user, credentials) =>
          later(() => this.users.has(user) && this.users.set(user, credentials) !== undefined),
        addKeys: () => Promise.resolve(false),
        delete: (user) =>
          later(() => {
            this.rosters.delete(user);
            this.offline.delete(user);
            this.archives.delete(user);
            this.documents.delete(user);
            this.pubsub.delete(user);
            return this.users.delete(user);
          }),
        list: (domain) => this.#list(domain),
      },
      rosters: {
        load: (user) => roster(() => this.#load(user)),
        item: (user, contact) => roster(() => this.rosters.get(user)?.get(contact)),
        update: (user, contact, patch) => roster(() => this.#patch(user, contact, patch)),
        remove: (user, contact) =>
          roster(() => {
            this.rosters.get(user)?.delete(contact);
            return this.#newVersion(user);
          }),
      },
      offline: {
        add: (user, message, messagesMax) =>
          later(() => {
            this.#failIf("offline");
            const stored = this.offline.get(user) ?? new Map<string, OfflineMessage>();
            this.offline.set(user, stored);
            if (stored.size >= messagesMax && !stored.has(message.id)) return false;
            stored.set(message.id, message);
            return true;
          }),
        list: (user, limit, afterId = "") =>
          later(() => {
            this.#failIf("offline");
            const behind = this.storedFor(user).filter(({ id }) => id > afterId);
            return behind.slice(0, limit);
          }),
        remove: (user, ids) =>
          later(() => {
            for (const id of ids) this.offline.get(user)?.delete(id);
          }),
      },
      archive: {
        add: (user, message) =>
          later(() => {
            this.#whetherArchiveAnswers();
            const kept = this.archives.get(user) ?? new Map<string, ArchivedMessage>();
            this.archives.set(user, kept.set(message.id, message));
          }),
        page: (user, range, limit, end) =>
          later(() => {
            const found = this.archived(user).filter((one) => isWithin(one, range));
            return end === "first" ? found.slice(0, limit) : found.slice(-limit);
          }),
        get: (user, ids) => later(() => this.archived(user).filter(({ id }) => ids.includes(id))),
        ids: (user, fromMs, untilMs, limit) =>
          later(() => {
            this.archiveLooks += 1;
            this.#whetherArchiveAnswers();
            const range = { from: idFrom(fromMs), before: idFrom(untilMs) };
            const found = this.archived(user).filter((one) => isWithin(one, range));
            return found.slice(0, limit).map(({ id }) => id);
          }),
        remove: (user, _peer, ids) =>
          later(() => {
            for (const id of ids) this.archives.get(user)?.delete(id);
          }),
        sweep: () => Promise.resolve(),
      },
      documents: {
        list: (user, kind) => later(() => this.#documents(user, kind)),
        get: (user, kind, key) => later(() => this.#kept(user).get(`${kind} ${key}`)),
        change: (user, kind, changes) =>
          later(() => {
            const kept = this.#kept(user);
            for (const [key, value] of changes) {
              if (value === undefined) kept.delete(`${kind} ${key}`);
              else kept.set(`${kind} ${key}`, value);
            }
          }),
      },
      pubsub: this.pubsub.of(later),
      // Logging in is the door's business: nothing above it asks for these.
      tokens: {
        list: () => Promise.resolve({ tokens: [], latestUs: 0 }),
        change: () => Promise.resolve(),
        clear: () => Promise.resolve(),
      },
      secrets: { keep: (_name, proposed) => Promise.resolve(proposed) },
      ping: () => Promise.resolve(),
      [Symbol.asyncDispose]: () => Promise.resolve(),
    };
  }

  async *#list(domain: string): AsyncIterable<string> {
    for (const user of this.users.keys()) if (user.endsWith(`@${domain}`)) yield user;
  }

  #kept(user: string): Map<string, Buffer> {
    this.#failIf("documents");
    const kept = this.documents.get(user) ?? new Map<string, Buffer>();
    this.documents.set(user, kept);
    return kept;
  }

  #documents(user: string, kind: string): StoredDocument[] {
    return [...this.#kept(user)]
      .filter(([name]) => name.startsWith(`${kind} `))
      .map(([name, value]) => ({ key: name.slice(kind.length + 1), value }))
      .sort((one, other) => (one.key < other.key ? -1 : 1));
  }

  #load(user: string): Roster {
    const version = this.versions.get(user);
    const items = [...(this.rosters.get(user)?.values() ?? [])];
    return { version: version === undefined ? "" : String(version), items };
  }

  #patch(user: string, contact: string, patch: RosterPatch): string {
    const items = this.rosters.get(user) ?? new Map<string, RosterItem>();
    this.rosters.set(user, items);
    const before = items.get(contact) ?? {
      contact,
      name: "",
      groups: [],
      to: false,
      from: false,
      ask: false,
      pendingIn: undefined,
      approved: false,
      listed: false,
    };
    items.set(contact, { ...before, ...patch });
    return this.#newVersion(user);
  }

  #newVersion(user: string): string {
    const version = (this.versions.get(user) ?? 0) + 1;
    this.versions.set(user, version);
    return String(version);
  }
}

const isWithin = ({ id, peer, resource }: ArchivedMessage, range: ArchiveRange): boolean =>
  id >= range.from &&
  id < range.before &&
  (range.peer === undefined || range.peer === peer) &&
  (range.resource === undefined || range.resource === resource);
