/** What each session was given lately: its next node must know it, to cut what is sent again. */
import type { ClientSession } from "../session/contract.ts";
import type { Origin } from "../stanza/origin.ts";
import { RECENT_MAX } from "./session-wire.ts";

export class Recent {
  readonly #origins = new WeakMap<ClientSession, Origin[]>();

  add(session: ClientSession, origin: Origin): void {
    const origins = this.#origins.get(session);
    if (origins === undefined) {
      this.#origins.set(session, [origin]);
      return;
    }
    origins.push(origin);
    // Cut off half at once, so that most additions move nothing.
    if (origins.length > RECENT_MAX) origins.splice(0, RECENT_MAX / 2);
  }

  of(session: ClientSession): readonly Origin[] {
    return this.#origins.get(session) ?? [];
  }
}
