/**
 * Sessions that have begun lately. What a client sends again, because its node died or stood still before it could
 * answer, may have come to the session before one of these, whose client acknowledged it: only the node that had
 * that one knows.
 */
import type { Clock } from "../base/clock.ts";
import { withDeadline } from "../base/deadline.ts";
import { Unavailable } from "../base/errors.ts";
import type { Routes } from "../routes/contract.ts";
import type { ClientSession } from "../session/contract.ts";
import type { Deliverer } from "./deliver.ts";
import type { Consignment } from "./hand-over.ts";

/** Who sends again comes back within its window: older sessions were there when it was sent first. */
const LATELY_MS = 600_000;
/** Whoever sent it again waits. */
const ANSWER_MS = 1_000;
/** The same while somebody is silent: a client may have sent many again, which wait one behind the other. */
const HASTE_MS = 50;
const SILENT_MS = 5_000;

export interface NewcomerParts {
  readonly routes: Pick<Routes, "known">;
  readonly deliverer: Pick<Deliverer, "hadBefore">;
  readonly clock: Clock;
}

export class Newcomers {
  readonly #parts: NewcomerParts;
  readonly #boundMs = new WeakMap<ClientSession, number>();
  #silentUntilMs = Number.NEGATIVE_INFINITY;

  constructor(parts: NewcomerParts) {
    this.#parts = parts;
  }

  bound(session: ClientSession): void {
    this.#boundMs.set(session, this.#parts.clock.monotonicMs());
  }

  /**
   * Whether the session before this one has had it, at whatever node: who does not say so in time has not. Of a
   * user with several nobody is asked: another one may have it. Undefined where it cannot be.
   */
  hadBefore(session: ClientSession, consignment: Consignment): Promise<boolean> | undefined {
    const { again, rerouted, copy, origin, envelope } = consignment;
    if (!again || rerouted || copy !== undefined || origin === undefined) return undefined;
    if (envelope.kind !== "message" || !this.#isYoung(session)) return undefined;
    const { routes, deliverer } = this.#parts;
    const user = session.jid.bare;
    if ((routes.known(user)?.routes.length ?? 0) > 1) return undefined;
    return this.#inTime(deliverer.hadBefore(envelope, user, origin));
  }

  async #inTime(asked: Promise<boolean>): Promise<boolean> {
    const { clock } = this.#parts;
    const waitMs = clock.monotonicMs() < this.#silentUntilMs ? HASTE_MS : ANSWER_MS;
    try {
      return await withDeadline(asked, waitMs, "mesh-timeout", "ask who had a message", clock);
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      this.#silentUntilMs = clock.monotonicMs() + SILENT_MS;
      return false;
    }
  }

  #isYoung(session: ClientSession): boolean {
    const boundMs = this.#boundMs.get(session) ?? Number.NEGATIVE_INFINITY;
    return this.#parts.clock.monotonicMs() - boundMs < LATELY_MS;
  }
}
