/** The other live nodes. */
import type { NodeRecord } from "./contract.ts";
import type { KeyWatchOptions } from "./key-watch.ts";
import { KeyWatch } from "./key-watch.ts";
import type { Keys } from "./keys.ts";
import { decodeNode } from "./keys.ts";

export interface NodeWatchOptions
  extends Pick<KeyWatchOptions, "client" | "clock" | "log" | "requestTimeoutMs"> {
  readonly keys: Keys;
  /** Our own incarnation: left out. */
  readonly self: string;
  readonly onUp: (node: NodeRecord) => void;
  /** @param revision at which it was seen to be gone, or later */
  readonly onDown: (node: NodeRecord, revision: number) => void;
}

export class NodeWatch {
  readonly #options: NodeWatchOptions;
  readonly #watch: KeyWatch;
  readonly #byKey = new Map<string, NodeRecord>();
  readonly #nodes = new Map<string, NodeRecord>();

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

  get nodes(): ReadonlyMap<string, NodeRecord> {
    return this.#nodes;
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
