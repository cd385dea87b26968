/**
 * Sessions that were passed over (passed-over.ts) though their nodes live: these could not be reached, or
 * were thought dead. Nobody takes such a session over and asks, so it is given what it missed as soon as it
 * can be, late though that is.
 */
import type { Clock } from "../base/clock.ts";
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Routes } from "../routes/contract.ts";
import type { Deliverer } from "./deliver.ts";
import type { PassedOver } from "./passed-over.ts";
import type { Wakes } from "./wakes.ts";

const PAUSE_MS = 2_000;
/** Users. */
const AT_ONCE = 50;

export interface ArrearsParts {
  readonly routes: Pick<Routes, "find">;
  readonly passedOver: PassedOver;
  readonly deliverer: Pick<Deliverer, "makeUp">;
  readonly wakes: Pick<Wakes, "isWaiting">;
  readonly clock: Clock;
  readonly log: Logger;
}

export class Arrears {
  readonly #parts: ArrearsParts;
  #isDue = false;

  constructor(parts: ArrearsParts) {
    this.#parts = parts;
  }

  start(): void {
    this.#parts.passedOver.listen(() => this.#later());
  }

  #later(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#parts.clock.after(PAUSE_MS, () => void this.#pass());
  }

  /** Never rejects. */
  async #pass(): Promise<void> {
    const { passedOver } = this.#parts;
    const users = passedOver.owing.values();
    // Whoever has not answered for one user is not waited for again.
    const silent = new Set<string>();
    const work = async () => {
      for (const user of users) await this.#makeUp(user, silent);
    };
    await Promise.all(Array.from({ length: AT_ONCE }, work));
    this.#isDue = false;
    if (passedOver.owing.size > 0) this.#later();
  }

  async #makeUp(user: string, silent: Set<string>): Promise<void> {
    const { routes, passedOver, deliverer, wakes, log } = this.#parts;
    // What is stored goes before it.
    if (wakes.isWaiting(user)) return;
    try {
      const set = await routes.find(user, true);
      passedOver.found(user, set.routes);
      await deliverer.makeUp(set, silent);
      if (!set.routes.some(({ node }) => silent.has(node))) passedOver.tried(user);
    } catch (error) {
      if (error instanceof Unavailable) log.debug({ reason: error.message }, "cannot make up yet");
      else log.error({ err: error }, "cannot give a session what it missed");
    }
  }
}
