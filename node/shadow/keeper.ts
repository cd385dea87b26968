/**
 * The shadow's half of mirroring: copies of other nodes' sessions, in memory, until they are dropped
 * or their node dies. A pure machine: what a copy is, is handed in.
 */
import type { MirrorItem, Verdict } from "./mirror.ts";

interface Copy<State> {
  readonly user: string;
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
  userOf(state: State): string;
  whole(payload: Buffer): State;
  /** @throws Error when it does not fit: then there is no copy */
  change(state: State, payload: Buffer): State;
}

export class Keeper<State> {
  readonly #parts: KeeperParts<State>;
  readonly #byOwner = new Map<string, Copies<State>>();
  /** The same: each login asks for those of one user where a node has died. */
  readonly #byUser = new Map<string, readonly Copy<State>[]>();
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

  ofUser(user: string): readonly State[] {
    return (this.#byUser.get(user) ?? []).map(({ state }) => state);
  }

  /** @throws what `whole` and `change` throw: then the rest is not taken */
  take(owner: string, term: number, items: readonly MirrorItem[]): readonly Verdict[] {
    const copies = this.#of(owner, term);
    // Late, over a connection that is over.
    if (copies.term > term) return items.map(() => "unknown");
    return items.map((item) => this.#takeOne(copies.byId, item));
  }

  /** The copies of a node's sessions. @param voidTerm the last one that the owner renounced here */
  copiesOf(owner: string, voidTerm: number): KeptCopies<State> {
    const { term, byId } = this.#byOwner.get(owner) ?? { term: 0, byId: new Map() };
    return { term, byId: term > voidTerm ? byId : new Map() };
  }

  /** The copies of a node that is dead; they are the caller's now. */
  takeAll(owner: string, voidTerm: number): KeptCopies<State> {
    const copies = this.copiesOf(owner, voidTerm);
    this.#unlist(this.#byOwner.get(owner));
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
    this.#byUser.clear();
    this.#size = 0;
  }

  #of(owner: string, term: number): Copies<State> {
    const known = this.#byOwner.get(owner);
    if (known !== undefined && known.term >= term) return known;
    this.#unlist(known);
    const copies = { term, byId: new Map<string, Copy<State>>() };
    this.#byOwner.set(owner, copies);
    return copies;
  }

  #takeOne(copies: Map<string, Copy<State>>, { kind, id, sequence, payload }: MirrorItem): Verdict {
    const copy = copies.get(id);
    switch (kind) {
      case "drop":
        this.#remove(copies, id);
        return "stored";
      case "whole":
        this.#add(copies, id, sequence, this.#parts.whole(payload));
        return "stored";
      case "change":
        if (copy === undefined || copy.sequence + 1 !== sequence) return "unknown";
        try {
          copy.state = this.#parts.change(copy.state, payload);
        } catch (error) {
          this.#remove(copies, id);
          throw error;
        }
        copy.sequence = sequence;
        return "stored";
      default:
        return kind satisfies never;
    }
  }

  #add(copies: Map<string, Copy<State>>, id: string, sequence: number, state: State): void {
    this.#remove(copies, id);
    const copy = { user: this.#parts.userOf(state), sequence, state };
    copies.set(id, copy);
    this.#byUser.set(copy.user, [...(this.#byUser.get(copy.user) ?? []), copy]);
    this.#size += 1;
  }

  #remove(copies: Map<string, Copy<State>>, id: string): void {
    const copy = copies.get(id);
    if (copy === undefined) return;
    copies.delete(id);
    this.#unlistOne(copy);
  }

  #unlist(copies: Copies<State> | undefined): void {
    for (const copy of copies?.byId.values() ?? []) this.#unlistOne(copy);
  }

  #unlistOne(copy: Copy<State>): void {
    const others = (this.#byUser.get(copy.user) ?? []).filter((one) => one !== copy);
    if (others.length > 0) this.#byUser.set(copy.user, others);
    else this.#byUser.delete(copy.user);
    this.#size -= 1;
  }
}

/** What a node left here. */
export interface KeptCopies<State> {
  /** In which they were sent. */
  readonly term: number;
  readonly byId: ReadonlyMap<string, { readonly state: State }>;
}
