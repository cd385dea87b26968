/**
 * What happens to the stanzas of a session that is over: messages that its client did not
 * acknowledge go on in order, and whoever waits for an answer is told that none will come.
 */

import type { Clock } from "../base/clock.ts";
import { pause } from "../base/clock.ts";
import type { RouteSet, Routes } from "../routes/contract.ts";
import type { ClientSession, MovableSession } from "../session/contract.ts";
import type { Envelope } from "../stanza/contract.ts";
import type { Origin } from "../stanza/origin.ts";
import type { Audience } from "./audience.ts";
import type { Counters } from "./counters.ts";
import type { Deliverer } from "./deliver.ts";
import type { HandOver } from "./hand-over.ts";
import type { Line } from "./line.ts";
import { elsewhere } from "./rules.ts";

export interface EndedParts {
  readonly routes: Routes;
  readonly handOver: HandOver;
  readonly line: Line;
  readonly counters: Counters;
  readonly newOrigin: () => Origin;
  readonly deliverer: Pick<Deliverer, "hadBefore">;
  readonly clock: Clock;
}

/** What was accepted may not be lost because the store or the routes are away for a moment. */
const RETRIES_MAX = 300;
const RETRY_MS = 1_000;

/** Of one session, all its messages together. */
interface Patience {
  readonly audience: Audience;
  retries: number;
}

const NO_ROUTES: RouteSet = { revision: 0, routes: [] };

export class Endings {
  readonly #parts: EndedParts;
  /** Sessions of which others may know more than this node, with the one that does, or undefined for any. */
  readonly #doubtful = new WeakMap<ClientSession, string | undefined>();

  constructor(parts: EndedParts) {
    this.#parts = parts;
  }

  /**
   * Passes on what a session had that is over. Messages for the same address wait meanwhile
   * (passing.ts), so nothing overtakes. The door withdraws the route afterwards. Never rejects.
   * @param before what must be passed on first
   */
  ended(
    session: ClientSession,
    unacknowledged: readonly Envelope[],
    before?: Promise<void>,
  ): Promise<void> {
    return this.#after(before, session, unacknowledged, {
      kind: "elsewhere",
      exceptSession: session.id,
    });
  }

  /**
   * Another node may have passed on what it had before it ends here: its shadow, or its own that is dead.
   * @param owner its own, if that may not be dead, and alone knows what else it gave to the client
   */
  doubt(session: ClientSession, owner?: string): void {
    this.#doubtful.set(session, owner);
  }

  /** Another node has it, and does not know all that it was given here. */
  displaced(session: MovableSession): void {
    const { id, route } = session;
    const audience: Audience = { kind: "moved", session: id, fromNode: route.node };
    void this.#after(undefined, session, session.forget(), audience);
    // Unless the routes know it already: it must not be published again. Done later if not now.
    this.#parts.routes.unbind(route).catch(() => undefined);
  }

  #after(
    before: Promise<void> | undefined,
    session: ClientSession,
    unacknowledged: readonly Envelope[],
    audience: Audience,
  ): Promise<void> {
    const { handOver } = this.#parts;
    const left = handOver.takeLeft(session, unacknowledged, audience.kind === "moved");
    if (before === undefined && left.length === 0) return Promise.resolve();
    const passedOn = Promise.resolve(before).then(() => this.#passOn(session, left, audience));
    handOver.passing.begin(session, passedOn);
    return passedOn;
  }

  async #passOn(
    session: ClientSession,
    left: readonly Envelope[],
    audience: Audience,
  ): Promise<void> {
    if (left.length === 0) return;
    // Routes that cannot be read are as good as none: what cannot be routed is stored.
    const { routes } = this.#parts;
    const set = await Promise.resolve(routes.find(session.route.user, true)).catch(() => NO_ROUTES);
    const patience: Patience = { audience, retries: RETRIES_MAX };
    for (const envelope of left) {
      if (await this.#isHad(session, envelope, set)) continue;
      await passOn(envelope, set, patience, this.#parts);
    }
  }

  /**
   * Somebody of the user's has had it since. Where there are several, that says nothing of the next one of its
   * address, which is given it as any other is: whoever has it takes it for a repeat. Never rejects.
   */
  async #isHad(session: ClientSession, envelope: Envelope, { routes }: RouteSet): Promise<boolean> {
    const { kind, origin } = envelope;
    if (!this.#doubtful.has(session) || kind !== "message" || origin === undefined) return false;
    const { user, resource } = session.route;
    const others = elsewhere(routes, session.id);
    if (others.length > 1 && others.some((route) => route.resource === resource)) return false;
    const owner = this.#doubtful.get(session);
    return await this.#parts.deliverer.hadBefore(envelope, user, origin, owner);
  }
}

async function passOn(
  envelope: Envelope,
  set: RouteSet,
  patience: Patience,
  parts: EndedParts,
): Promise<void> {
  const { handOver, line, counters, clock } = parts;
  const { kind, type } = envelope;
  if (kind === "iq") return line.refuse(envelope, "service-unavailable");
  // Headlines and room messages are of the moment; errors and presence are not worth another way.
  if (kind !== "message" || (type !== "normal" && type !== "chat")) return;
  if (handOver.isStored(envelope)) return;
  counters.rerouted += 1;
  const origin = envelope.origin ?? parts.newOrigin();
  while (!(await line.passOn(envelope, origin, patience.audience, set, patience.retries === 0))) {
    patience.retries -= 1;
    await pause(clock, RETRY_MS);
  }
}
