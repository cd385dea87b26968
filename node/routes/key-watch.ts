/**
 * What stands under a range of keys. Listed, then watched from the revision of the list; whatever
 * happens to the watch, it is thrown away and the list is made and compared again: a watch that goes
 * on by itself may have skipped events.
 */
import type { IWatchResponse } from "etcd3";
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { EtcdClient } from "./client.ts";
import { hangUp } from "./client.ts";
import type { KeyRange } from "./keys.ts";

export interface KeyWatchOptions {
  readonly client: Pick<EtcdClient, "kv" | "watchClient">;
  readonly range: KeyRange;
  /** "nodes", for the log. */
  readonly what: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly requestTimeoutMs: number;
  /** Also for what is known already, whenever the list is made again. */
  readonly onPut: (key: string, value: Buffer, writtenAt: number) => void;
  /** @param revision at which it was seen to be gone, or later */
  readonly onDelete: (key: string, revision: number) => void;
  /** After every list. */
  readonly onListed?: () => void;
}

/** What tells whether all changes below the range are known here. */
export interface Census {
  readonly count: number;
  /** The revision of the last write to one of the keys that are there; 0 without any. */
  readonly writtenAt: number;
}

type Stream = Awaited<ReturnType<EtcdClient["watchClient"]["watch"]>>;

const PAGE_KEYS = 500;
const BACKOFF_MIN_MS = 100;
const BACKOFF_MAX_MS = 5_000;

export class KeyWatch {
  readonly #options: KeyWatchOptions;
  /** When each was written. */
  readonly #known = new Map<string, number>();
  #catchingUp: Promise<void> | undefined;
  #stream: Stream | undefined;
  #revision = 0;
  #backoffMs = BACKOFF_MIN_MS;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: KeyWatchOptions) {
    this.#options = options;
  }

  /** Resolves after the first list. @throws whatever kept it from that */
  async start(): Promise<void> {
    await this.#list();
    void this.#watch();
  }

  /** The same without waiting: the first list is tried until it succeeds. */
  begin(): void {
    void this.#relist();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#drop();
  }

  /** Whether what was told is what etcd has. @param census of an answer of etcd's */
  isCurrent({ count, writtenAt }: Census): boolean {
    if (count !== this.#known.size) return false;
    let last = 0;
    for (const revision of this.#known.values()) last = Math.max(last, revision);
    return last === writtenAt;
  }

  /** Lists at once, whatever becomes of the watch. @throws what keeps it from that */
  catchUp(): Promise<void> {
    this.#catchingUp ??= this.#list().finally(() => {
      this.#catchingUp = undefined;
    });
    return this.#catchingUp;
  }

  async #list(): Promise<void> {
    const { client, range, onListed } = this.#options;
    const found = new Map<string, { readonly value: Buffer; readonly writtenAt: number }>();
    let { key } = range;
    let revision: string | undefined;
    for (;;) {
      const page = await client.kv.range({
        key,
        range_end: range.end,
        limit: PAGE_KEYS,
        ...(revision === undefined ? {} : { revision }),
      });
      revision ??= page.header.revision; // All pages are of one revision.
      for (const { key: at, value, mod_revision } of page.kvs) {
        found.set(at.toString(), { value, writtenAt: Number(mod_revision) });
      }
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) break;
      key = Buffer.concat([last.key, Buffer.from([0])]);
    }
    if (this.#isStopped || Number(revision) < this.#revision) return; // The watch knows better.
    this.#revision = Number(revision);
    for (const gone of [...this.#known.keys()].filter((known) => !found.has(known))) {
      this.#delete(gone, this.#revision);
    }
    for (const [at, { value, writtenAt }] of found) this.#put(at, value, writtenAt);
    onListed?.();
  }

  async #watch(): Promise<void> {
    const { client, range, clock, requestTimeoutMs } = this.#options;
    const { key, end } = range;
    try {
      const stream = await client.watchClient.watch();
      stream.on("error", (error) => this.#onOver(stream, error.message));
      stream.on("end", () => this.#onOver(stream, "etcd ended it"));
      stream.on("data", (response) => this.#onData(stream, response));
      if (this.#isStopped) {
        hangUp(stream);
        return;
      }
      this.#stream = stream;
      const start_revision = String(this.#revision + 1);
      stream.write({ create_request: { key, range_end: end, start_revision } });
      this.#timer = clock.after(requestTimeoutMs, () => this.#onOver(stream, "not created"));
    } catch (error) {
      this.#again(error instanceof Error ? error.message : String(error));
    }
  }

  #onData(stream: Stream, response: IWatchResponse): void {
    if (stream !== this.#stream) return;
    if (response.canceled) {
      // Also what a revision that was compacted away looks like.
      this.#onOver(stream, response.cancel_reason || "etcd canceled it");
      return;
    }
    if (response.created) {
      this.#timer?.cancel();
      this.#backoffMs = BACKOFF_MIN_MS;
    }
    for (const { type, kv } of response.events) {
      const revision = Number(kv.mod_revision);
      if (revision <= this.#revision) continue;
      const key = kv.key.toString();
      if (/delete/i.test(String(type))) this.#delete(key, revision);
      else this.#put(key, kv.value, revision);
    }
    const last = response.events.at(-1);
    if (last !== undefined) this.#revision = Math.max(this.#revision, Number(last.kv.mod_revision));
  }

  #onOver(stream: Stream, reason: string): void {
    if (stream !== this.#stream) return;
    this.#drop();
    this.#again(reason);
  }

  #drop(): void {
    const stream = this.#stream;
    this.#stream = undefined;
    if (stream !== undefined) hangUp(stream);
  }

  #again(reason: string): void {
    if (this.#isStopped) return;
    const { clock, log, what } = this.#options;
    log.warn({ reason }, `watch of ${what} lost`);
    this.#timer?.cancel();
    this.#timer = clock.after(this.#backoffMs, () => void this.#relist());
    this.#backoffMs = Math.min(this.#backoffMs * 2, BACKOFF_MAX_MS);
  }

  async #relist(): Promise<void> {
    try {
      await this.#list();
    } catch (error) {
      this.#again(error instanceof Error ? error.message : String(error));
      return;
    }
    if (!this.#isStopped) await this.#watch();
  }

  #put(key: string, value: Buffer, writtenAt: number): void {
    this.#known.set(key, writtenAt);
    this.#options.onPut(key, value, writtenAt);
  }

  #delete(key: string, revision: number): void {
    this.#known.delete(key);
    this.#options.onDelete(key, revision);
  }
}
