/**
 * What a BOSH session has answered, for as long as the client may ask for it again, and until it
 * is sure that the client has it.
 */

interface Answer {
  readonly rid: number;
  readonly body: Buffer;
  /** The batch of payload it carries; 0 for none. */
  readonly batch: number;
  isSent: boolean;
}

export class Answers {
  readonly #kept: Answer[] = [];
  readonly #keptMax: number;
  /** Sent, and not yet known to have arrived. */
  readonly #doubtful: Answer[] = [];
  #doubtfulBytes = 0;
  #batches = 0;
  #confirmed = 0;

  /** @param keptMax how many can be asked for again (XEP-0124, 14.3) */
  constructor(keptMax: number) {
    this.#keptMax = keptMax;
  }

  get batches(): number {
    return this.#batches;
  }

  /** Batches that have certainly arrived. */
  get confirmed(): number {
    return this.#confirmed;
  }

  get doubtfulBytes(): number {
    return this.#doubtfulBytes;
  }

  /** @returns what to call when the system has taken it */
  add(rid: number, body: Buffer, hasPayload: boolean): () => void {
    if (hasPayload) this.#batches += 1;
    const answer = { rid, body, batch: hasPayload ? this.#batches : 0, isSent: false };
    this.#kept.push(answer);
    if (this.#kept.length > this.#keptMax) this.#kept.shift();
    if (hasPayload) {
      this.#doubtful.push(answer);
      this.#doubtfulBytes += body.length;
    }
    return () => {
      answer.isSent = true;
    };
  }

  /** The answer to a request that came before, and what to call when it is sent again. */
  again(rid: number): { readonly body: Buffer; readonly onSent: () => void } | undefined {
    const answer = this.#kept.find((kept) => kept.rid === rid);
    if (answer === undefined) return undefined;
    return {
      body: answer.body,
      onSent() {
        answer.isSent = true;
      },
    };
  }

  /** Whatever was sent counts as received: there will be no request to tell. */
  confirmAll(): void {
    this.#doubtful.length = 0;
    this.#doubtfulBytes = 0;
    this.#confirmed = this.#batches;
  }

  /**
   * A new request has come: what was sent before it has arrived, or the client would have asked
   * for it again.
   * @param upTo the highest rid whose response the client has, where it says so (XEP-0124, 9.2)
   * @returns whether anything was confirmed
   */
  confirm(upTo: number): boolean {
    let isProgress = false;
    for (;;) {
      const [oldest] = this.#doubtful;
      if (oldest === undefined || !oldest.isSent || oldest.rid > upTo) return isProgress;
      this.#doubtful.shift();
      this.#doubtfulBytes -= oldest.body.length;
      this.#confirmed = oldest.batch;
      isProgress = true;
    }
  }
}
