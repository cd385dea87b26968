/** Sessions that are over and still pass on what they had: whoever comes after them waits for that. */
import type { ClientSession } from "../session/contract.ts";

export class Passing {
  /** By session: one that left and came back waits for what it was before, which passes on to it. */
  readonly #bySession = new Map<ClientSession, Promise<void>>();
  readonly #byAddress = new Map<string, Promise<void>>();

  /** @param passedOn never rejects */
  begin(session: ClientSession, passedOn: Promise<void>): void {
    const { full } = session.jid;
    const earlier = this.#byAddress.get(full);
    const all = earlier === undefined ? passedOn : Promise.all([earlier, passedOn]).then(() => {});
    this.#bySession.set(session, passedOn);
    this.#byAddress.set(full, all);
    void passedOn.then(() => this.#bySession.delete(session));
    void all.then(() => {
      if (this.#byAddress.get(full) === all) this.#byAddress.delete(full);
    });
  }

  /** Settles when this session has nothing left to pass on; undefined when it is so already. */
  of(session: ClientSession): Promise<void> | undefined {
    return this.#bySession.get(session);
  }

  /** The same by its id. */
  async ofId(sessionId: string): Promise<void> {
    await Promise.all([...this.#bySession].map(([{ id }, passed]) => id === sessionId && passed));
  }

  /** The same for all sessions of a full address. */
  ofAddress(full: string): Promise<void> | undefined {
    return this.#byAddress.size === 0 ? undefined : this.#byAddress.get(full);
  }
}
