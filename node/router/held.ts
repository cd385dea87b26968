/** Messages that wait for a session because stored ones come first, in order. */
import type { ClientSession } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";

/** For one session. */
const HELD_MAX = 1_000;

export interface HeldQueue {
  isHolding: boolean;
  /** Undefined: the session was given it out of the store meanwhile. Copies count by places, so it keeps its own. */
  readonly waiting: (Envelope | undefined)[];
  /** How many have left it: the place of the first that waits. */
  left: number;
}

export class Held {
  readonly #queues = new WeakMap<ClientSession, HeldQueue>();

  /** Undefined as long as nothing was ever held for it. */
  of(session: ClientSession): HeldQueue | undefined {
    return this.#queues.get(session);
  }

  isHolding(session: ClientSession): boolean {
    return this.#queues.get(session)?.isHolding === true;
  }

  /** From now on messages for this session wait until `release`. */
  hold(session: ClientSession): void {
    const queue = this.#queues.get(session);
    if (queue === undefined) this.#queues.set(session, { isHolding: true, waiting: [], left: 0 });
    else queue.isHolding = true;
  }

  /** False when too many wait. */
  push(session: ClientSession, envelope: Envelope): boolean {
    const queue = this.#queues.get(session);
    if (queue === undefined || queue.waiting.length >= HELD_MAX) return false;
    queue.waiting.push(envelope);
    return true;
  }

  /** It does not wait any more, and the others do as before. */
  takeOut(session: ClientSession, envelope: Envelope): void {
    const { waiting = [] } = this.#queues.get(session) ?? {};
    const place = waiting.indexOf(envelope);
    if (place !== -1) waiting[place] = undefined;
  }

  /** Hands over what waits as long as it is taken, and ends holding when that is all. */
  release(session: ClientSession, give: (envelope: Envelope) => boolean): void {
    const queue = this.#queues.get(session);
    if (queue === undefined) return;
    this.#giveSome(queue, give);
    queue.isHolding = queue.waiting.length > 0;
  }

  /** Hands over what comes first, and keeps the rest: a stored message comes between. */
  releaseFirst(session: ClientSession, give: (envelope: Envelope) => boolean): void {
    const queue = this.#queues.get(session);
    if (queue !== undefined && queue.waiting.length > 0) this.#giveSome(queue, give);
  }

  #giveSome(queue: HeldQueue, give: (envelope: Envelope) => boolean): void {
    const { waiting } = queue;
    let given = 0;
    for (; given < waiting.length; given += 1) {
      const envelope = waiting[given];
      if (envelope !== undefined && !give(envelope)) break;
    }
    waiting.splice(0, given);
    queue.left += given;
  }

  /** All that wait; they are the caller's. */
  take(session: ClientSession): readonly Envelope[] {
    const queue = this.#queues.get(session);
    if (queue === undefined) return [];
    queue.isHolding = false;
    queue.left += queue.waiting.length;
    return queue.waiting.splice(0).filter((envelope) => envelope !== undefined);
  }
}
