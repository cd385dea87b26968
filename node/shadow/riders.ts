/**
 * Sessions with something to say that nobody waits for: it goes along with what goes to the same
 * shadow anyway, or after a while. A frame of its own would cost a write, and wake another process.
 */

/** How often those are looked for that found nothing to go along with: they wait twice as long at most. */
export const RIDE_MS = 3;
/** How long what can wait does so first, for something else of its session to be told. */
export const PATIENCE_MS = 25;

export interface RidersParts {
  /** Runs it once after so long. */
  after(ms: number, work: () => void): void;
  shadowOf(id: string): string | undefined;
  /** It has gone along with something else of its session meanwhile. */
  isTold(id: string): boolean;
  /** It has waited long enough. */
  tell(id: string): void;
}

export class Riders {
  readonly #parts: RidersParts;
  #patient = new Set<string>();
  /** By shadow; "" without one. */
  readonly #waiting = new Map<string, Set<string>>();
  /** Those among them that were there when they were last looked for. */
  #early: ReadonlySet<ReadonlySet<string>> = new Set();
  #isLooking = false;

  constructor(parts: RidersParts) {
    this.#parts = parts;
  }

  add(id: string): void {
    const node = this.#parts.shadowOf(id) ?? "";
    const waiting = this.#waiting.get(node);
    if (waiting !== undefined) waiting.add(id);
    else this.#waiting.set(node, new Set([id]));
    this.#look();
  }

  addLater(id: string): void {
    if (this.#patient.size === 0) {
      this.#parts.after(PATIENCE_MS, () => {
        const patient = this.#patient;
        this.#patient = new Set();
        for (const one of patient) this.add(one);
      });
    }
    this.#patient.add(id);
  }

  /** Something goes to that node. @returns who goes along */
  take(node: string): readonly string[] {
    const waiting = this.#waiting.get(node);
    if (waiting === undefined) return [];
    this.#waiting.delete(node);
    return [...waiting].filter((id) => !this.#parts.isTold(id));
  }

  #look(): void {
    if (this.#isLooking) return;
    this.#isLooking = true;
    this.#parts.after(RIDE_MS, () => {
      this.#isLooking = false;
      const early = this.#early;
      this.#early = new Set(this.#waiting.values());
      for (const [node, waiting] of this.#waiting) {
        if (early.has(waiting)) for (const id of this.take(node)) this.#parts.tell(id);
      }
      if (this.#waiting.size > 0) this.#look();
    });
  }
}
