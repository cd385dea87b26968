/** What etcd knows of nodes and void copies, as node/routes/void-copies.ts writes it. */

export class Etcd {
  /** Nodes whose record is on a lease. */
  readonly #nodes = new Set<string>();
  /** Terms, by keeper and owner. They outlive leases. */
  readonly #notes = new Map<string, Map<string, number>>();

  has(node: string): boolean {
    return this.#nodes.has(node);
  }

  grant(node: string): void {
    this.#nodes.add(node);
  }

  lapse(node: string): void {
    this.#nodes.delete(node);
  }

  renounce(owner: string, keeper: string, term: number): void {
    const notes = this.#notes.get(keeper) ?? new Map<string, number>();
    this.#notes.set(keeper, notes.set(owner, Math.max(term, notes.get(owner) ?? 0)));
  }

  /** By owner. */
  renounced(keeper: string): ReadonlyMap<string, number> {
    return this.#notes.get(keeper) ?? new Map();
  }
}
