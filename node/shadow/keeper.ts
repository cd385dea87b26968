/**
 * The shadow's half of mirroring: copies of other nodes' sessions, in memory, until they are dropped
 * or their node dies. A pure machine: what a copy is, is handed in.
 */
import type { MirrorItem, Verdict } from "./mirror.ts";

interface Copy<State> {
  sequence: number;
  state: State;
}

/** Of one owner. */
interface Copies<State> {
  /** The owner's: all that it sent in an earlier one is void. See mirror.ts. */
  term: number;
  readonly byId: Map<string, Copy<State>>;
}

export interface KeeperParts<State> {
  whole(payload: Buffer): State;
  /** @throws Error when it does not fit: then there is no copy */
  change(state: State, payload: Buffer): State;
}

export class Keeper<State> {
  readonly #parts: KeeperParts<State>;
  readonly #byOwner = new Map<string, Copies<State>>();
  #size = 0;

  constructor(parts: KeeperParts<State>) {
    this.#parts = parts;
  }

  /** Copies of sessions. */
  get size(): number {
    return this.#size;
  }

  /** The nodes whose copy of that session is here. */
  ownersOf(id: string): readonly string[] {
    return [...this.#byOwner].filter(([, { byId }]) => byId.has(id)).map(([owner]) => owner);
  }

  find(isThat: (state: State) => boolean): State | undefined {
    for (const { byId } of this.#byOwner.values()) {
      for (const { state } of byId.values()) if (isThat(state)) return state;
    }
    return undefined;
  }

  /** @throws what `whole` and `change` throw: then the rest is not taken */
  take(owner: string, term: number, items: readonly MirrorItem[]): readonly Verdict[] {
    const copies = this.#of(owner, term);
    // Late, over a connection that is over.
    if (copies.term > term) return items.map(() => "unknown");
    const before = copies.byId.size;
    try {
      return items.map((item) => this.#takeOne(copies.byId, item));
    } finally {
      this.#size += copies.byId.size - before;
    }
  }

  /** The copies of a node's sessions. @param voidTerm the last one that the owner renounced here */
  copiesOf(owner: string, voidTerm: number): KeptCopies<State> {
    const { term, byId } = this.#byOwner.get(owner) ?? { term: 0, byId: new Map() };
    return { term, byId: term > voidTerm ? byId : new Map() };
  }

  /** The copies of a node that is dead; they are the caller's now. */
  takeAll(owner: string, voidTerm: number): KeptCopies<State> {
    const copies = this.copiesOf(owner, voidTerm);
    this.#size -= this.#byOwner.get(owner)?.byId.size ?? 0;
    this.#byOwner.delete(owner);
    return copies;
  }

  /** What their owners renounced here goes, and what comes late of it is refused. @param terms by owner */
  renounced(terms: ReadonlyMap<string, number>): void {
    for (const [owner, { term }] of this.#byOwner) {
      const voidTerm = terms.get(owner) ?? 0;
      if (term <= voidTerm) this.#of(owner, voidTerm + 1);
    }
  }

  /** What was renounced here is not known any more. */
  forgetAll(): void {
    this.#byOwner.clear();
    this.#size = 0;
  }

  #of(owner: string, term: number): Copies<State> {
    const known = this.#byOwner.get(owner);
    if (known !== undefined && known.term >= term) return known;
    this.#size -= known?.byId.size ?? 0;
    const copies = { term, byId: new Map<string, Copy<State>>() };
    this.#byOwner.set(owner, copies);
    return copies;
  }

  #takeOne(copies: Map<string, Copy<State>>, { kind, id, sequence, payload }: MirrorItem): Verdict {
    const copy = copies.get(id);
    switch (kind) {
      case "drop":
        copies.delete(id);
        return "stored";
      case "whole":
        copies.set(id, { sequence, state: this.#parts.whole(payload) });
        return "stored";
      case "change":
        if (copy === undefined || copy.sequence + 1 !== sequence) return "unknown";
        copies.delete(id); // Unless it fits.
        copy.state = this.#parts.change(copy.state, payload);
        copy.sequence = sequence;
        copies.set(id, copy);
        return "stored";
      default:
        return kind satisfies never;
    }
  }
}

/** What a node left here. */
export interface KeptCopies<State> {
  /** In which they were sent. */
  readonly term: number;
  readonly byId: ReadonlyMap<string, { readonly state: State }>;
}
