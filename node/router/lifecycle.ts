/** What modules may want to know besides stanzas: a closed set, registered as data like stages. */
import type { Done } from "../base/done.ts";
import type { NodeRecord } from "../routes/contract.ts";
import type { ClientSession } from "../session/contract.ts";
import type { Seniority } from "./senior.ts";

export interface LifecycleHandlers {
  /** A session is about to be published as available with a priority of 0 or more. */
  arriving(session: ClientSession): Done;
  /** It was published so. */
  arrived(session: ClientSession): Done;
  /** XEP-0352: the client says whether somebody looks at it. */
  clientState(session: ClientSession, isActive: boolean): Done;
  /** A session of this node is over, its route still published. Started, and awaited last. */
  ended(session: ClientSession): Done;
  /** Its stream broke; its client may resume it, and until then nobody reads what it gets. */
  detached(session: ClientSession): Done;
  /** Its client resumed it. */
  resumed(session: ClientSession): Done;
  /**
   * It came from that node, with what the modules there kept of it; undefined: from one that was taken for
   * dead, which it may have been without for a while. Detached still.
   */
  takenOver(session: ClientSession, from: string | undefined): Done;
  /** The node serves; modules may ask the router from now on. */
  started(): Done;
  /** The node drains: nothing is begun any more that must not be left undone. */
  stopping(): Done;
  /** Another node is there. Who was there before this one started is not told. */
  nodeUp(node: NodeRecord): Done;
  /** Another node is the senior of the cluster; undefined: none is known to be. */
  senior(senior: Seniority | undefined): Done;
  /** Another node is gone, and the routes of its sessions with it. */
  nodeDown(node: NodeRecord): Done;
  /** Something was stored for a user who has a session on this node. */
  wake(user: string): Done;
  /** This node was thought dead and is back with its sessions: the others must see them again. */
  restored(): Done;
}

export type LifecycleEvent = keyof LifecycleHandlers;

export interface LifecycleRegistration<Event extends LifecycleEvent = LifecycleEvent> {
  readonly kind: "on";
  readonly event: Event;
  readonly run: LifecycleHandlers[Event];
}

export const on = <Event extends LifecycleEvent>(
  event: Event,
  run: LifecycleHandlers[Event],
): LifecycleRegistration<Event> => ({ kind: "on", event, run });

export class Lifecycle {
  /** By event; those that nobody wants to know of are not in it. */
  readonly #handlers: ReadonlyMap<LifecycleEvent, readonly LifecycleRegistration["run"][]>;

  constructor(registrations: readonly LifecycleRegistration[]) {
    const events = Map.groupBy(registrations, ({ event }) => event);
    this.#handlers = new Map(
      [...events].map(([event, all]) => [event, all.map(({ run }) => run)] as const),
    );
  }

  /**
   * Starts every handler; rejects with the first failure after all are done. Never throws, and makes
   * no promise where nobody waits.
   */
  tell<Event extends LifecycleEvent>(
    event: Event,
    ...details: Parameters<LifecycleHandlers[Event]>
  ): Promise<void> | undefined {
    const handlers = this.#handlers.get(event);
    if (handlers === undefined) return undefined;
    const running: Promise<void>[] = [];
    for (const run of handlers as readonly ((...given: typeof details) => Done)[]) {
      try {
        const done = run(...details);
        if (done instanceof Promise) running.push(done);
      } catch (error) {
        running.push(Promise.reject(error));
      }
    }
    if (running.length < 2) return running[0];
    return Promise.allSettled(running).then((results) => {
      for (const result of results) if (result.status === "rejected") throw result.reason;
    });
  }
}
