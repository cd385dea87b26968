/**
 * How other nodes stand as shadows: which of them may have copies, and in which term they are spoken to.
 *
 * A shadow that does not answer may be alive, with copies that grow old. Before anything counts as
 * stored elsewhere, its copies are renounced: noted as void where it must look before it uses them.
 * The note names a term; what is sent to that node later is of the next one.
 */

export interface StandingParts {
  /** Asks whether it takes copies of that term; if it does, those of earlier ones are gone. Rejects if not. */
  ask(node: string, term: number): Promise<unknown>;
  /** See MirrorParts. */
  renounce(node: string, term: number): Promise<boolean>;
  readonly notesLastMs: number;
  after(ms: number, work: () => void): void;
  nowMs(): number;
  /** Whether there is a node of that kind at all. */
  isThere(isWanted: (node: string) => boolean): boolean;
  /** Sessions that had nobody to mirror them may have somebody now. */
  onUsable(): void;
  /** What has its copies there must have others. */
  leave(node: string): void;
  /** Sends what is due; settles when those that are usable have answered, or not. Never rejects. */
  sendNow(): Promise<unknown>;
}

/** A node that did not answer is asked again and again, after so long, whether it takes copies. */
export const PROBE_MS = 1_000;
/** The first time only after so long, if it answered and then failed at once: it has too much to do. */
export const SUSPECT_MS = 10_000;
/** Who has a new lease itself waits so long for those that lost theirs at the same time. */
export const RETURN_MS = 6_000;

export class Standing {
  readonly #parts: StandingParts;
  /** Nodes that did not answer, until they do; and when that was, of those that did. */
  readonly #suspects = new Set<string>();
  readonly #trustedMs = new Map<string, number>();
  /** Of nodes that were sent something, failed us, or went; it never goes back. */
  readonly #terms = new Map<string, number>();
  /** Of all others: no less than that of any that is not remembered any more. */
  #firstTerm = 1;
  /** Nodes that were sent something in their term. */
  readonly #told = new Set<string>();
  /** Nodes that were taken for dead, the first ones first, and when; they may come back. */
  readonly #gone = new Map<string, number>();
  /** Nodes without a lease. Their copies count, and yet they can take nothing over meanwhile. */
  readonly #lapsed = new Set<string>();
  /** Those of them that keep what they have until others have it, and get nothing meanwhile. */
  readonly #retiring = new Set<string>();
  readonly #renouncing = new Set<Promise<void>>();
  /** Since when this node can renounce others; undefined: it cannot. */
  #heldSinceMs: number | undefined = Number.NEGATIVE_INFINITY;

  constructor(parts: StandingParts) {
    this.#parts = parts;
  }

  termOf(node: string): number {
    return this.#terms.get(node) ?? this.#firstTerm;
  }

  /** It is sent something. */
  told(node: string): void {
    this.#told.add(node);
    this.#terms.set(node, this.termOf(node));
  }

  isUsable(node: string): boolean {
    return !this.#gone.has(node) && !this.#suspects.has(node) && !this.#retiring.has(node);
  }

  /** The same of one that could take sessions over at once. */
  hasLease(node: string): boolean {
    return this.isUsable(node) && !this.#lapsed.has(node);
  }

  /** Settles when all that were left cannot use their copies any more; undefined: it is so already. */
  get renounced(): Promise<unknown> | undefined {
    return this.#renouncing.size > 0 ? Promise.all(this.#renouncing) : undefined;
  }

  /** It may or may not have what it was sent, and may come back: others are asked meanwhile. */
  failed(node: string, term: number): void {
    if (this.termOf(node) !== term) return; // Known, from another frame.
    const trustedMs = this.#trustedMs.get(node) ?? Number.NEGATIVE_INFINITY;
    const isAgain = this.#parts.nowMs() - trustedMs < PROBE_MS;
    this.#suspects.add(node);
    void this.#renounce(node, this.#leave(node));
    this.#probeLater(node, term + 1, isAgain ? SUSPECT_MS : PROBE_MS);
  }

  /** It is dead, or cut off from all others: it may come back with the copies that it has. */
  down(node: string): void {
    this.#lapsed.delete(node);
    this.#suspects.delete(node);
    this.#trustedMs.delete(node);
    if (this.#gone.has(node)) return;
    this.#forgetLongGone();
    this.#gone.set(node, this.#parts.nowMs());
    void this.#renounce(node, this.#leave(node));
  }

  /** Whoever has not looked for so long whether its copies are void has forgotten them when it comes back. */
  #forgetLongGone(): void {
    for (const [node, sinceMs] of this.#gone) {
      if (this.#parts.nowMs() - sinceMs < this.#parts.notesLastMs) return;
      this.#gone.delete(node);
      this.#firstTerm = Math.max(this.#firstTerm, this.termOf(node));
      this.#terms.delete(node);
    }
  }

  /** It has none any more. */
  lapsed(node: string): void {
    this.#lapsed.add(node);
    this.#retireLapsed();
  }

  /** It has a lease. */
  up(node: string): void {
    this.#lapsed.delete(node);
    if (this.#gone.delete(node)) {
      // Until it says that what it had is gone, and others have that.
      this.#suspects.add(node);
      const probe = () => void this.#probe(node, this.termOf(node));
      void (this.renounced ?? Promise.resolve()).then(probe);
    } else this.#parts.onUsable();
    this.#retireLapsed();
  }

  leaseLost(): void {
    this.#heldSinceMs = undefined;
  }

  leaseRegained(): void {
    this.#heldSinceMs = this.#parts.nowMs();
    this.#parts.after(RETURN_MS, () => this.#retireLapsed());
  }

  /** @returns the term that is to be renounced, if anything was sent in it */
  #leave(node: string): number | undefined {
    const term = this.termOf(node);
    this.#terms.set(node, term + 1);
    this.#parts.leave(node);
    return this.#told.delete(node) ? term : undefined;
  }

  /**
   * Others that have a lease are a better place. Until they have what those without one have, that
   * stays: a death meanwhile loses nothing, only takes longer.
   */
  #retireLapsed(): void {
    if (this.#lapsed.size === 0) return;
    const { nowMs, isThere, ask, onUsable } = this.#parts;
    const isSettled = nowMs() - (this.#heldSinceMs ?? Number.POSITIVE_INFINITY) >= RETURN_MS;
    if (!isSettled || !isThere((node) => this.hasLease(node))) return;
    for (const node of this.#lapsed) {
      if (!this.isUsable(node) || !this.#told.has(node)) continue;
      this.#retiring.add(node);
      void this.#renounce(node, this.#leave(node)).then(() => {
        ask(node, this.termOf(node)).catch(() => {}); // So that it forgets them.
        onUsable();
      });
    }
  }

  /** Once others have what it has: should this node die meanwhile, that is all that is left. */
  async #renounce(node: string, term: number | undefined): Promise<void> {
    if (term === undefined) return;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#renouncing.add(promise);
    do {
      await this.#parts.sendNow();
    } while (!(await this.#parts.renounce(node, term)));
    this.#retiring.delete(node);
    this.#renouncing.delete(promise);
    resolve();
  }

  #probeLater(node: string, term: number, pauseMs: number): void {
    this.#parts.after(pauseMs, () => void this.#probe(node, term));
  }

  /** Sessions without a shadow must not be so for longer than there is none. Never rejects. */
  async #probe(node: string, term: number): Promise<void> {
    const isOver = () => !this.#suspects.has(node) || this.termOf(node) !== term;
    if (isOver()) return;
    const isThere = await this.#parts.ask(node, term).then(
      () => true,
      () => false,
    );
    if (isOver()) return;
    if (!isThere) {
      this.#probeLater(node, term, PROBE_MS);
      return;
    }
    this.#suspects.delete(node);
    this.#trustedMs.set(node, this.#parts.nowMs());
    this.#parts.onUsable();
  }
}
