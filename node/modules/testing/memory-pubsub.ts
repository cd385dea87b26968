/** Nodes of publish-subscribe in memory, for many nodes of one test. */
import type {
  PublishedItem,
  Pubsub,
  PubsubNodeWithLast,
  PubsubPatch,
} from "../../stores/contract.ts";
import { byAge, byBytes, nextChangeUs } from "../../stores/pubsub-order.ts";

interface Held extends PubsubNodeWithLast {
  readonly items: ReadonlyMap<string, PublishedItem>;
}

type Later = <T>(work: () => T) => Promise<T>;

const merged = (
  before: ReadonlyMap<string, string>,
  patch: ReadonlyMap<string, string | undefined> = new Map(),
): ReadonlyMap<string, string> => {
  const after = new Map(before);
  for (const [key, value] of patch) {
    if (value === undefined) after.delete(key);
    else after.set(key, value);
  }
  return after;
};

const fresh = (name: string): Held => ({
  name,
  config: "",
  affiliations: new Map(),
  subscriptions: new Map(),
  changedUs: 0,
  last: undefined,
  items: new Map(),
});

export class MemoryPubsub {
  readonly #owners = new Map<string, Map<string, Held>>();
  readonly #nowMs: () => number;
  /** Reads of the store, of all nodes. */
  reads = 0;

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
  }

  /** @param later how long the store takes, as one node of the test sees it */
  of(later: Later): Pubsub {
    return {
      list: (owner) =>
        later(() =>
          [...this.#nodes(owner).values()].toSorted((one, other) => byBytes(one.name, other.name)),
        ),
      read: (owner, names) => {
        this.reads += 1;
        return later(() => names.flatMap((name) => this.#nodes(owner).get(name) ?? []));
      },
      create: (owner, name, patch) =>
        later(() => this.#put(owner, this.#nodes(owner).get(name) ?? fresh(name), patch, {})),
      change: (owner, { name }, patch) =>
        later(() => this.#with(owner, name, (node) => this.#put(owner, node, patch, {}))),
      remove: (owner, { name }) => later(() => void this.#nodes(owner).delete(name)),
      publish: (owner, { name }, item, { isKept, removes }) =>
        later(() => {
          const node = this.#nodes(owner).get(name);
          if (node === undefined) return 0;
          const publishedUs = nextChangeUs(this.#nowMs(), node.changedUs);
          const last = { ...item, publishedUs };
          const items = without(node.items, removes);
          if (isKept) items.set(item.id, last);
          this.#put(owner, node, {}, { items, last });
          return publishedUs;
        }),
      itemIds: (owner, name) =>
        later(() => [...(this.#nodes(owner).get(name)?.items.values() ?? [])].toSorted(byAge)),
      items: (owner, name, ids) =>
        later(() => ids.flatMap((id) => this.#nodes(owner).get(name)?.items.get(id) ?? [])),
      removeItems: (owner, { name }, ids, last) =>
        later(() =>
          this.#with(owner, name, (node) =>
            this.#put(owner, node, {}, { items: without(node.items, ids), last }),
          ),
        ),
    };
  }

  delete(owner: string): void {
    this.#owners.delete(owner);
  }

  #nodes(owner: string): Map<string, Held> {
    const known = this.#owners.get(owner);
    if (known !== undefined) return known;
    const made = new Map<string, Held>();
    this.#owners.set(owner, made);
    return made;
  }

  #with(owner: string, name: string, work: (node: Held) => void): void {
    const node = this.#nodes(owner).get(name);
    if (node !== undefined) work(node);
  }

  #put(owner: string, node: Held, patch: PubsubPatch, changes: Partial<Held>): Held {
    const put: Held = {
      ...node,
      ...changes,
      config: patch.config ?? node.config,
      affiliations: merged(node.affiliations, patch.affiliations),
      subscriptions: merged(node.subscriptions, patch.subscriptions),
      changedUs: nextChangeUs(this.#nowMs(), node.changedUs),
    };
    this.#nodes(owner).set(node.name, put);
    return put;
  }
}

function without(
  items: ReadonlyMap<string, PublishedItem>,
  ids: "all" | readonly string[],
): Map<string, PublishedItem> {
  return new Map([...items].filter(([id]) => ids !== "all" && !ids.includes(id)));
}
