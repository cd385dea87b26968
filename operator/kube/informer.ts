/** Keeps a copy of a kind's objects true: list, then watch from there, for ever. A watch that ends
 * is resumed where it stopped; when that is not possible, the list is read again and compared. */

import type { BackoffOptions } from "../loop/backoff.ts";
import { backoffMs } from "../loop/backoff.ts";
import type { Clock, Random } from "../loop/clock.ts";
import { delay, unlessAborted } from "../loop/clock.ts";
import type { Logger } from "../loop/contract.ts";
import { keyText, parseKey } from "../loop/contract.ts";
import { compareVersions } from "../loop/versions.ts";
import type { Source, WatchEvent } from "./client.ts";
import { listAll } from "./client.ts";
import type { Informer, Key, KubeObject, Selection } from "./contract.ts";
import { keyOf } from "./contract.ts";
import { isKubeError } from "./errors.ts";

export type RelistReason = "start" | "expired" | "failures";

export interface InformerMetrics {
  relist(kind: string, reason: RelistReason): void;
  /** A watch could not be opened or broke. */
  watchFailure(kind: string): void;
}

export interface InformerOptions {
  readonly source: Source;
  readonly apiVersion: string;
  readonly kind: string;
  readonly selection?: Selection;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Logger;
  readonly metrics: InformerMetrics;
  /** Longest silence of a watch, which may be a half-open connection; it is then resumed. Bookmarks
   * come every minute once a kind has changed at all, so the default of 90,000 seldom does it in
   * vain. */
  readonly idleMs?: number;
  /** Default 500 ms doubling to 30 s. */
  readonly backoff?: BackoffOptions;
  /** A watch that lasted so long was healthy: the next opens without a wait. Default 5,000. */
  readonly healthyMs?: number;
}

const BACKOFF: BackoffOptions = { firstMs: 500, maxMs: 30_000 };
/** The server is asked to end a watch after 5 to 10 minutes, so that watches spread over
 * servers. */
const WATCH_SECONDS = 300;
/** After so many failures in a row the place to resume from is in doubt. */
const FAILURES_BEFORE_RELIST = 5;
/** So many lists older than what was already seen are refused; then the server is believed: it was
 * restored from a backup. */
const STALE_LISTS_MAX = 5;

export function createInformer<T extends KubeObject>(options: InformerOptions): Informer<T> {
  return new ListWatchInformer<T>(options);
}

class ListWatchInformer<T extends KubeObject> implements Informer<T> {
  readonly apiVersion: string;
  readonly kind: string;
  readonly #options: InformerOptions;
  readonly #log: Logger;
  readonly #listeners = new Set<(key: Key) => void>();
  #firstList = firstList();
  #objects = new Map<string, T>();
  #version = "";
  #lastSyncMs: number | undefined;
  #staleLists = 0;
  /** One per start; a loop that is not of the current run does nothing any more. */
  #run: AbortController | undefined;

  constructor(options: InformerOptions) {
    this.#options = options;
    this.apiVersion = options.apiVersion;
    this.kind = options.kind;
    this.#log = options.log.child({ informer: options.kind });
  }

  get(key: Key): T | undefined {
    return this.#objects.get(keyText(key));
  }

  list(): readonly T[] {
    return [...this.#objects.values()];
  }

  get resourceVersion(): string {
    return this.#version;
  }

  get isSynced(): boolean {
    return this.#lastSyncMs !== undefined;
  }

  get lastSyncMs(): number | undefined {
    return this.#lastSyncMs;
  }

  synced(signal?: AbortSignal): Promise<void> {
    return unlessAborted(this.#firstList.promise, signal);
  }

  onChange(listener: (key: Key) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  start(): void {
    if (this.#run !== undefined) return;
    this.#run = new AbortController();
    void this.#live(this.#run.signal);
  }

  stop(): void {
    const stopped = new Error(`Cannot watch ${this.kind}: the informer stopped`);
    this.#run?.abort(stopped);
    this.#run = undefined;
    this.#firstList.reject(stopped); // Without effect if it is long there.
    if (!this.isSynced) this.#firstList = firstList();
  }

  /** The life of one run. Never throws, never ends before the signal fires. */
  async #live(signal: AbortSignal): Promise<void> {
    const { clock, random, metrics, backoff = BACKOFF, healthyMs = 5_000 } = this.#options;
    let relist: RelistReason | undefined = "start";
    let failures = 0;
    while (!signal.aborted) {
      let openedMs: number | undefined;
      let retryAfterMs = 0;
      try {
        if (relist !== undefined) await this.#relist(relist, signal);
        relist = undefined;
        await this.#watch(signal, () => {
          openedMs = clock.monotonicMs();
          this.#lastSyncMs = openedMs;
        });
      } catch (error) {
        if (signal.aborted) return;
        // Silence is no failure: a kind that never changed gets no bookmarks either.
        const isSilence = openedMs !== undefined && isKubeError(error, "DeadlineExceeded");
        if (!isSilence) metrics.watchFailure(this.kind);
        relist ??= isExpired(error) ? "expired" : undefined;
        if (isKubeError(error)) retryAfterMs = (error.retryAfterSeconds ?? 0) * 1_000;
        this.#log.debug({ err: error, failures }, "informer.watch-ended");
      }
      const isHealthy = openedMs !== undefined && clock.monotonicMs() - openedMs >= healthyMs;
      failures = isHealthy ? 0 : failures + 1;
      if (failures > 0 && failures % FAILURES_BEFORE_RELIST === 0) {
        relist ??= "failures";
        this.#log.warn({ failures }, "informer.failing");
      }
      const waitMs = failures === 0 ? 0 : backoffMs(failures, backoff, random);
      await delay(clock, Math.max(waitMs, retryAfterMs), signal).catch(() => {});
    }
  }

  async #relist(reason: RelistReason, signal: AbortSignal): Promise<void> {
    const { source, apiVersion, kind, selection, clock, metrics } = this.#options;
    metrics.relist(kind, reason);
    const page = await listAll<T>(source, apiVersion, kind, { ...selection, signal });
    signal.throwIfAborted();
    const isOld = (compareVersions(page.resourceVersion, this.#version) ?? 0) < 0;
    this.#staleLists = isOld ? this.#staleLists + 1 : 0;
    if (isOld && this.#staleLists <= STALE_LISTS_MAX) {
      const seen = `${page.resourceVersion} is older than ${this.#version}`;
      throw new Error(`Cannot use the list of ${kind}: ${seen}`);
    }
    const before = this.#objects;
    this.#objects = new Map(page.items.map((object) => [keyText(keyOf(object)), object]));
    this.#version = page.resourceVersion;
    this.#lastSyncMs = clock.monotonicMs();
    this.#staleLists = 0;
    this.#firstList.resolve();
    for (const key of before.keys()) if (!this.#objects.has(key)) this.#tell(key);
    for (const [key, object] of this.#objects) this.#compare(key, before.get(key), object);
  }

  async #watch(signal: AbortSignal, onOpen: () => void): Promise<void> {
    const { source, apiVersion, kind, selection = {}, random, idleMs = 90_000 } = this.#options;
    const events = source.watch<T>(apiVersion, kind, selection, {
      resourceVersion: this.#version,
      timeoutSeconds: Math.round(WATCH_SECONDS * (1 + random())),
      idleMs,
      signal,
      onOpen,
    });
    for await (const event of events) {
      if (signal.aborted) return;
      this.#take(event);
    }
  }

  #take(event: WatchEvent<T>): void {
    this.#lastSyncMs = this.#options.clock.monotonicMs();
    if (event.kind === "bookmark") {
      this.#advance(event.resourceVersion);
      return;
    }
    const { object } = event;
    const version = object.metadata.resourceVersion ?? "";
    // The stream is ordered: what is not newer than the store was seen, and must not undo it.
    if ((compareVersions(version, this.#version) ?? 1) <= 0) return;
    const key = keyText(keyOf(object));
    const before = this.#objects.get(key);
    this.#advance(version);
    if (event.kind === "deleted") {
      this.#objects.delete(key);
      this.#tell(key);
      return;
    }
    this.#objects.set(key, object);
    this.#compare(key, before, object);
  }

  #advance(version: string): void {
    if (version !== "" && (compareVersions(version, this.#version) ?? 1) > 0)
      this.#version = version;
  }

  /** Tells what changed; twice if the object is another of the same name: one went, one came. */
  #compare(key: string, before: T | undefined, now: T): void {
    if (before?.metadata.resourceVersion === now.metadata.resourceVersion && before) return;
    if (before !== undefined && before.metadata.uid !== now.metadata.uid) this.#tell(key);
    this.#tell(key);
  }

  #tell(key: string): void {
    for (const listener of this.#listeners) {
      try {
        listener(parseKey(key));
      } catch (error) {
        // A listener only enqueues; one that fails must not stop the store from being kept.
        this.#log.error({ err: error, key }, "informer.listener-failed");
      }
    }
  }
}

function firstList(): PromiseWithResolvers<void> {
  const first = Promise.withResolvers<void>();
  first.promise.catch(() => {}); // Whoever waits is told; nobody has to.
  return first;
}

/** The server no longer remembers the version asked for (410), or rejects it as one of the
 * future. */
function isExpired(error: unknown): boolean {
  if (!isKubeError(error)) return false;
  return error.status === 410 || error.status === 400 || error.reason === "KindNotServed";
}
