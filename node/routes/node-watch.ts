/**
 * The other live nodes. Listed, then watched from the revision of the list; whatever happens to the
 * watch, it is thrown away and the list is made and compared again: a watch that goes on by itself
 * may have skipped events.
 */
import type { IWatchResponse } from "etcd3";
import type { Clock, Timer } from "../base/clock.ts";
import type { Logger } from "../base/log.ts";
import type { EtcdClient } from "./client.ts";
import { hangUp } from "./client.ts";
import type { NodeRecord } from "./contract.ts";
import type { Keys } from "./keys.ts";
import { decodeNode } from "./keys.ts";

export interface NodeWatchOptions {
  readonly client: Pick<EtcdClient, "kv" | "watchClient">;
  readonly keys: Keys;
  /** Our own incarnation: left out. */
  readonly self: string;
  readonly clock: Clock;
  readonly log: Logger;
  readonly requestTimeoutMs: number;
  readonly onUp: (node: NodeRecord) => void;
  /** @param revision at which it was seen to be gone, or later */
  readonly onDown: (node: NodeRecord, revision: number) => void;
}

type Stream = Awaited<ReturnType<EtcdClient["watchClient"]["watch"]>>;

const PAGE_NODES = 500;
const BACKOFF_MIN_MS = 100;
const BACKOFF_MAX_MS = 5_000;

export class NodeWatch {
  readonly #options: NodeWatchOptions;
  readonly #byKey = new Map<string, NodeRecord>();
  readonly #nodes = new Map<string, NodeRecord>();
  #stream: Stream | undefined;
  #revision = 0;
  #backoffMs = BACKOFF_MIN_MS;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: NodeWatchOptions) {
    this.#options = options;
  }

  get nodes(): ReadonlyMap<string, NodeRecord> {
    return this.#nodes;
  }

  /** Resolves after the first list. @throws whatever kept it from that */
  async start(): Promise<void> {
    await this.#list();
    void this.#watch();
  }

  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
    this.#drop();
  }

  async #list(): Promise<void> {
    const { client, keys } = this.#options;
    const { key: first, end } = keys.nodes;
    const found = new Map<string, NodeRecord>();
    let key = first;
    let revision: string | undefined;
    for (;;) {
      const page = await client.kv.range({
        key,
        range_end: end,
        limit: PAGE_NODES,
        ...(revision === undefined ? {} : { revision }),
      });
      revision ??= page.header.revision; // All pages are of one revision.
      for (const kv of page.kvs) {
        const record = decodeNode(kv.value);
        if (record !== undefined) found.set(kv.key.toString(), record);
      }
      const last = page.kvs.at(-1);
      if (!page.more || last === undefined) break;
      key = Buffer.concat([last.key, Buffer.from([0])]);
    }
    if (this.#isStopped) return;
    this.#revision = Number(revision);
    for (const gone of [...this.#byKey.keys()].filter((known) => !found.has(known))) {
      this.#remove(gone, this.#revision);
    }
    for (const [at, record] of found) this.#put(at, record, this.#revision);
  }

  async #watch(): Promise<void> {
    const { client, keys, clock, requestTimeoutMs } = this.#options;
    const { key, end } = keys.nodes;
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
      const record = /delete/i.test(String(type)) ? undefined : decodeNode(kv.value);
      if (record === undefined) this.#remove(key, revision);
      else this.#put(key, record, revision);
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
    const { clock, log } = this.#options;
    log.warn({ reason }, "watch of nodes lost");
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

  #put(key: string, record: NodeRecord, revision: number): void {
    if (record.incarnation === this.#options.self) return;
    const known = this.#byKey.get(key);
    if (known !== undefined && JSON.stringify(known) === JSON.stringify(record)) return;
    if (known !== undefined) this.#remove(key, revision);
    this.#byKey.set(key, record);
    this.#nodes.set(record.incarnation, record);
    this.#options.onUp(record);
  }

  #remove(key: string, revision: number): void {
    const record = this.#byKey.get(key);
    if (record === undefined) return;
    this.#byKey.delete(key);
    this.#nodes.delete(record.incarnation);
    this.#options.onDown(record, revision);
  }
}
