/** What one drain of a user's stored messages knows while it runs. */
import type { Claim } from "../routes/contract.ts";
import type { ClientSession } from "./contract.ts";

/** A stored message that was handed to a session and is not removed yet. */
export interface Given {
  readonly id: string;
  readonly session: ClientSession;
  /** "lost": the session ended before its client acknowledged it. */
  outcome: "acknowledged" | "lost" | undefined;
  settled: Promise<void>;
}

export class Drain {
  claim: Claim | undefined;
  /** None could be had, because etcd does not answer. */
  isUnclaimed = false;
  /** Whom it hands messages to; live ones wait for it meanwhile. */
  readonly recipients = new Set<ClientSession>();
  /** In the order in which they were handed over. */
  readonly given = new Set<Given>();
  /** What is stored could not be had: the store did not answer. */
  isAway = false;
  /** Something was stored, or somebody arrived, since the last look into the store. */
  #isAskedAgain = false;
  #isHandedOver = false;
  #handedOver = Promise.withResolvers<boolean>();
  /** Made for the first who waits for it. */
  #interrupted: PromiseWithResolvers<void> | undefined;

  /** Without etcd each node gives what is stored to whom it has: another device may have it, too. */
  get mayGive(): boolean {
    return this.isUnclaimed || this.claim?.isHeld === true;
  }

  get isAskedAgain(): boolean {
    return this.#isAskedAgain;
  }

  /** Settles when all that was stored is handed over, with false when that was put off. */
  get handedOver(): Promise<boolean> {
    return this.#handedOver.promise;
  }

  /** Settles when somebody asks again. */
  get interrupted(): Promise<void> {
    this.#interrupted ??= Promise.withResolvers();
    return this.#interrupted.promise;
  }

  /** The store must be looked into once more. @returns {@link handedOver} of that look */
  ask(): Promise<boolean> {
    this.#isAskedAgain = true;
    this.#interrupted?.resolve();
    if (this.#isHandedOver) {
      this.#isHandedOver = false;
      this.#handedOver = Promise.withResolvers();
    }
    return this.#handedOver.promise;
  }

  /** What is asked from now on is not covered by the look that begins. */
  look(): void {
    this.#isAskedAgain = false;
    this.isAway = false;
    this.isUnclaimed = false;
    this.#interrupted = undefined;
  }

  finish(isDone: boolean): void {
    this.#isHandedOver = true;
    this.#handedOver.resolve(isDone);
  }

  /** Takes out the messages whose fate is known. */
  takeSettled(): { acknowledged: Given[]; lost: Given[] } {
    const acknowledged: Given[] = [];
    const lost: Given[] = [];
    for (const one of this.given) {
      if (one.outcome === undefined) continue;
      this.given.delete(one);
      (one.outcome === "acknowledged" ? acknowledged : lost).push(one);
    }
    return { acknowledged, lost };
  }

  /** Whoever stores from now on finds the claim free. */
  async giveBack(): Promise<boolean> {
    const { claim } = this;
    this.claim = undefined;
    await claim?.[Symbol.asyncDispose]();
    return true;
  }
}
