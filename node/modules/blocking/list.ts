/** A list of blocked addresses, and which addresses it covers (XEP-0191, section 5). */
import type { Jid } from "../../stanza/jid.ts";

export interface BlocklistChange {
  readonly blocked: readonly string[];
  readonly unblocked: readonly string[];
}

export class Blocklist {
  static readonly EMPTY = new Blocklist(new Set());
  readonly #addresses: ReadonlySet<string>;

  private constructor(addresses: ReadonlySet<string>) {
    this.#addresses = addresses;
  }

  static of(addresses: Iterable<string>): Blocklist {
    const set = new Set(addresses);
    return set.size === 0 ? Blocklist.EMPTY : new Blocklist(set);
  }

  get size(): number {
    return this.#addresses.size;
  }

  has(address: string): boolean {
    return this.#addresses.has(address);
  }

  [Symbol.iterator](): Iterator<string> {
    return this.#addresses[Symbol.iterator]();
  }

  /**
   * user@domain/resource and domain/resource cover themselves alone, user@domain all resources, and
   * a domain everything in it.
   */
  covers({ full, bare, domain }: Jid): boolean {
    const addresses = this.#addresses;
    if (addresses.size === 0) return false;
    return addresses.has(full) || addresses.has(bare) || addresses.has(domain);
  }

  /** What made this list of another one. */
  changeFrom(before: Blocklist): BlocklistChange {
    return {
      blocked: [...this].filter((address) => !before.has(address)),
      unblocked: [...before].filter((address) => !this.has(address)),
    };
  }

  with({ blocked, unblocked }: BlocklistChange): Blocklist {
    const changed = new Set(this.#addresses);
    for (const address of unblocked) changed.delete(address);
    for (const address of blocked) changed.add(address);
    return Blocklist.of(changed);
  }
}
