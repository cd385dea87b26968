/**
 * Sessions that a node which goes asks others to go on with, as if their clients had come back there:
 * whoever agrees fetches them (moves.ts), so that they have one owner at every moment.
 */
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { Mesh } from "../mesh/contract.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { Route, Routes } from "../routes/contract.ts";
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
  /** Who did not answer, or does not know what an offer is: they are not asked again. */
  readonly #silent = new Set<string>();

  constructor(parts: OfferParts) {
    this.#parts = parts;
  }

  /** See Shadow. @param shadow the node that has its copy, and is asked first */
  async make(route: Route, shadow: string | undefined): Promise<void> {
    const { routes, zone } = this.#parts;
    const left = new Map([...routes.nodes].filter(([node]) => !this.#silent.has(node)));
    let next = shadow;
    for (let asked = 0; asked < ASKED_MAX; asked += 1) {
      const isThere = next !== undefined && left.has(next);
      const node = isThere ? next : chooseShadow(route.session, zone, left.values());
      if (node === undefined || (await this.#isTakenBy(node, route))) return;
      left.delete(node);
      next = undefined;
    }
  }

  async #isTakenBy(node: string, route: Route): Promise<boolean> {
    const { mesh, log } = this.#parts;
    if (mesh === undefined) return false;
    try {
      const payload = encodeMove({ route, offset: 0 });
      const answer = decodeMoveAnswer(await mesh.request(node, FrameKind.offer, payload));
      return answer.kind === "kept";
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      this.#silent.add(node);
      log.warn({ err: error, node, session: route.session }, "cannot offer a session to a node");
      return false;
    }
  }

  /** Another node goes, and asks. "kept": the session is here; "later": it is not. Never rejects. */
  async take({ route: { user, session } }: MoveFrame): Promise<MoveAnswer> {
    const { routes, fetch, adopt, isReady, log } = this.#parts;
    try {
      for (let look = 0; look < LOOKS_MAX && adopt !== undefined && isReady(); look += 1) {
        const seen = await routes.read(user);
        const route = seen.routes.find((one) => one.session === session);
        if (route === undefined) break;
        if (route.node === routes.self.incarnation) return { kind: "kept" };
        const incoming = await fetch(route);
        if (incoming === "later" || incoming === "away") return { kind: "later" };
        if (incoming === "gone") continue; // It went elsewhere.
        if ((await adopt(incoming, seen)) === "taken") return { kind: "kept" };
      }
    } catch (error) {
      if (!(error instanceof Unavailable)) throw error;
      log.warn({ err: error, session }, "cannot take the session of a node that goes");
    }
    return { kind: "later" };
  }
}
