/**
 * The lease of what must outlive the leases of nodes, and goes by itself: one of an hour that nobody
 * keeps alive, and another now and then.
 */
import type { Clock } from "../base/clock.ts";
import type { EtcdClient } from "./client.ts";
import { unavailable } from "./client.ts";
import { NOTES_LAST_MS } from "./contract.ts";

/** So many notes share a lease that lasts this much longer. */
const USED_MS = 600_000;

export class NoteLease {
  readonly #leases: EtcdClient["leaseClient"];
  readonly #clock: Clock;
  #last: { readonly id: Promise<string>; readonly untilMs: number } | undefined;

  constructor(leases: EtcdClient["leaseClient"], clock: Clock) {
    this.#leases = leases;
    this.#clock = clock;
  }

  /** @throws Unavailable */
  id(): Promise<string> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#last === undefined || this.#last.untilMs <= nowMs) {
      const TTL = (NOTES_LAST_MS + USED_MS) / 1_000;
      const id = this.#leases.leaseGrant({ TTL }).then(({ ID }) => ID);
      const made = { id, untilMs: nowMs + USED_MS };
      this.#last = made;
      id.catch(() => {
        if (this.#last === made) this.#last = undefined;
      });
    }
    return this.#last.id.catch((error: unknown) => {
      throw unavailable("note what nodes must know later", error);
    });
  }

  /** It may be gone. */
  forget(): void {
    this.#last = undefined;
  }
}
