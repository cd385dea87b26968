/** The bound sessions of this node, by full address and by user. */
import type { ClientSession, SessionTable } from "./contract.ts";

export class Sessions<S extends ClientSession> implements SessionTable {
  readonly #byAddress = new Map<string, S>();
  /** A user with one session, which is the usual case, costs no array. */
  readonly #byUser = new Map<string, S | readonly S[]>();

  get size(): number {
    return this.#byAddress.size;
  }

  get(fullJid: string): S | undefined {
    return this.#byAddress.get(fullJid);
  }

  ofUser(bareJid: string): readonly S[] {
    const found = this.#byUser.get(bareJid);
    if (found === undefined) return [];
    return isMany(found) ? found : [found];
  }

  all(): Iterable<S> {
    return this.#byAddress.values();
  }

  /** Puts a session in, in the place of one of the same full address. */
  add(session: S): void {
    const { full, bare } = session.jid;
    const before = this.#byAddress.get(full);
    if (before !== undefined) this.remove(before);
    this.#byAddress.set(full, session);
    const others = this.ofUser(bare);
    this.#byUser.set(bare, others.length === 0 ? session : [...others, session]);
  }

  /** Takes out this very session; another one of the same address stays. */
  remove(session: S): void {
    const { full, bare } = session.jid;
    if (this.#byAddress.get(full) !== session) return;
    this.#byAddress.delete(full);
    const others = this.ofUser(bare).filter((other) => other !== session);
    const [first] = others;
    if (first === undefined) this.#byUser.delete(bare);
    else this.#byUser.set(bare, others.length === 1 ? first : others);
  }
}

const isMany = <S>(found: S | readonly S[]): found is readonly S[] => Array.isArray(found);
