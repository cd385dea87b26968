/** Tokens in memory, with what the real stores promise about clearing. */
import type { StoredToken, TokenChange, TokenSet, Tokens } from "../../stores/contract.ts";

export class MemoryTokens implements Tokens {
  readonly kept = new Map<string, StoredToken[]>();
  readonly #clearedUs = new Map<string, number>();
  /** Thrown instead of an answer, by the reads or the writes. */
  readFailure: Error | undefined;
  writeFailure: Error | undefined;
  reads = 0;
  writes = 0;

  async list(user: string): Promise<TokenSet> {
    this.reads += 1;
    if (this.readFailure !== undefined) throw this.readFailure;
    return { tokens: this.kept.get(user) ?? [], latestUs: 0 };
  }

  async change(user: string, { remove, put }: TokenChange, asOfUs: number): Promise<void> {
    this.writes += 1;
    if (this.writeFailure !== undefined) throw this.writeFailure;
    if ((this.#clearedUs.get(user) ?? 0) > asOfUs) return;
    const isSame = (one: StoredToken, other: Pick<StoredToken, "client" | "slot">) =>
      one.client === other.client && one.slot === other.slot;
    const gone = [...remove, ...put];
    const left = (this.kept.get(user) ?? []).filter(
      (token) => !gone.some((other) => isSame(token, other)),
    );
    this.kept.set(user, [...left, ...put]);
  }

  async clear(user: string): Promise<void> {
    this.kept.delete(user);
    this.#clearedUs.set(user, Date.now() * 1_000);
  }
}
