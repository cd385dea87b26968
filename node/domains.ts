/** The domains that a node serves: changed in place, so that whoever holds them sees it. */

export interface DomainsChange {
  readonly added: readonly string[];
  readonly removed: readonly string[];
}

export class Domains {
  /** In the order they were configured in. */
  readonly list: string[];
  readonly set: Set<string>;

  /** @param domains prepared, at least one */
  constructor(domains: readonly string[]) {
    this.list = [...domains];
    this.set = new Set(domains);
  }

  replace(domains: readonly string[]): DomainsChange {
    const added = domains.filter((domain) => !this.set.has(domain));
    const removed = this.list.filter((domain) => !domains.includes(domain));
    this.list.splice(0, this.list.length, ...domains);
    this.set.clear();
    for (const domain of domains) this.set.add(domain);
    return { added, removed };
  }
}
