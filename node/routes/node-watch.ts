/** The other live nodes. */
import type { NodeRecord } from "./contract.ts";
import type { Census, KeyWatchOptions } from "./key-watch.ts";
import { KeyWatch } from "./key-watch.ts";
import type { Keys } from "./keys.ts";
import { decodeNode } from "./keys.ts";

export interface NodeWatchOptions
  extends Pick<KeyWatchOptions, "client" | "clock" | "log" | "requestTimeoutMs"> {
  readonly keys: Keys;
  /** Our own incarnation: left out. */
  readonly self: string;
  readonly onUp: (node: NodeRecord) => void;
  /** It wrote its record again: it has another lease, and may have had none meanwhile. */
  readonly onRenewed: (node: NodeRecord, revision: number) => void;
  /** @param revision at which it was seen to be gone, or later */
  readonly onDown: (node: NodeRecord, revision: number) => void;
}

export class NodeWatch {
  readonly #options: NodeWatchOptions;
  readonly #watch: KeyWatch;
  readonly #byKey = new Map<string, { readonly record: NodeRecord; readonly writtenAt: number }>();

  constructor(options: NodeWatchOptions) {
    this.#options = options;
    this.#watch = new KeyWatch({
      ...options,
      range: options.keys.nodes,
      what: "nodes",
      onPut: (key, value, writtenAt) => this.#put(key, decodeNode(value), writtenAt),
      onDelete: (key, revision) => this.#remove(key, revision),
    });
  }

  /** See KeyWatch. */
  isCurrent(census: Census): boolean {
    return this.#watch.isCurrent(census);
  }

  /** See KeyWatch. */
  catchUp(): Promise<void> {
    return this.#watch.catchUp();
  }

  /** Resolves after the first list. @throws whatever kept it from that */
  start(): Promise<void> {
    return this.#watch.start();
  }

  stop(): void {
    this.#watch.stop();
  }

  #put(key: string, record: NodeRecord | undefined, revision: number): void {
    if (record === undefined) {
      this.#remove(key, revision);
      return;
    }
    if (record.incarnation === this.#options.self) return;
    const known = this.#byKey.get(key);
    if (known !== undefined && JSON.stringify(known.record) === JSON.stringify(record)) {
      this.#byKey.set(key, { record: known.record, writtenAt: revision });
      if (revision > known.writtenAt) this.#options.onRenewed(known.record, revision);
      return;
    }
    if (known !== undefined) this.#remove(key, revision);
    this.#byKey.set(key, { record, writtenAt: revision });
    this.#options.onUp(record);
  }

  #remove(key: string, revision: number): void {
    const known = this.#byKey.get(key);
    if (known === undefined) return;
    this.#byKey.delete(key);
    this.#options.onDown(known.record, revision);
  }
}
