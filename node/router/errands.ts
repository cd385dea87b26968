/** What is wanted of other nodes by who knows no frames. */
import { Unavailable } from "../base/errors.ts";
import type { Logger } from "../base/log.ts";
import type { FailedLoginReport } from "../guard/failed-logins.ts";
import type { Mesh } from "../mesh/contract.ts";
import { FrameKind } from "../mesh/contract.ts";
import type { RouteSet, Routes } from "../routes/contract.ts";
import type { AskOwnRoutes } from "../routes/members.ts";
import type { Asks } from "./asks.ts";
import {
  decodeOwnRoutes,
  decodeYes,
  encodeFailedLogins,
  encodeOffline,
  encodeOwnRoutesQuery,
  encodeRoutes,
  encodeYes,
} from "./frames.ts";

export interface ErrandParts {
  readonly routes: Pick<Routes, "nodes" | "self" | "find" | "notice">;
  /** Undefined for a single node. */
  readonly mesh: Mesh | undefined;
  readonly asks: Asks;
  /** Whoever of the user is here looks into the offline store. */
  readonly wakeHere: (user: string) => Promise<void> | undefined;
  readonly log: Logger;
}

export class Errands {
  readonly #parts: ErrandParts;

  constructor(parts: ErrandParts) {
    this.#parts = parts;
  }

  /**
   * Tells a node that holds sessions of `user` how that user's routes stand now.
   * @throws Unavailable when it may not have heard
   */
  async notifySiblings(incarnation: string, user: string, set: RouteSet): Promise<void> {
    await this.#parts.asks.once(incarnation, FrameKind.routes, encodeRoutes({ user, set }));
  }

  /**
   * Asks a node that may be dead what it holds of a user; see AskOwnRoutes of the routes. A node of a
   * release that cannot say it counts as gone.
   * @throws Unavailable when it did not answer
   */
  async ownRoutes(incarnation: string, user: string): ReturnType<AskOwnRoutes> {
    const { mesh } = this.#parts;
    if (mesh === undefined) return "gone";
    try {
      const query = encodeOwnRoutesQuery(user);
      return decodeOwnRoutes(await mesh.request(incarnation, FrameKind.ownRoutes, query), user);
    } catch (error) {
      if (error instanceof Unavailable && error.code === "mesh-failed") return "gone";
      if (error instanceof Unavailable && error.code === "mesh-down") return "broken";
      if (error instanceof Unavailable && error.code === "mesh-refused") return "refused";
      throw error;
    }
  }

  /** Asks a node whether another refuses its connections. @throws Unavailable when it does not say */
  async isRefused(via: string, node: string): Promise<boolean> {
    const { mesh } = this.#parts;
    const answer = await mesh?.request(via, FrameKind.refused, encodeOwnRoutesQuery(node));
    return answer !== undefined && decodeYes(answer);
  }

  /** Another node asks that. */
  async sayRefused(node: string): Promise<Buffer> {
    return encodeYes((await this.ownRoutes(node, "").catch(() => undefined)) === "refused");
  }

  /**
   * Something is stored for the user: whoever is available is made to look.
   * @param isFirst it was not tried before
   * @returns whether those are all who are there
   * @throws Unavailable when somebody who must look may not have heard
   */
  async wake(user: string, isFirst: boolean): Promise<boolean> {
    const { routes, asks, wakeHere } = this.#parts;
    const set = await routes.find(user, true);
    const nodes = new Set(
      set.routes.filter((one) => one.available && one.priority >= 0).map(({ node }) => node),
    );
    const wake = async (node: string) => {
      if (node === routes.self.incarnation) return await wakeHere(user);
      try {
        await asks.firmly(node, FrameKind.offline, encodeOffline(user));
      } catch (error) {
        // It looks then, but that it does nobody says: what comes next waits until it has heard.
        if (isFirst) await routes.notice(node, user).catch(() => undefined);
        throw error;
      }
    };
    await Promise.all([...nodes].map(wake));
    return set.isPartial !== true;
  }

  /** Tells the other nodes, once: who does not hear it counts less. */
  tellFailedLogins(report: FailedLoginReport): void {
    const payload = encodeFailedLogins(report);
    const { routes, asks, log } = this.#parts;
    for (const node of routes.nodes.keys()) {
      asks.once(node, FrameKind.failedLogins, payload).catch((error: unknown) => {
        log.debug({ err: error, node }, "cannot tell node of failed logins");
      });
    }
  }
}
