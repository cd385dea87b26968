/** Stanzas that were read, but are more than the router is to have at once. */
import type { ParsedStanza } from "../xml/contract.ts";

export class Backlog {
  /** At most what one chunk held. */
  #stanzas: ParsedStanza[] | undefined;
  /** A loop over them is running: acceptance at once must not start another. */
  #isTaking = false;

  get isEmpty(): boolean {
    return this.#stanzas === undefined;
  }

  push(stanza: ParsedStanza): void {
    this.#stanzas ??= [];
    this.#stanzas.push(stanza);
  }

  /** Takes them in order while there is room. @returns whether none is left of some */
  take(hasRoom: () => boolean, take: (stanza: ParsedStanza) => void): boolean {
    const stanzas = this.#stanzas;
    if (stanzas === undefined || this.#isTaking) return false;
    this.#isTaking = true;
    let taken = 0;
    while (taken < stanzas.length && hasRoom()) {
      take(stanzas[taken] as ParsedStanza);
      taken += 1;
    }
    this.#isTaking = false;
    stanzas.splice(0, taken);
    if (stanzas.length > 0) return false;
    this.#stanzas = undefined;
    return true;
  }

  /** None of them counts: the session may be another node's, to which its client sends them again. */
  forget(): void {
    this.#stanzas = undefined;
  }

  /** Takes the rest at once, up to the first that is not right, and forgets it. */
  finish(isRight: (stanza: ParsedStanza) => boolean, take: (stanza: ParsedStanza) => void): void {
    const stanzas = this.#stanzas ?? [];
    this.#stanzas = undefined;
    if (this.#isTaking) return; // The end is about one of them: nothing behind it counts.
    this.#isTaking = true;
    for (const stanza of stanzas) {
      if (!isRight(stanza)) break;
      take(stanza);
    }
    this.#isTaking = false;
  }
}
