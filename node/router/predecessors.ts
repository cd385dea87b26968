/**
 * Sessions whose address another one has now, here or on another node: they are closed, and what they
 * still have to pass on comes before what the next one is given.
 */
import type { ComponentTable } from "../components/contract.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { Route } from "../routes/contract.ts";
import type { ClientSession, SessionTable } from "../session/contract.ts";
import { sessionAt } from "../session/contract.ts";
import type { Asks } from "./asks.ts";
import { encodeConflict } from "./frames.ts";
import type { HandOver } from "./hand-over.ts";
import { both } from "./stages.ts";
import type { Succession } from "./succession.ts";

export interface PredecessorParts {
  readonly self: string;
  readonly sessions: () => SessionTable;
  readonly components: () => ComponentTable;
  readonly handOver: HandOver;
  readonly asks: Pick<Asks, "tell">;
  readonly succession: Pick<Succession, "leftAt" | "passedOn">;
}

export class Predecessors {
  readonly #parts: PredecessorParts;
  readonly #gone = new WeakMap<ClientSession, Promise<void>>();

  constructor(parts: PredecessorParts) {
    this.#parts = parts;
  }

  /** A session has taken the address of that one, if any route said that somebody had it. */
  bound(session: ClientSession, replaced: Route | undefined): void {
    if (replaced?.session === session.id) return;
    const gone =
      replaced === undefined
        ? this.#parts.succession.leftAt(session.route)
        : this.#replaced(replaced);
    if (gone !== undefined) this.#gone.set(session, gone);
  }

  /** Settles when the session that this one replaced has passed on what its client did not get. */
  of(session: ClientSession): Promise<void> | undefined {
    return this.#gone.get(session);
  }

  /** The same of all that had its address here, be they routed when it came or not. */
  allOf(session: ClientSession): Promise<void> | undefined {
    return both(this.of(session), this.#parts.handOver.passing.ofAddress(session.jid.full));
  }

  /** Closes a session whose address another one has now; resolves when it has passed on all. */
  async replace(route: Route, condition = "conflict"): Promise<void> {
    const { components, sessions, handOver } = this.#parts;
    const component = components().get(`${route.user}/${route.resource}`);
    // It connects anew, and is published anew.
    if (component?.id === route.session) component.close("reset");
    sessionAt(sessions(), route)?.close(condition);
    await handOver.passing.ofId(route.session);
  }

  #replaced(route: Route): Promise<void> {
    const isHere = route.node === this.#parts.self;
    return isHere ? this.replace(route) : this.#replaceElsewhere(route);
  }

  /** If its node never hears of it: the route is ours, and it learns that from the routes. */
  async #replaceElsewhere(route: Route): Promise<void> {
    const payload = encodeConflict({ route, condition: "conflict" });
    if (await this.#parts.asks.tell(route.node, FrameKind.conflict, payload)) return;
    // Its node may be dead: then it is its shadow that passes on what it had.
    await this.#parts.succession.passedOn(route);
  }
}
