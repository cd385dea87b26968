/**
 * Sessions that a node which goes asks others to go on with, as if their clients had come back there:
 * whoever agrees fetches them (moves.ts), so that they have one owner at every moment.
 */
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Mesh } from "../mesh/contract.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { Route, Routes } from "../routes/contract.ts";
import type { OfferAnswer } from "../session/contract.ts";
import { chooseShadow } from "../shadow/choose.ts";
import type { MoveAnswer, MoveFrame } from "./frames.ts";
import { decodeMoveAnswer, encodeMove } from "./frames.ts";
import type { Adopt } from "./keeping.ts";
import type { Moves } from "./moves.ts";

/** Nodes that are asked to take one session. */
const ASKED_MAX = 3;
/** How often its route may change while it is being taken. */
const LOOKS_MAX = 4;

export interface OfferParts {
  readonly routes: Routes;
  readonly mesh: Mesh | undefined;
  readonly zone: string;
  readonly fetch: Moves["fetch"];
  readonly adopt: Adopt | undefined;
  /** Whether this node may take sessions over: it has a lease, and stays. */
  readonly isReady: () => boolean;
  readonly log: Logger;
}

export class Offers {
  readonly #parts: OfferParts;

  constructor(parts: OfferParts) {
    this.#parts = parts;
  }

  /** See Shadow. @param shadow the node that has its copy, and is asked first */
  async make(route: Route, shadow: string | undefined): Promise<OfferAnswer> {
    const { routes, zone } = this.#parts;
    const { session } = route;
    const left = new Map(routes.nodes);
    let answer: OfferAnswer = "unsure";
    let next = shadow;
    for (let asked = 0; asked < ASKED_MAX; asked += 1) {
      const node =
        next !== undefined && left.has(next) ? next : chooseShadow(session, zone, left.values());
      if (node === undefined) break;
      left.delete(node);
      next = undefined;
      const said = await this.#ask(node, route);
      if (said === "taken") return said;
      if (node === shadow) answer = said;
    }
    return answer;
  }

  async #ask(node: string, route: Route): Promise<OfferAnswer> {
    const { mesh, log } = this.#parts;
    try {
      const payload = encodeMove({ route, offset: 0 });
      const answer = await mesh?.request(node, FrameKind.offer, payload);
      const { kind } = answer === undefined ? { kind: "later" } : decodeMoveAnswer(answer);
      if (kind === "kept") return "taken";
      return kind === "gone" ? "refused" : "unsure";
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      log.warn({ err: error, node, session: route.session }, "cannot leave a session to a node");
      return "unsure";
    }
  }

  /** Another node goes, and asks. "kept": the session is here; "gone": this node takes none. Never rejects. */
  async take({ route: { user, session } }: MoveFrame): Promise<MoveAnswer> {
    const { routes, fetch, adopt, isReady, log } = this.#parts;
    try {
      for (let look = 0; look < LOOKS_MAX && adopt !== undefined && isReady(); look += 1) {
        const seen = await routes.read(user);
        const route = seen.routes.find((one) => one.session === session);
        if (route === undefined) break;
        if (route.node === routes.self.incarnation) return { kind: "kept" };
        const incoming = await fetch(route);
        if (incoming === "later") return { kind: "later" };
        if (incoming === "gone") continue; // It went elsewhere.
        if ((await adopt(incoming, seen)) === "taken") return { kind: "kept" };
      }
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      log.warn({ err: error, session }, "cannot take the session of a node that goes");
    }
    return { kind: isReady() ? "later" : "gone" };
  }
}
