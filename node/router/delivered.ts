/**
 * What was delivered to sessions with shadows, until it counts as delivered: their copies have it, or
 * where a shadow is silent or missing, their clients. All that a session is given in one turn waits together.
 */
import type { ClientSession } from "../session/contract.ts";

interface Wait {
  readonly settled: Promise<boolean>;
  readonly promise: Promise<void>;
  readonly resolve: () => void;
}

export class Delivered {
  /** Of each session in order; those of all its turns that nobody has answered for. */
  readonly #waits = new Map<ClientSession, Wait[]>();
  /** What a session had that turned out to be over. */
  readonly #passedOn: (session: ClientSession) => Promise<void> | undefined;

  constructor(passedOn: (session: ClientSession) => Promise<void> | undefined) {
    this.#passedOn = passedOn;
  }

  /**
   * Settles when what the session was given counts. Never rejects.
   * @param settled see Shadow: when its copy has all of it
   * @param isGiven its client is given it at once: its shadow is silent, or it has none
   */
  wait(session: ClientSession, settled: Promise<boolean>, isGiven: boolean): Promise<void> {
    const last = this.#waits.get(session)?.at(-1);
    if (!isGiven && last?.settled === settled) return last.promise;
    const wait = this.#begin(session, settled);
    if (isGiven) void session.whenAcknowledged?.().then((hasAll) => hasAll && wait.resolve());
    return wait.promise;
  }

  /** Its shadow is silent, and its client has been given all: whichever answers first. */
  late(session: ClientSession): void {
    const waits = [...(this.#waits.get(session) ?? [])];
    void session.whenAcknowledged?.().then((hasAll) => {
      if (hasAll) for (const { resolve } of waits) resolve();
    });
  }

  #begin(session: ClientSession, settled: Promise<boolean>): Wait {
    const { promise: answered, resolve } = Promise.withResolvers<void>();
    const promise = answered.then(() => this.#passedOn(session));
    const wait = { settled, promise, resolve };
    const waits = this.#waits.get(session);
    if (waits === undefined) this.#waits.set(session, [wait]);
    else waits.push(wait);
    void settled.then(() => {
      resolve();
      this.#end(session, wait);
    });
    return wait;
  }

  #end(session: ClientSession, wait: Wait): void {
    const waits = this.#waits.get(session);
    if (waits === undefined) return;
    const place = waits.indexOf(wait); // The first, as a rule: copies grow in order.
    if (place !== -1) waits.splice(place, 1);
    if (waits.length === 0) this.#waits.delete(session);
  }
}
