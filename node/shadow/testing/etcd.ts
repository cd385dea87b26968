/** What etcd knows of nodes and void copies, as node/routes/void-copies.ts writes it. */

interface Note {
  readonly term: number;
  readonly lease: number;
}

export class Etcd {
  /** The lease that each node's record is on. */
  readonly #leases = new Map<string, number>();
  readonly #notes = new Map<string, Note>();
  #last = 0;

  has(node: string): boolean {
    return this.#leases.has(node);
  }

  /** Puts the record on a new lease; the one before goes with all that is on it. */
  grant(node: string): void {
    this.lapse(node);
    this.#last += 1;
    this.#leases.set(node, this.#last);
  }

  lapse(node: string): void {
    const lease = this.#leases.get(node);
    this.#leases.delete(node);
    for (const [key, note] of this.#notes) if (note.lease === lease) this.#notes.delete(key);
  }

  renounce(owner: string, keeper: string, term: number): void {
    const lease = this.#leases.get(keeper);
    if (lease === undefined || this.renounced(owner, keeper) >= term) return;
    this.#notes.set(`${keeper} ${owner}`, { term, lease });
  }

  renounced(owner: string, keeper: string): number {
    return this.#notes.get(`${keeper} ${owner}`)?.term ?? 0;
  }
}
